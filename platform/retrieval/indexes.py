"""The indexes of all collections in this process, kept at the rows' generation.

What always holds: `current` returns an index at least as new as the collection's generation when it
was asked; two callers never build the same index twice; a half-built index is never seen.
"""

import asyncio
from pathlib import Path
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from rostra.core import CollectionNotFound, FloatMatrix, Logger, Settings, get_logger
from rostra.retrieval.analysis import EnglishAnalyzer
from rostra.retrieval.cache import IndexCache
from rostra.retrieval.dense import DenseIndex, make_dense_index
from rostra.retrieval.index import (
    Changes,
    CollectionIndex,
    empty_index,
    follow,
    stale_documents,
)
from rostra.store import Collection, Database, document_stamps, get_collection, index_rows

log: Logger = get_logger(__name__)


class Indexes:
    """Follows every collection that is searched."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._kind = settings.dense_index
        self._analyzer = EnglishAnalyzer()
        self._cache = IndexCache(
            Path(settings.home) / "indexes", self._analyzer.name, settings.dense_index
        )
        self._loaded: dict[UUID, CollectionIndex] = {}
        self._locks: dict[UUID, asyncio.Lock] = {}

    def query_terms(self, query: str) -> list[str]:
        """The query as the lexical sides of these indexes see it."""
        return self._analyzer.terms(query)

    async def current(self, collection: Collection) -> CollectionIndex:
        """The collection's index, brought up to date first if its rows have moved on."""
        loaded = self._loaded.get(collection.id)
        if loaded is not None and _is_current(loaded, collection):
            return loaded
        async with self._locks.setdefault(collection.id, asyncio.Lock()):
            loaded = self._loaded.get(collection.id)
            if loaded is None or not _is_current(loaded, collection):
                loaded = await self._bring_up(collection, loaded)
                self._loaded[collection.id] = loaded
        return loaded

    async def save(self, collection_name: str) -> None:
        """Brings a collection's index up to date and keeps it for the next start.

        Raises:
            CollectionNotFound: there is none of this name.
        """
        async with self._database.read() as session:
            collection = await get_collection(session, collection_name)
        index = await self.current(collection)
        try:
            await asyncio.to_thread(self._cache.save, index)
        except OSError as error:
            # The index is a cache: without it the next start is slower, nothing else.
            log.warning("index not saved", collection=collection.name, reason=str(error))

    def drop(self, collection_id: UUID) -> None:
        """Forgets a collection that was deleted."""
        self._loaded.pop(collection_id, None)
        self._locks.pop(collection_id, None)
        self._cache.drop(collection_id)

    async def _bring_up(
        self, collection: Collection, older: CollectionIndex | None
    ) -> CollectionIndex:
        if older is None or older.space != collection.space.fingerprint:
            older = await asyncio.to_thread(
                self._cache.load, collection.id, collection.space.fingerprint
            )
        if older is None:
            older = empty_index(
                collection.id,
                collection.space.fingerprint,
                collection.space.dimensions,
                self._make_dense,
            )
        async with self._database.read() as session:
            # Read again: the rows below belong to this snapshot, not to the caller's.
            now = await get_collection(session, collection.name)
            if now.id != collection.id:
                raise CollectionNotFound(f"collection {collection.name!r} was deleted meanwhile")
            if now.space_id == collection.space_id:
                changes = await _changes(session, now, older)
        if now.space_id != collection.space_id:  # it was embedded anew meanwhile
            return await self._bring_up(now, None)
        if changes.generation == older.generation:
            return older
        log.info(
            "index follows",
            collection=collection.name,
            generation=changes.generation,
            changed_chunks=len(changes.rows),
        )
        return await asyncio.to_thread(follow, older, changes, self._analyzer, self._make_dense)

    def _make_dense(self, vectors: FloatMatrix) -> DenseIndex:
        return make_dense_index(vectors, self._kind)


def _is_current(index: CollectionIndex, collection: Collection) -> bool:
    return index.generation >= collection.generation and index.space == collection.space.fingerprint


async def _changes(session: AsyncSession, now: Collection, older: CollectionIndex) -> Changes:
    stamps = await document_stamps(session, now.id)
    stale = stale_documents(older, stamps)
    # Beyond a share of the collection one scan is quicker than many look-ups.
    wanted = stale if len(stale) * 2 < len(stamps) else None
    rows = await index_rows(session, now.id, now.space_id, wanted) if stale else []
    chosen = set(stale)
    return Changes(now.generation, stamps, [row for row in rows if row.document_id in chosen])
