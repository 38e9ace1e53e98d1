"""What a thread that searches reads is what a session reads, on both engines."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from rostra.core import CollectionNotFound, EmbeddingSpace, InvalidFilter, StoreUnavailable
from rostra.store import (
    Collection,
    Database,
    Filters,
    chunk_records,
    create_collection,
    delete_document,
    get_collection,
    matching_ids,
    put_document,
    put_groups,
    read_collection,
    read_matching_ids,
    read_records,
    set_tuning,
)
from rostra.store.collections import next_generation
from rostra.store.tables import ChunkRow
from tests.integration.store.conftest import MakeDocument


async def read(database: Database, work: Callable[[Connection], Any], **options: bool) -> Any:
    """What a thread reads over a connection."""

    def in_thread() -> Any:
        with database.reading(**options) as connection:
            return work(connection)

    return await asyncio.to_thread(in_thread)


async def all_chunks(database: Database) -> list[UUID]:
    async with database.read() as session:
        return list(
            await session.scalars(ChunkRow.__table__.select().with_only_columns(ChunkRow.id))
        )


async def test_a_collection(
    database: Database, collection: Collection, space: EmbeddingSpace
) -> None:
    async with database.write() as session:
        await create_collection(session, "Größe-1.x_y", space, 'with "words" of its own')
        await set_tuning(session, collection.id, {"dense_weight": 0.5, "näme": [1, None]})
        await next_generation(session, collection.id)
    for name in ("papers", "Größe-1.x_y"):
        async with database.read() as session:
            expected = await get_collection(session, name)
        assert await read(database, lambda one, name=name: read_collection(one, name)) == expected
    for name in ("Papers", "nowhere", "", "../x", "x" * 200, "a'b", "papers\x00"):
        with pytest.raises(CollectionNotFound) as session_says:
            async with database.read() as session:
                await get_collection(session, name)
        with pytest.raises(CollectionNotFound) as caught:
            await read(database, lambda one, name=name: read_collection(one, name))
        assert caught.value.to_dict() == session_says.value.to_dict()


FILTERS: list[Filters] = [
    {},
    {"open": True},
    {"uri": {"prefix": "b"}},
    {"rank": {"gte": 1}, "name": ["ä", "x'y"]},
    {"open": {"ne": True}},
]


@pytest.mark.parametrize("filters", FILTERS)
async def test_records_and_what_passes_filters(
    database: Database,
    collection: Collection,
    space: EmbeddingSpace,
    make_document: MakeDocument,
    filters: Filters,
) -> None:
    async with database.write() as session:
        other = await create_collection(session, "other", space)
        for at, uri in enumerate(("a", "b/1", "b/2", "ü")):
            new = make_document(
                uri,
                f"é😀 first of {uri}\n\nsecond\n\nthird 'quoted'",
                title=f"Title {at}",
                metadata={"open": at % 2 == 0, "rank": at, "name": "ä", "deep": {"x": [None, 1.5]}},
            )
            for target in (collection, other):
                await put_document(session, target.id, new)
    ids = await all_chunks(database)
    async with database.write() as session:
        await put_groups(session, {ids[0]: UUID(int=5), ids[3]: UUID(int=5)})
    asked = [*ids, UUID(int=1), *ids[:2]]
    for owner in (collection.id, other.id, UUID(int=9)):
        async with database.read() as session:
            expected = await chunk_records(session, owner, asked, filters)
            passing = await matching_ids(session, owner, filters)
        found = await read(
            database, lambda one, owner=owner: read_records(one, owner, asked, filters)
        )
        assert found == expected
        assert len(found) == (0 if owner == UUID(int=9) else 3 * len(passing))
        if owner != UUID(int=9):
            assert len(passing) > 0
        own = await read(database, lambda one, owner=owner: read_matching_ids(one, owner, filters))
        assert sorted(own.tolist()) == sorted(passing.tolist())
    assert await read(database, lambda one: read_records(one, collection.id, [], filters)) == {}
    twins = {one.twins for one in found.values()}
    assert twins <= {None, UUID(int=5)}


async def test_more_chunks_than_a_statement_takes_parameters(
    database: Database, collection: Collection, make_document: MakeDocument
) -> None:
    texts = "\n\n".join(f"paragraph {at}" for at in range(1_203))
    async with database.write() as session:
        await put_document(session, collection.id, make_document("long", texts))
    ids = await all_chunks(database)
    for filters in ({}, {"uri": "long"}):
        found = await read(
            database, lambda one, filters=filters: read_records(one, collection.id, ids, filters)
        )
        assert {one.chunk_id for one in found.values()} == set(ids) == set(found)
        assert len(ids) == 1_203


async def test_bad_filters_are_refused_alike(database: Database, collection: Collection) -> None:
    for work in (
        lambda one: read_matching_ids(one, collection.id, {"rank": {"like": 1}}),
        lambda one: read_records(one, collection.id, [UUID(int=1)], {"rank": {"like": 1}}),
    ):
        with pytest.raises(InvalidFilter):
            await read(database, work)


async def test_each_statement_sees_what_is_committed_by_then(
    database: Database, collection: Collection, make_document: MakeDocument
) -> None:
    async with database.write() as session:
        document = await put_document(session, collection.id, make_document("a", "one\n\ntwo"))
    ids = await all_chunks(database)
    committed, looked = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def work(connection: Connection) -> list[tuple[int, int]]:
        def look() -> tuple[int, int]:
            return (
                read_collection(connection, "papers").generation,
                len(read_records(connection, collection.id, ids)),
            )

        before = look()
        loop.call_soon_threadsafe(looked.set)
        asyncio.run_coroutine_threadsafe(committed.wait(), loop).result()
        return [before, look()]

    for one_state, expected in ((True, [(1, 2), (1, 2)]), (False, [(2, 0), (3, 2)])):
        committed.clear()
        looked.clear()
        reader = asyncio.create_task(read(database, work, one_state=one_state))
        await looked.wait()
        async with database.write() as session:
            if one_state:
                await delete_document(session, document)
            else:
                await put_document(session, collection.id, make_document("b", "three\n\nfour"))
        ids += [one for one in await all_chunks(database) if one not in ids]
        committed.set()
        assert await reader == expected
    # A connection that saw one state begins anew.
    assert await read(database, work_once(collection, ids)) == (3, 2)


def work_once(collection: Collection, ids: list[UUID]) -> Callable[[Connection], tuple[int, int]]:
    def work(connection: Connection) -> tuple[int, int]:
        generation = read_collection(connection, "papers").generation
        return generation, len(read_records(connection, collection.id, ids))

    return work


async def test_a_thread_cannot_write(database: Database, collection: Collection) -> None:
    for one_state in (False, True, False):
        for statement in ("DELETE FROM collections", "CREATE TABLE mine (x INTEGER)"):
            with pytest.raises((StoreUnavailable, DBAPIError), match=r"read-?only"):
                await read(
                    database,
                    lambda one, statement=statement: one.execute(text(statement)),
                    one_state=one_state,
                )
    assert (await read(database, lambda one: read_collection(one, "papers"))).generation == 0
    # Nothing is held, and what writes may write.
    async with database.write() as session:
        await next_generation(session, collection.id)


async def test_many_threads_at_once(database: Database, collection: Collection) -> None:
    found = await asyncio.gather(
        *(read(database, lambda one: read_collection(one, "papers")) for _ in range(40))
    )
    assert {one.id for one in found} == {collection.id}


async def test_a_damaged_table_is_told_as_what_it_is(
    database: Database, collection: Collection
) -> None:
    async with database.write() as session:
        await session.execute(text("ALTER TABLE embedding_spaces RENAME TO elsewhere"))
    try:
        with pytest.raises((StoreUnavailable, DBAPIError)):
            await read(database, lambda one: read_collection(one, "papers"))
    finally:
        async with database.write() as session:
            await session.execute(text("ALTER TABLE elsewhere RENAME TO embedding_spaces"))
    assert (await read(database, lambda one: read_collection(one, "papers"))).id == collection.id
