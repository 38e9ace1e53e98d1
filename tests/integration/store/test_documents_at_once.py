"""Many documents stored at once are what they are when stored one by one."""

from typing import Any

import pytest
from sqlalchemy import select

from rostra.core import CollectionNotFound, EmbeddingSpace, new_id
from rostra.store import (
    Collection,
    Database,
    create_collection,
    get_collection,
    put_document,
    put_documents,
)
from rostra.store.tables import ChunkRow, DocumentRow

_OWN = {"id", "collection_id", "document_id", "created_at", "updated_at", "generation"}


async def contents(database: Database, collection: Collection) -> list[tuple[Any, ...]]:
    """All documents with their chunks, without ids, times and generations."""
    found = []
    async with database.read() as session:
        for row, kind in ((DocumentRow, "document"), (ChunkRow, "chunk")):
            columns = [c for c in row.__table__.columns if c.name not in _OWN]
            query = select(*columns).where(row.__table__.c.collection_id == collection.id)
            found += [(kind, *map(repr, values)) for values in await session.execute(query)]
    return sorted(found)


async def test_they_are_as_one_by_one(
    database: Database, collection: Collection, space: EmbeddingSpace, make_document: Any
) -> None:
    old = [make_document("a", "One.\n\nTwo."), make_document("b", "Three.")]
    batch = [
        make_document("c", "New.\n\nWith two.", metadata={"größe": 1}),
        make_document("a", "Replaced."),
        make_document("d", ""),
        make_document("c", "Twice in a batch: the last counts."),
    ]
    async with database.write() as session:
        other = await create_collection(session, "one-by-one", space)
        for document in [*old, *batch]:
            await put_document(session, other.id, document)
    async with database.write() as session:
        before = await put_documents(session, collection.id, old)
    async with database.read() as session:
        then = (await get_collection(session, collection.name)).generation
    async with database.write() as session:
        ids = await put_documents(session, collection.id, batch)
    assert await contents(database, collection) == await contents(database, other)
    assert ids[1] == before[0], "a replaced document keeps its id"
    assert ids[0] == ids[3] and len({*ids, *before}) == 4

    async with database.read() as session:
        now = (await get_collection(session, collection.name)).generation
        query = select(DocumentRow.uri, DocumentRow.generation).where(
            DocumentRow.collection_id == collection.id
        )
        written = {row.uri: row.generation for row in await session.execute(query)}
    assert {uri for uri, generation in written.items() if generation > then} == {"a", "c", "d"}
    assert max(written.values()) == now


async def test_none_and_no_collection(
    database: Database, collection: Collection, make_document: Any
) -> None:
    async with database.write() as session:
        assert await put_documents(session, collection.id, []) == []
    with pytest.raises(CollectionNotFound):
        async with database.write() as session:
            await put_documents(session, new_id(), [make_document("a", "One.")])
