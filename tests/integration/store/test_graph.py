"""Graphs in the database: written by difference, read within bounds, gone with their documents."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from rostra.core import CollectionNotFound
from rostra.store import (
    Collection,
    Community,
    Database,
    Entity,
    Graph,
    GraphPassage,
    Read,
    best_entities,
    chunks_of_documents,
    community_id,
    community_texts,
    count_unread,
    delete_document,
    drop_graph,
    entities_by_id,
    entities_by_key,
    entity_id,
    graph_state,
    mentions_in,
    mentions_of,
    passages_of,
    put_graph,
    put_reads,
    read_chunks,
    reads_by_content,
    relations_from,
    stored_graph,
    unread_chunks,
)
from rostra.store.graph_tables import (
    CommunityRow,
    EntityRow,
    GraphReadRow,
    GraphRow,
    MemberRow,
    MentionRow,
    PassageRow,
    RelationRow,
)

TABLES = (
    GraphRow, GraphReadRow, EntityRow, MentionRow, RelationRow, CommunityRow, MemberRow, PassageRow,
)  # fmt: skip


async def counts(database: Database) -> dict[str, int]:
    async with database.read() as session:
        return {
            row.__tablename__: await session.scalar(select(func.count()).select_from(row)) or 0
            for row in TABLES
        }


@pytest.fixture
async def chunks(
    database: Database, collection: Collection, make_document: Any, put: Any
) -> list[UUID]:
    """The chunks of two documents: three of the first, one of the second."""
    async with database.write() as session:
        ids = [
            await put(session, collection, make_document("a", "Alpha one.\n\ntwo\n\nthree")),
            await put(session, collection, make_document("b", "four")),
        ]
        return [chunk.id for chunk in await chunks_of_documents(session, ids)]


def graph_of(collection: Collection, chunks: list[UUID], summary: str = "") -> Graph:
    """Three entities that a community holds; `only` is in the second document alone."""
    ids = {key: entity_id(collection.id, key) for key in ("common", "first", "only")}
    members = tuple(sorted(ids.values()))
    community = Community(
        community_id(collection.id, 0, members),
        0,
        members,
        (GraphPassage(chunks[0], 0, 5), GraphPassage(chunks[3], 0, 4)),
        summary,
    )
    return Graph(
        [Entity(id_, key, key.title(), "term", 2) for key, id_ in sorted(ids.items())],
        {
            (ids["common"], chunks[0]): 2,
            (ids["common"], chunks[3]): 1,
            (ids["first"], chunks[0]): 1,
            (ids["first"], chunks[1]): 1,
            (ids["only"], chunks[3]): 1,
        },
        {(ids["common"], ids["only"]): 70, (ids["common"], ids["first"]): 90},
        [community],
    )


async def put_whole(database: Database, collection: Collection, graph: Graph) -> None:
    async with database.write() as session:
        await put_graph(session, collection.id, graph, recipe="r", generation=1)


async def test_a_graph_comes_back_as_it_was_put(
    database: Database, collection: Collection, chunks: list[UUID]
) -> None:
    graph = graph_of(collection, chunks)
    async with database.write() as session:
        state = await put_graph(session, collection.id, graph, recipe="r", generation=7)
    async with database.read() as session:
        assert await stored_graph(session, collection.id) == graph
        assert await graph_state(session, collection.id) == state
    assert (state.chunks, state.entities, state.relations, state.communities) == (3, 3, 2, 1)
    assert state.generation == 7


async def test_only_what_differs_is_written(
    database: Database, collection: Collection, chunks: list[UUID]
) -> None:
    whole = graph_of(collection, chunks)
    await put_whole(database, collection, whole)
    ids = {one.key: one.id for one in whole.entities}
    changed = Graph(
        [Entity(ids["common"], "common", "COMMON", "code", 9), *whole.entities[1:]],
        {**whole.mentions, (ids["common"], chunks[0]): 1, (ids["common"], chunks[2]): 2},
        {(ids["common"], ids["first"]): 10, (ids["first"], ids["only"]): 5},
        [],
    )
    await put_whole(database, collection, changed)
    async with database.read() as session:
        assert await stored_graph(session, collection.id) == changed
    await put_whole(database, collection, Graph())
    found = await counts(database)
    assert found.pop("graphs") == 1
    assert set(found.values()) == {0}


async def test_what_was_deleted_meanwhile_is_left_out(
    database: Database, collection: Collection, chunks: list[UUID]
) -> None:
    graph = graph_of(collection, [*chunks[:3], uuid4()])
    async with database.write() as session:
        state = await put_graph(session, collection.id, graph, recipe="r", generation=1)
    assert (state.entities, state.relations, state.communities) == (2, 1, 0)


async def test_a_collection_that_is_gone_gets_no_graph(database: Database) -> None:
    with pytest.raises(CollectionNotFound):
        async with database.write() as session:
            await put_graph(session, uuid4(), Graph(), recipe="r", generation=1)


async def test_builds_at_once_take_turns(
    database: Database, collection: Collection, chunks: list[UUID]
) -> None:
    graph = graph_of(collection, chunks)
    await asyncio.gather(*(put_whole(database, collection, graph) for _ in range(4)))
    async with database.read() as session:
        assert await stored_graph(session, collection.id) == graph


async def test_look_ups_are_bounded_and_in_order(
    database: Database, collection: Collection, chunks: list[UUID]
) -> None:
    graph = graph_of(collection, chunks)
    await put_whole(database, collection, graph)
    ids = {one.key: one.id for one in graph.entities}
    async with database.read() as session:
        found = await entities_by_key(session, collection.id, ["first", "none", "only"], 5)
        assert [one.key for one in found] == ["first", "only"]
        assert len(await entities_by_key(session, collection.id, list(ids), 1)) == 1
        assert await entities_by_key(session, uuid4(), list(ids), 5) == []
        assert len(await best_entities(session, collection.id, 2)) == 2
        assert set(await entities_by_id(session, [ids["only"], 1])) == {ids["only"]}
        near = await relations_from(session, list(ids.values()), 5)
        assert [row[2] for row in near] == [90, 70]
        assert len(await relations_from(session, list(ids.values()), 1)) == 1
        inside = await mentions_in(session, collection.id, [chunks[0]], 5)
        assert {(row[0], row[2]) for row in inside} == {(ids["common"], 2), (ids["first"], 1)}
        assert await mentions_in(session, uuid4(), [chunks[0]], 5) == []
        assert len(await mentions_of(session, list(ids.values()), 3)) == 3
        told = await community_texts(session, collection.id, most=5, names=2)
        assert [(one.size, len(one.names), one.summary) for one in told] == [(3, 2, "Alpha four")]
        assert await passages_of(session, [told[0].id]) == {told[0].id: [chunks[0], chunks[3]]}


@pytest.mark.parametrize("summary", ["", "Written by a model."])
async def test_a_deleted_document_takes_all_that_was_of_it(
    summary: str,
    database: Database,
    collection: Collection,
    chunks: list[UUID],
) -> None:
    graph = graph_of(collection, chunks, summary)
    ids = {one.key: one.id for one in graph.entities}
    await put_whole(database, collection, graph)
    async with database.write() as session:
        await put_reads(session, collection.id, dict.fromkeys(chunks, Read("r", b"said")))
    async with database.write() as session:
        (second,) = [
            one.document_id
            for one in await read_chunks(session, collection.id, 10)
            if one.id == chunks[3]
        ]
        await delete_document(session, second)
    async with database.read() as session:
        left = await stored_graph(session, collection.id)
        assert {one.id for one in left.entities} == {ids["common"], ids["first"]}
        assert set(left.mentions) == {key for key in graph.mentions if key[1] != chunks[3]}
        assert set(left.relations) == {(ids["common"], ids["first"])}
        # What a model wrote of several texts goes with any of them; a passage goes alone.
        told = await community_texts(session, collection.id, most=5)
        assert [one.summary for one in told] == ([] if summary else ["Alpha"])
        assert len(await read_chunks(session, collection.id, 10)) == 3


async def test_a_dropped_graph_leaves_nothing(
    database: Database, collection: Collection, chunks: list[UUID]
) -> None:
    await put_whole(database, collection, graph_of(collection, chunks))
    async with database.write() as session:
        await put_reads(session, collection.id, {chunks[0]: Read("r", b"said")})
        assert await drop_graph(session, collection.id)
        assert not await drop_graph(session, collection.id)
    assert set((await counts(database)).values()) == {0}


async def test_reads_are_by_the_beginning_of_their_recipe(
    database: Database, collection: Collection, chunks: list[UUID]
) -> None:
    async with database.write() as session:
        first = {chunks[0]: Read("rules;", b"1"), chunks[1]: Read("rules;model_x", b"2")}
        await put_reads(session, collection.id, first | {uuid4(): Read("rules;", b"gone")})
    async with database.read() as session:
        assert await count_unread(session, collection.id, "rules;") == 2
        assert await count_unread(session, collection.id, "rules;model_x") == 3
        assert await count_unread(session, collection.id, "rules;model%") == 4
        left = await unread_chunks(session, collection.id, "rules;", 10)
        assert {one.id for one in left} == set(chunks[2:])
        assert len(await unread_chunks(session, collection.id, "rules;", 1)) == 1
        own = await unread_chunks(session, collection.id, "none", 10)
        by_id = {one.id: one.content for one in own}
        hashes = [one.content_hash for one in own]
        known = await reads_by_content(session, collection.id, "rules;", hashes)
        assert known == {by_id[id_]: read for id_, read in first.items()}
    async with database.write() as session:
        await put_reads(session, collection.id, {chunks[0]: Read("rules;model_x", b"3")})
    async with database.read() as session:
        kept = await read_chunks(session, collection.id, 10)
    assert [(one.id, one.found) for one in kept] == [(chunks[0], b"3"), (chunks[1], b"2")]
