"""The indexes of all collections in this process, kept at the rows' generation.

What always holds: `current` returns an index at least as new as the collection's generation when it
was asked; two callers never follow the same change twice; what follows is never seen half way. A
change costs what it changes: neither the other documents nor their stamps are read. What takes long
(training, writing anew without what is gone, checking files) runs beside searches.
"""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from uuid import UUID

import numpy as np
import numpy.typing as npt
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.core import (
    CollectionNotFound,
    Logger,
    RostraError,
    Settings,
    StoreUnavailable,
    get_logger,
)
from rostra.retrieval.analysis import make_analyzer
from rostra.retrieval.collection import Changes, CollectionWriter, Identity
from rostra.retrieval.dense import DenseOptions
from rostra.retrieval.folders import IndexFolders
from rostra.retrieval.held import HeldIndex
from rostra.retrieval.index import CollectionIndex
from rostra.retrieval.lexical import (
    Bm25,
    DamagedIndex,
    LexicalQuery,
    LexicalReader,
    ParsedQuery,
    Variant,
    analyzed_query,
)
from rostra.retrieval.table import Ids
from rostra.store import (
    Collection,
    Database,
    DocumentStamp,
    IndexRows,
    WrittenDocuments,
    get_collection,
    read_at_once,
    removals_are_known,
    removed_documents,
    rows_to_index,
    stamps_of,
    written_documents,
)

log: Logger = get_logger(__name__)

# Documents and chunks that are taken in at once, about; and documents that are read at once.
_BATCH = 4_000
_ROWS = 10_000
_PAGE = 500
# Chunks taken in after which a long way is noted down.
_CHECKPOINT = 60_000
# `auto` looks at every vector below this; few are as quickly compared as coded.
_FEWEST_CODED = 1024


def dense_options(settings: Settings) -> DenseOptions:
    """How the settings want vectors searched."""
    device = settings.device if settings.device.startswith("cuda") else "cuda"
    uri = settings.milvus_uri or str(Path(settings.home) / "milvus.db")
    if settings.dense_index == "auto":
        return DenseOptions(kind="auto", train_at=_FEWEST_CODED)
    return DenseOptions(kind=settings.dense_index, device=device, milvus_uri=uri)


def lexical_model(settings: Settings) -> Bm25:
    """How the settings want terms scored."""
    return Bm25(Variant(settings.bm25), k1=settings.bm25_k1, b=settings.bm25_b)


class Indexes:
    """Follows every collection that is searched. For one event loop."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._analyzer = make_analyzer(settings.analyzer)
        self._folders = IndexFolders(
            Path(settings.home) / "indexes",
            self._analyzer,
            dense_options(settings),
            lexical_model(settings),
        )
        self._held: dict[UUID, HeldIndex] = {}
        self._following: dict[UUID, asyncio.Task[CollectionIndex]] = {}

    def query_terms(self, query: str) -> list[str]:
        """The query as the lexical sides of these indexes see it."""
        return self._analyzer.terms(query)

    def analyzed(self, query: ParsedQuery, readers: Sequence[LexicalReader]) -> LexicalQuery:
        """A query with phrases and prefixes, as these readers see it."""
        return analyzed_query(query, self._analyzer, readers)

    async def current(self, collection: Collection) -> CollectionIndex:
        """The collection's index, brought up to date first if its rows have moved on.

        Raises:
            CollectionNotFound: it was deleted meanwhile.
            StoreUnavailable: there is no room for its index.
        """
        try:
            return await self._current(collection)
        except OSError as error:
            raise StoreUnavailable(
                f"cannot index collection {collection.name!r}: {error.strerror or error}",
                hint="See that the data directory's disk has room and may be written to.",
            ) from error

    def ready(self, collection: Collection) -> CollectionIndex | None:
        """What `current` gives, where nothing has to be done for it first. From any thread."""
        held = self._held.get(collection.id)
        return held.index_for(collection) if held is not None else None

    async def save(self, collection_name: str) -> None:
        """Brings a collection's index up to date and keeps it for the next start.

        Nothing is done where another process keeps it: that one follows by itself.

        Raises:
            CollectionNotFound: there is none of this name.
        """
        async with self._database.read() as session:
            collection = await get_collection(session, collection_name)
        held = self._held.get(collection.id)
        if held is None or not held.is_kept:
            if not await asyncio.to_thread(self._folders.may_keep, collection.id):
                return
            if held is not None:
                held.reopen = True
        try:
            await self._current(collection)
        except OSError as error:
            # The index is a cache: the next search is slower, nothing else.
            log.warning("index not saved", collection=collection.name, reason=str(error))
            return
        held = self._held.get(collection.id)
        if held is not None:
            await asyncio.to_thread(held.maintain)

    def rebuild(self, collection_id: UUID, error: DamagedIndex) -> None:
        """Has a collection's index built anew by the next search: a file of it is damaged."""
        held = self._held.get(collection_id)
        if held is not None:
            held.rebuild(error)

    def drop(self, collection_id: UUID) -> None:
        """Forgets a collection that was deleted."""
        held = self._held.pop(collection_id, None)
        if held is None or held.end(flush=False, patience=0):
            self._folders.drop(collection_id)
            return

        def later() -> None:
            held.end(flush=False, patience=-1)
            self._folders.drop(collection_id)

        threading.Thread(target=later, name=f"drop {collection_id}", daemon=True).start()

    async def close(self) -> None:
        """Writes down what is new, and lets other processes keep the indexes."""
        if self._following:
            await asyncio.wait(list(self._following.values()))
        while self._held:
            _, held = self._held.popitem()
            await asyncio.to_thread(held.end)

    # --- Within ---------------------------------------------------------------------------------
    async def _current(self, collection: Collection) -> CollectionIndex:
        while True:
            index = self.ready(collection)
            if index is not None:
                return index
            index = await self._follow(collection)
            # It may have been embedded anew since the caller looked; then it is newer.
            if index.generation >= collection.generation:
                return index

    async def _follow(self, collection: Collection) -> CollectionIndex:
        """One task a collection: a caller that is cancelled leaves no change half taken in."""
        task = self._following.get(collection.id)
        # One that has ended knows nothing of what was written since, and to wait for it again and
        # again is not to wait: it would never be put away.
        if task is None or task.done():
            task = asyncio.create_task(self._brought_up(collection))
            self._following[collection.id] = task
            task.add_done_callback(lambda done: self._followed(collection.id, done))
        return await asyncio.shield(task)

    def _followed(self, collection_id: UUID, task: "asyncio.Task[CollectionIndex]") -> None:
        if self._following.get(collection_id) is task:
            del self._following[collection_id]
        if not task.cancelled():
            task.exception()  # whoever waits raises it; nobody may be left

    async def _brought_up(self, collection: Collection) -> CollectionIndex:
        wanted = collection
        rebuilt = False
        while True:
            held = await self._opened(wanted)
            try:
                found = await self._caught_up(held, wanted)
            except DamagedIndex as error:
                await self._give_up(held, wanted.id, forget=True)
                if rebuilt:
                    raise StoreUnavailable(f"the index of {wanted.name!r}: {error}") from error
                log.warning("index built anew", collection=wanted.name, reason=str(error))
                rebuilt = True
                continue
            except CollectionNotFound:
                await self._give_up(held, wanted.id)
                if held.is_kept:
                    await asyncio.to_thread(self._folders.drop, wanted.id)
                raise
            except RostraError:
                raise  # what is taken in twice does no harm
            except Exception as error:
                # Half of a change may be in: what was flushed is not touched by that.
                log.warning("index not brought up", collection=wanted.name, reason=str(error))
                await self._give_up(held, wanted.id)
                raise
            if isinstance(found, CollectionIndex):
                return found
            wanted = found  # it was embedded anew meanwhile

    async def _opened(self, collection: Collection) -> HeldIndex:
        identity = Identity(
            collection.id, collection.space.fingerprint, collection.space.dimensions
        )
        held = self._held.get(collection.id)
        if held is not None and not held.reopen and held.writer.identity == identity:
            return held
        if held is not None:
            self._held.pop(collection.id)
            await asyncio.to_thread(held.end, patience=-1)
        opened = await asyncio.to_thread(self._folders.open, identity)
        held = self._held[collection.id] = HeldIndex(self._folders, opened)
        return held

    async def _give_up(self, held: HeldIndex, collection_id: UUID, forget: bool = False) -> None:
        self._held.pop(collection_id, None)
        await asyncio.to_thread(held.end, flush=False, patience=-1, forget=forget)

    async def _caught_up(
        self, held: HeldIndex, collection: Collection
    ) -> CollectionIndex | Collection:
        """What searches see from now on; the collection where it has another space by now.

        In a thread, which may wait for whoever writes and ends soon after the event loop does.
        """
        stop = threading.Event()

        def work() -> CollectionIndex | Collection:
            now = self._catch_up(held.writer, collection, stop)
            if now.space.fingerprint != held.writer.identity.space or stop.is_set():
                return now
            return held.publish()

        try:
            return await asyncio.to_thread(work)
        finally:
            stop.set()

    def _catch_up(
        self, writer: CollectionWriter, collection: Collection, stop: threading.Event
    ) -> Collection:
        """Takes in all that is newer than a writer; returns the collection as it is by then.

        Args:
            writer: of an index.
            collection: the one it is of; nothing is done where that has another space by now.
            stop: set where nobody wants the rest any more.
        """
        news = read_at_once(self._database, partial(_news, writer=writer, collection=collection))
        if isinstance(news, Collection):
            return news
        now, removed, written = news.collection, news.removed, news.written
        if not len(removed) and not len(written):
            writer.reached(now.generation)
            return now
        log.info(
            "index follows",
            collection=now.name,
            generation=now.generation,
            changed_documents=len(removed) + len(written),
        )
        since = writer.generation
        changes, read = news.changes, news.read
        with ThreadPoolExecutor(1, "read rows") as ahead:
            while True:
                next_ = None
                if read < len(written):
                    # What is read while the last is taken in.
                    later = partial(_changes, collection=now, written=written, at=read)
                    next_ = ahead.submit(read_at_once, self._database, later)
                writer.take_in(replace(changes, removed=removed, more=next_ is not None))
                removed = removed[:0]
                if next_ is None:
                    writer.reached(now.generation)
                elif news.stepwise and writer.unflushed > _CHECKPOINT:
                    writer.reached(max(since, int(written.generations[read]) - 1))
                if writer.unflushed > _CHECKPOINT:
                    # Merged beside, too: many small segments make adding slow.
                    _noted_down(writer)
                if next_ is None or stop.is_set():
                    return now
                changes, read = next_.result()


def _noted_down(writer: CollectionWriter) -> None:
    try:
        writer.flush()
    except OSError as error:
        # What was taken in is there all the same; a crash would lose it.
        log.warning("index not saved", folder=str(writer.folder), reason=str(error))


@dataclass(frozen=True, slots=True)
class _News:
    """What the rows say beyond an index, all as of one moment.

    Attributes:
        collection: as it is.
        removed: documents that are gone.
        written: documents that are new or written again.
        stepwise: whether these are all later than the index's generation.
        changes: what the first of them say.
        read: how many these are.
    """

    collection: Collection
    removed: Ids
    written: WrittenDocuments
    stepwise: bool
    changes: Changes
    read: int


async def _news(
    session: AsyncSession, writer: CollectionWriter, collection: Collection
) -> _News | Collection:
    """What is new; the collection alone where it has another space than the writer by now."""
    # Read again: the rows below belong to this snapshot, not to the caller's.
    now = await get_collection(session, collection.name)
    if now.id != collection.id:
        raise CollectionNotFound(f"collection {collection.name!r} was deleted meanwhile")
    if now.space.fingerprint != writer.identity.space:
        return now
    since = writer.generation
    stepwise = not len(writer) or removals_are_known(now.generation, since)
    if stepwise:
        removed = await removed_documents(session, now.id, since)
        written = await written_documents(session, now.id, since)
    else:
        removed, written = _differences(writer, await written_documents(session, now.id))
    changes, read = await _changes(session, now, written, 0)
    return _News(now, removed, written, stepwise, changes, read)


async def _changes(
    session: AsyncSession, collection: Collection, written: WrittenDocuments, at: int
) -> tuple[Changes, int]:
    """Some of the documents that were written, as they are now; where the others begin."""
    stop = min(at + _BATCH, len(written))
    stamps: list[DocumentStamp] = []
    rows: list[IndexRows] = []
    while at < stop and sum(map(len, rows)) < _ROWS:
        few = written.ids[at : min(at + _PAGE, stop)]
        ids = [UUID(bytes=one.tobytes()) for one in few]
        stamps += await stamps_of(session, collection.id, ids)
        rows.append(await rows_to_index(session, collection.id, collection.space_id, ids))
        at += len(few)
    return Changes(written.ids[:0], stamps, IndexRows.joined(rows)), at


def _differences(writer: CollectionWriter, every: WrittenDocuments) -> tuple[Ids, WrittenDocuments]:
    """Documents that a writer has and that are gone, and those that it lacks or has older."""
    ids, generations = writer.known()
    gone = ~np.isin(_keys(ids), _keys(every.ids))
    same = np.isin(_keys(every.ids, every.generations), _keys(ids, generations))
    return ids[gone], WrittenDocuments(every.ids[~same], every.generations[~same])


def _keys(ids: Ids, generations: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.bytes_]:
    """Bytes that are equal where these are."""
    octets = ids
    if generations is not None:
        octets = np.hstack([ids, generations.astype("<i8").view(np.uint8).reshape(-1, 8)])
    octets = np.ascontiguousarray(octets)
    return octets.view(f"S{octets.shape[1]}")[:, 0]
