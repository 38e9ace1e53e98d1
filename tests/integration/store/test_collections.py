"""Collections: names, paging, deletion with all that is in them, and their embedding space."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from rostra.core import (
    CollectionExists,
    CollectionNotFound,
    EmbeddingSpace,
    InvalidRequest,
    SpaceMismatch,
)
from rostra.store import (
    Collection,
    CollectionSize,
    Database,
    collection_size,
    create_chat,
    create_collection,
    delete_collection,
    ensure_collection,
    ensure_space,
    get_collection,
    list_collections,
)
from rostra.store.tables import Base, SpaceRow


async def test_what_is_made_is_found(database: Database, space: EmbeddingSpace) -> None:
    async with database.write() as session:
        made = await create_collection(session, "Größe-1.x_y", space, "What it is for")
    async with database.read() as session:
        assert await get_collection(session, "Größe-1.x_y") == made
        assert await collection_size(session, made.id) == CollectionSize(0, 0)
    assert (made.description, made.space, made.generation) == ("What it is for", space, 0)


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "-a", ".a", "_a", "a/b", "../a", "a\x00", "a\n", "\ud800", "a" * 129, "a'--"],
)
async def test_a_malformed_name_is_refused(
    name: str, database: Database, space: EmbeddingSpace
) -> None:
    with pytest.raises(InvalidRequest):
        async with database.write() as session:
            await create_collection(session, name, space)
    with pytest.raises(InvalidRequest):
        async with database.write() as session:
            await ensure_collection(session, name, space)
    async with database.read() as session:
        with pytest.raises(CollectionNotFound):
            await get_collection(session, name)


async def test_a_name_is_taken_once(
    database: Database, collection: Collection, space: EmbeddingSpace
) -> None:
    with pytest.raises(CollectionExists, match="papers"):
        async with database.write() as session:
            await create_collection(session, "papers", space)
    async with database.write() as session:
        assert await ensure_collection(session, "papers", space) == collection
        assert (await create_collection(session, "Papers", space)).id != collection.id


async def test_one_of_several_that_make_the_same_collection_at_once_does(
    database: Database, space: EmbeddingSpace
) -> None:
    async def make() -> Collection:
        async with database.write() as session:
            return await create_collection(session, "papers", space)

    async def ensure() -> Collection:
        async with database.write() as session:
            return await ensure_collection(session, "drafts", space)

    made = await asyncio.gather(*(make() for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(one, Collection) for one in made) == 1
    assert sum(isinstance(one, CollectionExists) for one in made) == 5
    ensured = await asyncio.gather(*(ensure() for _ in range(6)))
    assert len({one.id for one in ensured}) == 1
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(SpaceRow)) == 1


async def test_another_space_is_refused_with_a_way_out(
    database: Database, collection: Collection, space: EmbeddingSpace
) -> None:
    renamed = replace(space, model="/models/four")
    other = replace(space, dimensions=3)
    async with database.write() as session:
        assert (await ensure_collection(session, "papers", renamed)).id == collection.id
        with pytest.raises(SpaceMismatch, match=r"4 dimensions.*3 dimensions") as caught:
            await ensure_collection(session, "papers", other)
    assert caught.value.hint is not None


async def test_equal_spaces_are_one_row(database: Database, space: EmbeddingSpace) -> None:
    async with database.write() as session:
        first = await ensure_space(session, space)
        assert (await ensure_space(session, replace(space, model="other"))).id == first.id
        assert (await ensure_space(session, replace(space, rotation="1" * 64))).id != first.id


async def test_pages_are_by_name(database: Database, space: EmbeddingSpace) -> None:
    names = [f"c{n}" for n in range(7)]
    async with database.write() as session:
        for name in reversed(names):
            await create_collection(session, name, space)
    async with database.read() as session:
        pages = [await list_collections(session, 3, offset) for offset in (0, 3, 6, 9)]
    assert [[c.name for c in page] for page, _ in pages] == [names[:3], names[3:6], names[6:], []]
    assert {total for _, total in pages} == {7}


async def test_a_deleted_collection_leaves_nothing_but_its_space(
    database: Database, collection: Collection, space: EmbeddingSpace, make_document: Any, put: Any
) -> None:
    async with database.write() as session:
        await put(session, collection, make_document("a", "one\n\ntwo"))
        await create_chat(session, collection.id, "about")
        kept = await create_collection(session, "kept", space)
        await put(session, kept, make_document("a", "one"))
    async with database.write() as session:
        assert await delete_collection(session, "papers") == collection.id
        with pytest.raises(CollectionNotFound):
            await delete_collection(session, "papers")
    async with database.read() as session:
        with pytest.raises(CollectionNotFound):
            await get_collection(session, "papers")
        rows = {
            table.name: await session.scalar(select(func.count()).select_from(table))
            for table in Base.metadata.tables.values()
        }
    assert rows == {
        "embedding_spaces": 1,
        "collections": 1,
        "documents": 1,
        "document_removals": 0,
        "chunks": 1,
        "chunk_bands": 0,
        "vectors": 1,
        "chats": 0,
        "messages": 0,
        "ratings": 0,
        "jobs": 0,
        "files": 0,
        "batches": 0,
        "runs": 0,
        "run_events": 0,
        "memories": 0,
        "tool_pins": 0,
        "graphs": 0,
        "graph_reads": 0,
        "graph_entities": 0,
        "graph_mentions": 0,
        "graph_relations": 0,
        "graph_communities": 0,
        "graph_members": 0,
        "graph_passages": 0,
    }
