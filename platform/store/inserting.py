"""Many rows inserted at once, with little around what the database itself does.

What always holds: what is stored is what an ordinary insert would have stored, by the same types,
in the session's transaction. On SQLite rows go to its driver as they are: to build a statement's
parameters row by row takes several times what SQLite needs for a row.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Dialect, LargeBinary, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.store.one_hop import execute_many


async def insert_rows(
    session: AsyncSession,
    table: Table,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    ignore: bool = False,
) -> None:
    """Inserts rows.

    Args:
        session: of `Database.write`.
        table: where.
        columns: names of its columns; those that have a default must be among them.
        rows: values for these.
        ignore: leave out those whose key is there already.

    Raises:
        IntegrityError: a row breaks a constraint.
        KeyError: a column with a default is not given.
    """
    if not rows:
        return
    dialect = session.get_bind().dialect
    if dialect.name != "sqlite":
        other = postgresql.insert(table)
        statement = other.on_conflict_do_nothing() if ignore else other
        await session.execute(statement, [dict(zip(columns, row, strict=True)) for row in rows])
        return
    prepared = _prepared(table, tuple(columns), ignore, dialect)
    given = dict(zip(columns, zip(*rows, strict=True), strict=True))
    converted = [
        given[name] if convert is None else _each(convert, given[name])
        for name, convert in prepared.columns
    ]
    try:
        await execute_many(
            await session.connection(), prepared.sql, list(zip(*converted, strict=True))
        )
    except sqlite3.IntegrityError as error:
        raise IntegrityError(prepared.sql, None, error) from error


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement, and its columns in order with what converts their values."""

    sql: str
    columns: Sequence[tuple[str, Callable[[Any], Any] | None]]


@lru_cache(16)
def _prepared(table: Table, columns: tuple[str, ...], ignore: bool, dialect: Dialect) -> _Prepared:
    plain = sqlite.insert(table)
    compiled = (plain.on_conflict_do_nothing() if ignore else plain).compile(
        dialect=dialect, column_keys=list(columns)
    )
    found = []
    for name in getattr(compiled, "positiontup", ()):
        kind = table.c[name].type
        convert = kind.dialect_impl(dialect).bind_processor(dialect)
        # Bytes are bytes.
        found.append((name, None if isinstance(kind, LargeBinary) else convert))
    return _Prepared(str(compiled), found)


def _each(convert: Callable[[Any], Any], values: Sequence[Any]) -> Iterable[Any]:
    """Converted values; what stands there several times in a row is converted once."""
    last = made = None
    for value in values:
        if value is not last:
            last, made = value, convert(value)
        yield made
