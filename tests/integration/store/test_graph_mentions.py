"""Mentions added between builds: of what is there, once, and counted."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from rostra.store import (
    Collection,
    Database,
    Entity,
    Graph,
    add_mentions,
    chunks_of_documents,
    drop_graph,
    entity_id,
    graph_state,
    hold_graph,
    put_graph,
    stored_graph,
)


@pytest.fixture
async def chunks(
    database: Database, collection: Collection, make_document: Any, put: Any
) -> list[UUID]:
    """Three chunks, the first two of which mention an entity."""
    async with database.write() as session:
        document = await put(session, collection, make_document("a", "one\n\ntwo\n\nthree"))
        ids = [chunk.id for chunk in await chunks_of_documents(session, [document])]
        known = entity_id(collection.id, "known")
        graph = Graph(
            [Entity(known, "known", "Known", "term", 2)],
            {(known, ids[0]): 1, (known, ids[1]): 2},
        )
        await put_graph(session, collection.id, graph, recipe="r", generation=1)
    return ids


async def test_only_what_is_there_is_added_and_only_once(
    database: Database, collection: Collection, chunks: list[UUID]
) -> None:
    known = entity_id(collection.id, "known")
    wanted = {
        (known, chunks[2]): 2,
        (known, chunks[0]): 2,
        (known, uuid4()): 1,
        (entity_id(collection.id, "unknown"), chunks[2]): 1,
    }
    for _ in range(2):
        async with database.write() as session:
            assert await hold_graph(session, collection.id) is not None
            await add_mentions(session, collection.id, wanted)
    async with database.read() as session:
        graph = await stored_graph(session, collection.id)
        state = await graph_state(session, collection.id)
    # What a build wrote stays as it is.
    assert graph.mentions == {(known, chunks[0]): 1, (known, chunks[1]): 2, (known, chunks[2]): 2}
    assert [one.df for one in graph.entities] == [3]
    assert state is not None and state.chunks == 3


async def test_what_another_collection_has_is_not_mentioned(
    database: Database, collection: Collection, chunks: list[UUID]
) -> None:
    known = entity_id(collection.id, "known")
    async with database.write() as session:
        await add_mentions(session, uuid4(), {(known, chunks[2]): 1})
    async with database.read() as session:
        assert len((await stored_graph(session, collection.id)).mentions) == 2


async def test_no_graph_is_held_where_there_is_none(
    database: Database, collection: Collection, chunks: list[UUID]
) -> None:
    async with database.write() as session:
        assert await drop_graph(session, collection.id)
        assert await hold_graph(session, collection.id) is None
        assert await hold_graph(session, uuid4()) is None
