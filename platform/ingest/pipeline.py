"""Sources in, searchable documents out: read, parse, chunk, embed, store.

What always holds: a document and its chunks appear in one commit, after all their vectors exist; a
source whose bytes and recipe are those of the stored document is not touched; a source that fails
is reported with its reason and stops nothing else. Killed at any point, a run loses at most the
batch at hand, and running it again gives what an undisturbed run gives.

Reading and parsing run ahead of embedding by one batch, so that the embedder is never idle.
"""

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.core import (
    Embedder,
    FloatVector,
    Part,
    RostraError,
    Settings,
    SpaceMismatch,
    UnreadableFile,
    get_logger,
)
from rostra.ingest.archive import AttachmentSource, attachments_of
from rostra.ingest.chunking import Content, chunk_inputs, chunking_facts, embed_contents
from rostra.ingest.document import ParsedDocument
from rostra.ingest.duplicates import link_duplicates
from rostra.ingest.graph.follow import GraphFollower
from rostra.ingest.items import FailedSource, ReadySource, Source
from rostra.ingest.media import has_ocr
from rostra.ingest.parser_process import ParserProcess
from rostra.retrieval import Indexes, collection_for, late_embedder
from rostra.store import (
    Collection,
    Database,
    DocumentVersion,
    NewChunk,
    NewDocument,
    UnusableVector,
    delete_document,
    document_versions,
    get_collection,
    known_hashes,
    put_documents,
    put_vectors,
    unusable_vectors,
)

log = get_logger(__name__)

# Raise when parsers or chunkers give other text or spans for equal bytes: files are then re-read.
PARSER_VERSION = 4
# Chunks embedded and committed together: enough to sort by length, little to lose. The first batch
# is small, so that the embedder starts early, and each next one twice as large.
_FIRST_BATCH_CHUNKS = 64
_BATCH_CHUNKS = 512
# Text held back while a batch fills, in code points.
_BATCH_CHARS = 4_000_000
# Longest uri that every database can index.
_MAX_URI = 2_000
_MAX_REPORTED = 10_000


@dataclass(slots=True)
class Progress:
    """How far a run is; the same object is updated and reported again."""

    total: int = 0
    done: int = 0
    chunks: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """A source that was not ingested, and why."""

    uri: str
    error: str
    code: str
    hint: str | None = None


@dataclass(slots=True)
class IngestReport:
    """What a run did.

    Attributes:
        documents: stored anew or replaced.
        chunks: of those documents.
        unchanged: left as they were.
        deleted: removed because their file is gone, when asked to.
        failed: not ingested; at most 10,000 are listed.
        seconds: wall time.
    """

    documents: int = 0
    chunks: int = 0
    unchanged: int = 0
    deleted: int = 0
    failed: list[Failure] = field(default_factory=list)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As the CLI's `--json` prints it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A parsed and chunked document, waiting for vectors, and what is attached to it."""

    document: NewDocument
    texts: dict[bytes, Content]
    attached: Sequence[AttachmentSource | FailedSource] = ()


OnProgress = Callable[[Progress], None]
AnySource = Source | ReadySource | FailedSource
# What a run still has to look at: sources, and messages whose attachments come before them.
_Waiting = deque[AnySource | _Prepared]


class Ingester:
    """Ingests into collections.

    Runs of one object may overlap: each reads and parses on its own, and they take turns, a batch
    each, at embedding and storing. So a run that waits for its sources holds up no other.
    """

    def __init__(
        self,
        database: Database,
        indexes: Indexes,
        embedder: Callable[[], Embedder],
        settings: Settings,
    ) -> None:
        self._database = database
        self._indexes = indexes
        self._embedder = embedder
        self._settings = settings
        self._turn = asyncio.Lock()

    async def ingest(
        self,
        sources: Sequence[AnySource],
        collection: str,
        *,
        on_progress: OnProgress | None = None,
        delete_missing: Sequence[str] = (),
    ) -> IngestReport:
        """Ingests sources and saves the collection's index.

        Args:
            sources: what to read; those with the same uri replace each other.
            collection: by name, made when missing.
            on_progress: called often, from the event loop.
            delete_missing: uri prefixes; stored documents under them that are not among `sources`
                are deleted.

        Raises:
            InvalidRequest: the collection's name is malformed.
            SpaceMismatch: the collection was embedded with another model.
            ModelUnavailable: the embedding model cannot be loaded.
            StoreUnavailable: the database does not answer; what was committed stays.
        """
        started = time.monotonic()
        embedder = await asyncio.to_thread(self._embedder)
        async with self._database.write() as session:
            target, embedder = await collection_for(session, collection, embedder)
        graph = GraphFollower(self._database, target.id)
        run = _Run(self._database, target, embedder, self._settings, len(sources), on_progress)
        async with self._database.read() as session:
            run.versions = await document_versions(session, target.id)
        async with (
            ParserProcess(self._settings) as parser,
            aclosing(run.batches(sources, parser)) as batches,
        ):
            following = asyncio.create_task(_next(batches))
            try:
                while (batch := await following) is not None:
                    following = asyncio.create_task(_next(batches))
                    async with self._turn:
                        await run.commit(batch)
                        await graph.follow()
            finally:
                following.cancel()
                await asyncio.wait([following])
        if delete_missing:
            await run.delete_missing(tuple(delete_missing), sources)
        async with self._turn:
            await self._indexes.save(collection)
        run.report.seconds = round(time.monotonic() - started, 3)
        return run.report


class _VectorsGone(Exception):
    """Rolls a batch back: vectors that were there when it began are not any more."""

    def __init__(self, keys: list[bytes]) -> None:
        super().__init__(f"{len(keys)} vectors are gone")
        self.keys = keys


class _Run:
    """The state of one ingest."""

    def __init__(
        self,
        database: Database,
        target: Collection,
        embedder: Embedder,
        settings: Settings,
        total: int,
        on_progress: OnProgress | None,
    ) -> None:
        self.report = IngestReport()
        self.versions: dict[str, DocumentVersion] = {}
        self._attached: set[str] = set()
        self._unchanged: set[str] = set()
        self._database = database
        self._target = target
        self._embedder = embedder
        self._settings = settings
        self._progress = Progress(total=total)
        self._on_progress = on_progress or (lambda _: None)
        self._recipe = _recipe(settings, embedder)
        self._late = late_embedder(settings, embedder) if settings.chunker == "late" else None

    async def batches(
        self, sources: Iterable[AnySource], parser: ParserProcess
    ) -> AsyncGenerator[list[_Prepared], None]:
        """Reads, parses and chunks; yields what is to be stored.

        What is attached to a message comes before it: a message that is stored was read whole.
        """
        batch: list[_Prepared] = []
        chunks = chars = 0
        enough = min(_FIRST_BATCH_CHUNKS, _BATCH_CHUNKS)
        waiting: _Waiting = deque(sources)
        while waiting:
            source = waiting.popleft()
            if isinstance(source, _Prepared):
                prepared = source
            else:
                try:
                    found = await self._prepare(source, parser)
                except UnreadableFile as error:
                    self._fail(source.uri, error)
                    continue
                if found is None:
                    self._unchanged.add(source.uri)
                    self.report.unchanged += 1
                    self._advance()
                    continue
                prepared = found
                if found.attached:
                    self._progress.total += len(found.attached)
                    self._attached |= {attached.uri for attached in found.attached}
                    waiting.appendleft(found)
                    waiting.extendleft(reversed(found.attached))
                    continue
            batch.append(prepared)
            chunks += len(prepared.document.chunks)
            chars += len(prepared.document.text)
            if chunks >= enough or chars >= _BATCH_CHARS:
                yield batch
                enough = min(_BATCH_CHUNKS, 2 * enough)
                batch, chunks, chars = [], 0, 0
        if batch:
            yield batch

    async def commit(self, batch: list[_Prepared]) -> None:
        """Embeds what is new of a batch and stores its documents, in one transaction."""
        # Of several with one uri the last stays.
        latest = list({prepared.document.uri: prepared for prepared in batch}.values())
        texts: dict[bytes, Content] = {}
        for prepared in latest:
            texts |= prepared.texts
        async with self._database.read() as session:
            missing = await self._missing(session, texts)
        vectors: dict[bytes, FloatVector] = {}
        failed: dict[str, _Prepared] = {}
        while True:
            new = await self._embed({key: texts[key] for key in missing})
            unusable = unusable_vectors(new)
            vectors |= {key: vector for key, vector in new.items() if key not in unusable}
            for prepared in [one for one in latest if not unusable.keys().isdisjoint(one.texts)]:
                latest.remove(prepared)
                failed[prepared.document.uri] = prepared
                self._fail(prepared.document.uri, _not_embedded(prepared, unusable))
            # What only failed documents say would never be released: no chunk has it.
            wanted = {key for prepared in latest for key in prepared.texts}
            vectors = {key: vector for key, vector in vectors.items() if key in wanted}
            try:
                async with self._database.write() as session:
                    await self._store(session, latest, vectors)
                break
            except _VectorsGone as gone:
                # Another process deleted what we counted on; embed it and store again.
                missing = gone.keys
        for prepared in batch:
            if prepared.document.uri not in failed:
                self.report.documents += 1
                self.report.chunks += len(prepared.document.chunks)
            if failed.get(prepared.document.uri) is not prepared:  # else it is counted already
                self._advance()

    async def _store(
        self, session: AsyncSession, batch: list[_Prepared], vectors: dict[bytes, FloatVector]
    ) -> None:
        """Stores a batch.

        Raises:
            SpaceMismatch: the collection was moved to another embedding space meanwhile.
            _VectorsGone: some contents turn out to have no vector.
        """
        target = self._target
        stored = await put_documents(session, target.id, [prepared.document for prepared in batch])
        await link_duplicates(session, target.id, stored, self._settings.near_duplicates)
        # Afterwards: a content that moves from one document to another loses its vector between.
        await put_vectors(session, target.id, target.space_id, vectors)
        now = await get_collection(session, target.name)
        if now.space_id != target.space_id:
            raise SpaceMismatch(
                f"collection {target.name!r} was embedded anew while it was being added to",
                hint="Run the ingest again.",
            )
        if missing := await self._missing(session, {key for p in batch for key in p.texts}):
            raise _VectorsGone(missing)

    async def _missing(self, session: AsyncSession, keys: Iterable[bytes]) -> list[bytes]:
        wanted = list(keys)
        known = await known_hashes(session, self._target.id, self._target.space_id, wanted)
        return [key for key in wanted if key not in known]

    async def delete_missing(self, prefixes: tuple[str, ...], sources: Sequence[AnySource]) -> None:
        """Deletes stored documents under these uris whose source is gone.

        What is below something that could not be read, a damaged archive or a closed folder, is
        not known to be gone, and stays.
        """
        present = {source.uri for source in sources} | self._attached
        unknown = tuple(
            source.uri + below
            for source in sources
            if isinstance(source, FailedSource)
            for below in ("/", "!/")
        )
        gone = [
            version.id
            for uri, version in self.versions.items()
            if uri.startswith(prefixes)
            and uri not in present
            and not uri.startswith(unknown)
            and not self._is_attached_to_unchanged(uri)
        ]
        for document_id in gone:
            async with self._database.write() as session:
                await delete_document(session, document_id)
        self.report.deleted = len(gone)

    def _is_attached_to_unchanged(self, uri: str) -> bool:
        """Whether a document came with a message that was not read again, since it is the same."""
        at = uri.find("!/")
        while at >= 0:
            if uri[:at] in self._unchanged:
                return True
            at = uri.find("!/", at + 2)
        return False

    async def _prepare(self, source: AnySource, parser: ParserProcess) -> _Prepared | None:
        """A source as a document to be stored; None when it is stored already.

        Raises:
            UnreadableFile: with the reason.
        """
        if isinstance(source, FailedSource):
            raise source.error
        if len(source.uri) > _MAX_URI:
            raise UnreadableFile(f"its name is longer than {_MAX_URI} characters")
        if isinstance(source, ReadySource):
            data = msgspec.json.encode([source.document.title, source.document.text])
        else:
            data = await asyncio.to_thread(source.read)
        sha256 = hashlib.sha256(data).hexdigest()
        stored = self.versions.get(source.uri)
        if stored is not None and (stored.sha256, stored.recipe) == (sha256, self._recipe):
            return None
        attached: Sequence[AttachmentSource | FailedSource] = ()
        if isinstance(source, ReadySource):
            document = source.document
        else:
            document = await parser.parse(source.name, data)
            attached = attachments_of(source, document)
        prepared = await asyncio.to_thread(self._chunk, source.uri, sha256, len(data), document)
        return replace(prepared, attached=attached)

    def _chunk(self, uri: str, sha256: str, size: int, document: ParsedDocument) -> _Prepared:
        chunks = []
        texts: dict[bytes, Content] = {}
        for one in chunk_inputs(document, self._settings, self._embedder):
            texts[one.key] = one.content
            chunk = one.chunk
            chunks.append(
                NewChunk(chunk.start, chunk.end, chunk.page, chunk.context, one.key, chunk.parent)
            )
        new = NewDocument(
            uri=uri,
            title=document.title,
            media_type=document.media_type,
            sha256=sha256,
            recipe=self._recipe,
            bytes=size,
            text=document.text,
            spans=[
                {"kind": str(s.kind), "start": s.start, "end": s.end, "level": s.level}
                for s in document.spans
            ],
            chunks=chunks,
            metadata=dict(document.metadata),
        )
        return _Prepared(new, texts)

    async def _embed(self, texts: dict[bytes, Content]) -> dict[bytes, FloatVector]:
        loop = asyncio.get_running_loop()

        def on_batch(count: int) -> None:
            loop.call_soon_threadsafe(self._embedded, count)

        vectors = await asyncio.to_thread(
            embed_contents, list(texts.values()), self._embedder, self._late, on_batch
        )
        return dict(zip(texts, vectors, strict=True))

    def _embedded(self, count: int) -> None:
        self._progress.chunks += count
        self._on_progress(self._progress)

    def _advance(self) -> None:
        self._progress.done += 1
        self._on_progress(self._progress)

    def _fail(self, uri: str, error: RostraError) -> None:
        log.info("not ingested", uri=uri, reason=error.message)
        if len(self.report.failed) < _MAX_REPORTED:
            self.report.failed.append(Failure(uri, error.message, error.code, error.hint))
        self._advance()


def _not_embedded(prepared: _Prepared, unusable: Mapping[bytes, str]) -> UnusableVector:
    key, content = next(one for one in prepared.texts.items() if one[0] in unusable)
    text = content if isinstance(content, str) else content.text
    if isinstance(content, Part):
        text = text[content.start : content.end]
    start = " ".join(text.split())[:60]
    return UnusableVector(
        f"the vector of {start!r} {unusable[key]}",
        hint="Look at what the embedding model makes of this text.",
    )


async def _next(batches: AsyncGenerator[list[_Prepared], None]) -> list[_Prepared] | None:
    return await anext(batches, None)


def _recipe(settings: Settings, embedder: Embedder) -> str:
    """Digest of everything but the bytes that decides a document's text and chunks."""
    facts = [
        PARSER_VERSION,
        min(settings.chunk_tokens, embedder.max_tokens),
        settings.chunk_overlap,
        embedder.max_tokens,
        embedder.space.revision,
        settings.max_text_chars,
        has_ocr(),
        *chunking_facts(settings, embedder),
        settings.near_duplicates,
    ]
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:32]
