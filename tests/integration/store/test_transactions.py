"""The promises of `read()` and `write()`: no lost update, one snapshot, all or nothing."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from rostra.core import EmbeddingSpace, StoreUnavailable
from rostra.store import (
    Collection,
    Database,
    create_collection,
    get_collection,
    list_collections,
    open_database,
)
from rostra.store.collections import next_generation
from rostra.store.tables import CollectionRow


async def generation(database: Database) -> int:
    async with database.read() as session:
        return (await get_collection(session, "papers")).generation


async def assert_nothing_is_held(database: Database) -> None:
    """No connection is out, and both engines still work."""
    for engine in (database.writer, database.reader):
        assert isinstance(engine.pool, QueuePool)
        assert engine.pool.checkedout() == 0
    async with database.write() as session:
        await session.execute(select(1))
    async with database.read() as session:
        await session.execute(select(1))


async def test_writers_in_several_processes_lose_no_update(
    database: Database, collection: Collection, run_workers: Any
) -> None:
    url = database.writer.url.render_as_string(hide_password=False)
    command = ("increment", url, collection.id, 25)
    printed = await asyncio.to_thread(run_workers, *[command] * 3)
    seen = [int(line) for out in printed for line in out.split()]
    assert sorted(seen) == list(range(1, 76))
    assert await generation(database) == 75


async def test_writers_in_one_process_lose_no_update(
    database: Database, collection: Collection
) -> None:
    async def raise_by_reading_first() -> None:
        async with database.write() as session:
            # Reading before writing is what loses updates in deferred transactions.
            query = select(CollectionRow.generation).where(CollectionRow.id == collection.id)
            if database.engine_name == "postgresql":
                query = query.with_for_update()
            seen = await session.scalar(query)
            assert seen is not None
            await session.execute(update(CollectionRow).values(generation=seen + 1))

    await asyncio.gather(*(raise_by_reading_first() for _ in range(40)))
    assert await generation(database) == 40
    await assert_nothing_is_held(database)


async def test_a_reader_sees_one_state_while_a_writer_commits(
    database: Database, collection: Collection
) -> None:
    async with database.read() as reading:
        assert (await get_collection(reading, "papers")).generation == 0
        async with database.write() as session:
            await next_generation(session, collection.id)
        query = select(CollectionRow.generation)
        assert await reading.scalar(query) == 0
        assert await generation(database) == 1
        assert await reading.scalar(query) == 0
    assert await generation(database) == 1


async def test_a_reader_does_not_wait_for_a_writer(
    database: Database, collection: Collection
) -> None:
    async with database.write() as session:
        await next_generation(session, collection.id)
        assert await generation(database) == 0
    assert await generation(database) == 1


async def test_a_reader_cannot_write(database: Database, collection: Collection) -> None:
    with pytest.raises((StoreUnavailable, DBAPIError), match=r"read-?only"):
        async with database.read() as session:
            await next_generation(session, collection.id)
    with pytest.raises((StoreUnavailable, DBAPIError), match=r"read-?only"):
        async with database.read() as session:
            await session.execute(text("CREATE TABLE mine (x INTEGER)"))
    assert await generation(database) == 0
    await assert_nothing_is_held(database)
    # The connection that a reader used may be a writer's next.
    async with database.write() as session:
        await next_generation(session, collection.id)
    assert await generation(database) == 1


async def test_what_raises_is_rolled_back(database: Database, space: EmbeddingSpace) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.write() as session:
            await create_collection(session, "papers", space)
            raise ZeroDivisionError
    async with database.read() as session:
        assert await list_collections(session) == ([], 0)
    async with database.write() as session:
        await create_collection(session, "papers", space)
    assert await generation(database) == 0


async def test_a_broken_statement_is_rolled_back(
    database: Database, collection: Collection
) -> None:
    with pytest.raises((StoreUnavailable, DBAPIError)):
        async with database.write() as session:
            await next_generation(session, collection.id)
            await session.execute(text("SELECT nonsense FROM nowhere"))
    assert await generation(database) == 0
    await assert_nothing_is_held(database)


async def test_a_cancelled_writer_is_rolled_back(
    database: Database, collection: Collection
) -> None:
    wrote = asyncio.Event()

    async def write() -> None:
        async with database.write() as session:
            await next_generation(session, collection.id)
            wrote.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await wrote.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await generation(database) == 0
    await assert_nothing_is_held(database)


@pytest.mark.parametrize("how", ["once", "again and again"])
async def test_cancelled_at_any_step_a_task_holds_nothing_and_commits_all_or_nothing(
    how: str, database: Database, collection: Collection
) -> None:
    """Cancels a writer after 0, 1, 2, ... turns of the loop until one gets through."""

    async def write() -> None:
        async with database.write() as session:
            await next_generation(session, collection.id)
            await next_generation(session, collection.id)

    cancelled = 0
    for turns in range(10_000):
        task = asyncio.create_task(write())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        while how == "again and again" and not task.done():
            await asyncio.sleep(0)
            task.cancel()  # as a cancel scope of anyio does
        [outcome] = await asyncio.gather(task, return_exceptions=True)
        await assert_nothing_is_held(database)
        # A commit that was under way may have happened, or happen yet; half of it never.
        assert await generation(database) % 2 == 0
        if outcome is None:
            break
        assert isinstance(outcome, asyncio.CancelledError)
        cancelled += 1
        if cancelled >= 60:
            break
    assert cancelled


async def test_cancelled_waiters_leave_the_queue(
    database: Database, collection: Collection
) -> None:
    async def raise_generation() -> None:
        async with database.write() as session:
            await next_generation(session, collection.id)

    async def read() -> None:
        async with database.read() as session:
            await session.scalar(select(func.count()).select_from(CollectionRow))

    async with database.write() as session:
        await next_generation(session, collection.id)
        tasks = [asyncio.create_task(raise_generation()) for _ in range(20)]
        tasks += [asyncio.create_task(read()) for _ in range(20)]
        for _ in range(3):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {asyncio.CancelledError, type(None)}
    assert await generation(database) == 1
    await assert_nothing_is_held(database)


async def test_more_tasks_than_connections_all_get_their_turn(
    database: Database, collection: Collection
) -> None:
    await asyncio.gather(*(generation(database) for _ in range(50)))
    await assert_nothing_is_held(database)


async def test_a_writer_that_holds_on_too_long_is_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'rostra.db'}"
    async with await open_database(url, busy_timeout=0.01) as database:
        async with database.write() as session:
            await list_collections(session)
            with pytest.raises(StoreUnavailable, match="no connection became free"):
                async with database.write() as second:
                    await list_collections(second)
        await assert_nothing_is_held(database)
