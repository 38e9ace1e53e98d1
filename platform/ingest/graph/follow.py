"""Puts chunks that come after a build into the graph, as far as it knows their names.

Entities, relations and communities stay as the last build made them; the next one makes all anew,
and need not read these chunks again.

What always holds: a chunk is read and its mentions are there in one commit, or neither; nothing is
done where there is no graph, or one that was read by other rules, all of whose chunks would have to
be read again.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from rostra.ingest.graph.mentioned import Standing, mentioned_names
from rostra.ingest.graph.reading import ChunkNames, packed, read_by_rules
from rostra.retrieval import NameKind, NameReader
from rostra.store import (
    Database,
    Entity,
    GraphState,
    Read,
    UnreadChunk,
    add_mentions,
    entities_by_id,
    entity_id,
    graph_state,
    hold_graph,
    put_reads,
    unread_chunks,
)

_BATCH = 500


class GraphFollower:
    """See this module.

    Args:
        database: where the collection is.
        collection_id: whose graph.
    """

    def __init__(self, database: Database, collection_id: UUID) -> None:
        self._database = database
        self._collection = collection_id
        self._reader = NameReader()

    async def follow(self) -> int:
        """Takes in the chunks that were not read yet; returns how many."""
        taken = 0
        while batch := await self._unread():
            names = await asyncio.to_thread(self._read, batch)
            if not await self._put(names):
                break
            taken += len(batch)
        return taken

    async def _unread(self) -> list[UnreadChunk]:
        async with self._database.read() as session:
            if not self._serves(await graph_state(session, self._collection)):
                return []
            return await unread_chunks(session, self._collection, self._reader.recipe, _BATCH)

    def _serves(self, state: GraphState | None) -> bool:
        return state is not None and state.recipe == self._reader.recipe

    def _read(self, batch: Sequence[UnreadChunk]) -> dict[UUID, ChunkNames]:
        return {
            chunk.id: read_by_rules(self._reader, chunk.title, chunk.context, chunk.text)
            for chunk in batch
        }

    async def _put(self, names: Mapping[UUID, ChunkNames]) -> bool:
        """Keeps what was read of chunks; False where the graph went meanwhile."""
        recipe = self._reader.recipe
        reads = {chunk: Read(recipe, packed(found)) for chunk, found in names.items()}
        async with self._database.write() as session:
            if not self._serves(await hold_graph(session, self._collection)):
                return False
            await put_reads(session, self._collection, reads)
            await mention(session, self._collection, names)
        return True


async def mention(
    session: AsyncSession, collection_id: UUID, names: Mapping[UUID, ChunkNames]
) -> None:
    """Puts chunks into a graph that is held, as far as it knows what was read of them."""
    keys = {name.key for found in names.values() for name in found.names}
    ids = {key: entity_id(collection_id, key) for key in keys}
    known = await entities_by_id(session, ids.values())
    await add_mentions(session, collection_id, _mentions(names, known.values(), ids))


def _mentions(
    names: Mapping[UUID, ChunkNames], entities: Iterable[Entity], ids: Mapping[str, int]
) -> dict[tuple[int, UUID], int]:
    """Weights of what chunks mention of the entities there are, by the rules of a build."""
    standing = {one.key: Standing(NameKind[one.kind.upper()], one.df) for one in entities}
    return {
        (ids[key], chunk): weight
        for chunk, found in names.items()
        for key, weight in mentioned_names(found.names, standing)
    }
