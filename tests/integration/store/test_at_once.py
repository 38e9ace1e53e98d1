"""Threads read what coroutines read, and rows inserted at once are what single ones are."""

import asyncio
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.core import StoreUnavailable, new_id
from rostra.store import (
    Collection,
    Database,
    IndexRows,
    get_collection,
    get_vectors,
    index_rows,
    open_database,
    put_document,
    put_vectors,
    read_at_once,
    rows_to_index,
    written_documents,
)
from rostra.store.inserting import insert_rows
from rostra.store.tables import CollectionRow, DocumentRow


async def test_a_thread_reads_one_state(
    database: Database, collection: Collection, make_document: Any
) -> None:
    document = make_document("größe.txt", "One.\n\nTwo ½.", metadata={"ä": None})
    vectors = {
        chunk.content_hash: np.arange(1, collection.space.dimensions + 1, dtype=np.float32) * at
        for at, chunk in enumerate(document.chunks, 1)
    }
    async with database.write() as session:
        document_id = await put_document(session, collection.id, document)
        await put_vectors(session, collection.id, collection.space_id, vectors)

    async def read(session: AsyncSession) -> tuple[Collection, IndexRows, int]:
        now = await get_collection(session, collection.name)
        found = await rows_to_index(session, now.id, now.space_id, [document_id, new_id()])
        every = await written_documents(session, now.id)
        return now, found, len(every)

    now, found, count = await asyncio.to_thread(read_at_once, database, read)
    async with database.read() as session:
        expected = await index_rows(session, collection.id, collection.space_id)
        assert now == await get_collection(session, collection.name)
    same = IndexRows.of(expected)
    assert count == 1
    assert sorted(columns(found)) == sorted(columns(same))
    twice = IndexRows.joined([found, found, IndexRows.of([])])
    assert columns(twice) == columns(found) * 2
    assert len(IndexRows.joined([])) == len(IndexRows.joined([IndexRows.of([])])) == 0
    assert read_at_once(database, read)[2] == 1


def columns(rows: IndexRows) -> list[tuple[Any, ...]]:
    return [
        (
            rows.chunks[at].tobytes(),
            rows.documents[at].tobytes(),
            int(rows.ordinals[at]),
            rows.contexts[at],
            rows.texts[at],
            rows.vectors[at].tolist(),
        )
        for at in range(len(rows))
    ]


async def test_threads_cannot_write_and_must_not_wait(
    database: Database, collection: Collection
) -> None:

    async def write(session: AsyncSession) -> None:
        await session.execute(text("DELETE FROM documents"))

    with pytest.raises(Exception, match=r"read-?only"):
        read_at_once(database, write)

    async def wait(session: AsyncSession) -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="awaited something else"):
        read_at_once(database, wait)
    found = read_at_once(database, partial(get_collection, name=collection.name))
    assert found.id == collection.id


async def test_a_database_that_is_gone_is_told(tmp_path: Path) -> None:
    async with await open_database(f"sqlite:///{tmp_path / 'a' / 'rostra.db'}") as database:
        for path in (tmp_path / "a").iterdir():
            path.write_bytes(b"damage" * 1000)

        async def read(session: AsyncSession) -> int | None:
            return await session.scalar(select(func.count()).select_from(CollectionRow))

        with pytest.raises(StoreUnavailable):
            read_at_once(database, read)


async def test_rows_that_break_a_constraint_are_refused_as_a_whole(
    database: Database, collection: Collection, make_document: Any
) -> None:
    async with database.write() as session:
        await put_document(session, collection.id, make_document("a", "One."))
    table = DocumentRow.metadata.tables["documents"]
    names = [column.name for column in table.columns]
    async with database.read() as session:
        [row] = (await session.execute(select(table))).all()
    twin = dict(zip(names, row, strict=True)) | {"id": new_id()}
    other = twin | {"id": new_id(), "uri": "b"}
    with pytest.raises(IntegrityError) as told:
        async with database.write() as session:
            await insert_rows(session, table, names, [list(other.values()), list(twin.values())])
    if database.engine_name == "sqlite":
        assert isinstance(told.value.orig, sqlite3.IntegrityError)
    async with database.write() as session:
        await insert_rows(session, table, names, [])
        both = [list(other.values()), list(twin.values())]
        await insert_rows(session, table, names, both, ignore=True)
    async with database.read() as session:
        found = {row.uri: row for row in await session.execute(select(table))}
    assert set(found) == {"a", "b"}
    assert found["b"]._asdict() == other


@pytest.mark.parametrize("count", [224, 225, 226, 460])
async def test_many_rows_are_all_there(
    database: Database, collection: Collection, count: int
) -> None:
    width = collection.space.dimensions
    vectors = {at.to_bytes(32, "big"): np.full(width, at + 1, np.float32) for at in range(count)}
    older = {at: 2 * vectors[at] for at in list(vectors)[::50]}
    async with database.write() as session:
        await put_vectors(session, collection.id, collection.space_id, older)
        await put_vectors(session, collection.id, collection.space_id, vectors)
    async with database.read() as session:
        found = await get_vectors(session, collection.id, collection.space_id, list(vectors))
    assert {key: row.tolist() for key, row in found.items()} == {
        key: row.tolist() for key, row in (vectors | older).items()
    }


async def test_rows_are_fetched_in_portions_too(database: Database) -> None:
    async with database.read() as session:
        connection = await session.connection()
        found = await connection.execute(text("SELECT 1 UNION SELECT 2 UNION SELECT 3 ORDER BY 1"))
        assert [tuple(row) for row in found.fetchmany(2)] == [(1,), (2,)]
        assert [tuple(row) for row in found.fetchmany()] == [(3,)]
        assert found.fetchmany() == []


async def test_a_cancelled_statement_leaves_no_lock_behind(
    database: Database, collection: Collection
) -> None:
    started = asyncio.Event()

    async def write() -> None:
        async with database.write() as session:
            await session.execute(text("UPDATE collections SET description = 'half'"))
            started.set()
            for _ in range(10_000):
                await session.execute(text("SELECT count(*) FROM collections"))

    task = asyncio.create_task(write())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with database.write() as session:
        found = await session.scalar(select(CollectionRow.description))
    assert found == ""
