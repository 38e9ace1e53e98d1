"""Rows that are inserted at once are what an ordinary insert makes of them."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import JSON, Column, Integer, MetaData, Table, Uuid, cast, insert, select
from sqlalchemy.types import String

from rostra.core import new_id
from rostra.store import Database
from rostra.store.inserting import insert_rows

TABLE = Table(
    "inserted",
    MetaData(),
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("told", JSON),
    Column("owner", Uuid),
)


@pytest.mark.parametrize(
    "told", [(None, None, {"a": None}, [], None), ({"a": "\u00e9\n"}, None, None, 1.5, "x")]
)
async def test_values_are_those_of_an_ordinary_insert(
    database: Database, told: Sequence[Any]
) -> None:
    owner = new_id()
    rows = [(at, value, owner if at % 2 else None) for at, value in enumerate(told)]
    async with database.write() as session:
        connection = await session.connection()
        await connection.run_sync(TABLE.create)
        await insert_rows(session, TABLE, ("id", "told", "owner"), rows)
        given = [{"id": at + 100, "told": value, "owner": whose} for at, value, whose in rows]
        await session.execute(insert(TABLE), given)
        kept = (
            await session.execute(
                select(cast(TABLE.c.told, String), TABLE.c.owner).order_by(TABLE.c.id)
            )
        ).all()
        # In the same transaction: whatever comes to pass, no later test meets this table.
        await connection.run_sync(TABLE.drop)
    assert kept[: len(rows)] == kept[len(rows) :]
    assert len(kept) == 2 * len(rows)
