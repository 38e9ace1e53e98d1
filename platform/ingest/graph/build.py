"""Builds a collection's graph: reads the chunks that are new, then makes the graph anew.

What always holds: a chunk is read once, whatever was deleted or rewritten beside it, and chunks of
equal content under equal headings are read once together; broken off, the next build goes on with
what is left; the graph that comes out is the one that a build from nothing would make; searches use
the old graph until the new one is there whole.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from rostra.core import ChatModel, InvalidRequest, ModelUnavailable, Overloaded, get_logger
from rostra.ingest.graph.asking import ask_for_names
from rostra.ingest.graph.communities import TOLD_PASSAGES, find_communities, with_sentences
from rostra.ingest.graph.follow import mention
from rostra.ingest.graph.making import NamedChunk, make_entities
from rostra.ingest.graph.reading import joined, packed, read_by_rules, unpacked
from rostra.retrieval import NameReader
from rostra.store import (
    Collection,
    Database,
    Graph,
    Read,
    ReadContent,
    UnreadChunk,
    chunk_texts,
    count_unread,
    drop_graph,
    get_collection,
    put_graph,
    put_reads,
    read_chunks,
    reads_beside,
    reads_by_content,
    unread_chunks,
)

log = get_logger(__name__)

MOST_CHUNKS = 500_000
_BATCH = 500
_ASKED_AT_ONCE = 4
_MOST_RECIPE = 64


@dataclass(frozen=True, slots=True)
class GraphProgress:
    """How far a build is.

    Attributes:
        stage: `read`, `ask` or `make`.
        done: chunks of the stage.
        total: of the stage; 0 where it is not counted.
    """

    stage: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class GraphReport:
    """What a build did.

    Attributes:
        read: chunks that were read by rules.
        asked: chunks that a model read.
        not_told: of which it told nothing that could be used; they were read by rules alone.
        chunks: that mention an entity.
    """

    collection: str
    read: int
    asked: int
    not_told: int
    chunks: int
    entities: int
    relations: int
    communities: int

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)


OnGraphProgress = Callable[[GraphProgress], None]


class GraphBuilder:
    """See this module.

    Args:
        database: where the collection is.
        model: reads chunks too; None leaves them to the rules.
        budget: most chunks that the model is asked about in one build.
    """

    def __init__(self, database: Database, model: ChatModel | None = None, budget: int = 0) -> None:
        self._database = database
        self._model = model if budget > 0 else None
        self._budget = budget
        self._reader = NameReader()
        self._recipe = self._reader.recipe

    async def build(self, name: str, on_progress: OnGraphProgress = lambda _: None) -> GraphReport:
        """Brings the graph of a collection up to date, or makes it.

        Raises:
            CollectionNotFound: there is none of this name.
            InvalidRequest: it has too many chunks for a graph.
        """
        async with self._database.read() as session:
            collection = await get_collection(session, name)
        read = await self._read(collection, on_progress)
        asked, silent = await self._ask(collection, on_progress)
        on_progress(GraphProgress("make", 0, 0))
        async with self._database.read() as session:
            now = await get_collection(session, name)
            kept = await read_chunks(session, collection.id, MOST_CHUNKS + 1)
        if len(kept) > MOST_CHUNKS:
            raise InvalidRequest(
                f"collection {name!r} has more than {MOST_CHUNKS} chunks, too many for a graph"
            )
        graph = await asyncio.to_thread(
            _make,
            collection,
            [NamedChunk(one.id, one.document_id, unpacked(one.found)) for one in kept],
        )
        told = {
            passage.chunk_id
            for one in graph.communities
            for passage in one.passages[:TOLD_PASSAGES]
        }
        async with self._database.read() as session:
            texts = await chunk_texts(session, told)
        communities = await asyncio.to_thread(with_sentences, graph.communities, texts)
        whole = Graph(graph.entities, graph.mentions, graph.relations, communities)
        async with self._database.write() as session:
            state = await put_graph(
                session,
                collection.id,
                whole,
                recipe=self._recipe,
                generation=now.generation,
            )
            # What followed the old graph meanwhile is read, and nobody would come back to it.
            late = await reads_beside(session, collection.id, {one.id for one in kept})
            if late:
                names = {chunk: unpacked(found) for chunk, found in late.items()}
                await mention(session, collection.id, names)
        return GraphReport(
            name,
            read,
            asked,
            silent,
            state.chunks,
            state.entities,
            state.relations,
            state.communities,
        )

    async def drop(self, name: str) -> bool:
        """Removes the graph of a collection; whether there was one.

        Raises:
            CollectionNotFound: there is no collection of this name.
        """
        async with self._database.write() as session:
            collection = await get_collection(session, name)
            return await drop_graph(session, collection.id)

    async def _read(self, collection: Collection, on_progress: OnGraphProgress) -> int:
        """Reads by rules what was not read yet; returns the number of chunks."""
        recipe = self._recipe
        async with self._database.read() as session:
            total = await count_unread(session, collection.id, recipe)
        done = 0
        while True:
            batch, known = await self._batch(collection, recipe, _BATCH)
            if not batch:
                return done
            found = await asyncio.to_thread(self._by_rules, batch, known)
            async with self._database.write() as session:
                await put_reads(session, collection.id, found)
            done += len(batch)
            on_progress(GraphProgress("read", done, max(total, done)))

    async def _ask(self, collection: Collection, on_progress: OnGraphProgress) -> tuple[int, int]:
        """Asks the model about chunks; returns how many, and how many it told nothing of."""
        if self._model is None:
            return 0, 0
        model = self._model
        recipe = (self._recipe + model.name)[:_MOST_RECIPE]
        async with self._database.read() as session:
            total = min(self._budget, await count_unread(session, collection.id, recipe))
        asked = silent = 0
        while asked < self._budget:
            batch, known = await self._batch(
                collection, recipe, min(_ASKED_AT_ONCE, self._budget - asked)
            )
            if not batch:
                break
            # Equal contents are asked about once.
            fresh = {one.content: one for one in batch if one.content not in known}
            try:
                told = await asyncio.gather(
                    *(ask_for_names(model, self._reader, chunk.text) for chunk in fresh.values())
                )
            except (ModelUnavailable, Overloaded) as error:
                # These chunks have their rules; another build asks again.
                log.warning("no more chunks are asked about", reason=error.message)
                break
            for content, chunk, answer in zip(fresh, fresh.values(), told, strict=True):
                own = read_by_rules(self._reader, chunk.title, chunk.context, chunk.text)
                both = own if answer is None else joined(own, answer)
                known[content] = Read(recipe, packed(both))
            async with self._database.write() as session:
                await put_reads(
                    session, collection.id, {one.id: known[one.content] for one in batch}
                )
            asked += len(batch)
            silent += told.count(None)
            on_progress(GraphProgress("ask", asked, max(total, asked)))
        return asked, silent

    async def _batch(
        self, collection: Collection, recipe: str, size: int
    ) -> tuple[list[UnreadChunk], dict[ReadContent, Read]]:
        """Chunks to read, and what was read from others of the same content."""
        async with self._database.read() as session:
            batch = await unread_chunks(session, collection.id, recipe, size)
            hashes = [chunk.content_hash for chunk in batch]
            return batch, await reads_by_content(session, collection.id, recipe, hashes)

    def _by_rules(
        self, batch: Sequence[UnreadChunk], known: Mapping[ReadContent, Read]
    ) -> dict[UUID, Read]:
        return {
            chunk.id: known.get(chunk.content)
            or Read(
                self._recipe,
                packed(read_by_rules(self._reader, chunk.title, chunk.context, chunk.text)),
            )
            for chunk in batch
        }


def _make(collection: Collection, chunks: Sequence[NamedChunk]) -> Graph:
    graph = make_entities(collection.id, chunks)
    communities = find_communities(collection.id, graph, chunks)
    return Graph(graph.entities, graph.mentions, graph.relations, communities)
