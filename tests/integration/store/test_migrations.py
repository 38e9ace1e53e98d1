"""Schema versions: up, down and up again on both engines, once however many start at once."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text

from rostra.core import EmbeddingSpace, StoreUnavailable
from rostra.store import (
    Database,
    check,
    create_collection,
    current,
    downgrade,
    head,
    open_database,
    upgrade,
)
from rostra.store.tables import Base


def names(connection: Connection) -> dict[str, set[Any]]:
    """Every table's constraints and indexes by the names the database itself reports."""
    inspector = inspect(connection)
    found: dict[str, set[Any]] = {}
    for table in inspector.get_table_names():
        unique = inspector.get_unique_constraints(table)
        found[table] = {
            inspector.get_pk_constraint(table)["name"],
            *(key["name"] for key in inspector.get_foreign_keys(table)),
            *(constraint["name"] for constraint in unique),
            # PostgreSQL backs each unique constraint with an index of the same name.
            *(index["name"] for index in inspector.get_indexes(table)),
        }
    return found


async def test_up_down_and_up_again(database_url: str, space: EmbeddingSpace) -> None:
    async with await open_database(database_url) as database:
        assert await current(database.reader) == head()
        await check(database.writer)
        async with database.read() as session:
            connection = await session.connection()
            first = await connection.run_sync(names)
        async with database.write() as session:
            await create_collection(session, "gone", space)
        await downgrade(database.writer, "base")
        assert await current(database.reader) is None
        async with database.read() as session:
            connection = await session.connection()
            assert set(await connection.run_sync(names)) <= {"alembic_version"}
        await upgrade(database.writer)
        await check(database.writer)
        async with database.read() as session:
            connection = await session.connection()
            assert await connection.run_sync(names) == first
        async with database.write() as session:
            await create_collection(session, "gone", space)


async def test_names_in_the_database_follow_the_convention(database: Database) -> None:
    async with database.read() as session:
        connection = await session.connection()
        found = await connection.run_sync(names)
    found.pop("alembic_version")
    assert found == {
        table.name: {item.name for item in [*table.constraints, *table.indexes]}
        for table in Base.metadata.tables.values()
    }


async def test_check_says_what_differs(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with await open_database(database_url) as database:
        await check(database.writer)
        async with database.write() as session:
            await session.execute(text("ALTER TABLE jobs ADD COLUMN surprise INTEGER"))
        with pytest.raises(StoreUnavailable, match="surprise"):
            await check(database.writer)
    assert capsys.readouterr().out == ""


async def test_a_start_without_news_runs_no_migration(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a migration ran")

    monkeypatch.setattr("rostra.store.schema.command.upgrade", refuse)
    url = database.writer.url.render_as_string(hide_password=False)
    # Another process writes meanwhile: an ordinary start waits for nobody.
    async with database.write(), await open_database(url, busy_timeout=0) as second:
        assert await current(second.reader) == head()


async def test_an_upgrade_without_news_changes_nothing(database: Database) -> None:
    await upgrade(database.writer)
    await check(database.writer)
    assert await current(database.reader) == head()


async def test_a_newer_revision_is_refused(database_url: str) -> None:
    async with await open_database(database_url) as database:
        async with database.write() as session:
            await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(StoreUnavailable, match="9999") as caught:
            await open_database(database_url)
        assert caught.value.hint is not None
        assert await current(database.reader) == "9999"


async def test_several_processes_that_start_at_once_migrate_once(
    database_url: str, run_workers: Any
) -> None:
    printed = await asyncio.to_thread(run_workers, *[("migrate", database_url)] * 3)
    assert printed == [f"{head()}\n"] * 3
    async with await open_database(database_url, migrate=False) as database:
        await check(database.writer)


async def test_several_tasks_that_start_at_once_migrate_once(database_url: str) -> None:
    opened = await asyncio.gather(*(open_database(database_url) for _ in range(6)))
    await check(opened[0].writer)
    for database in opened:
        assert await current(database.reader) == head()
        await database.close()


def test_several_threads_that_start_at_once_migrate_once(database_url: str) -> None:
    async def start() -> str | None:
        async with await open_database(database_url) as database:
            return await current(database.reader)

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(asyncio.run, start()) for _ in range(4)]
        assert [future.result() for future in futures] == [head()] * 4
