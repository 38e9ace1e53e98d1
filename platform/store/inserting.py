"""Many rows inserted at once, with little around what the database itself does.

What always holds: what is stored is what an ordinary insert would have stored, by the same types,
in the session's transaction. On SQLite rows go to its driver as they are: to build a statement's
parameters row by row takes several times what SQLite needs for a row.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Dialect, LargeBinary, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.store.one_hop import execute_many

# Values of one statement. The interpreter's lock is let go of and waited for once a statement, so
# that statements of many rows leave a core to others.
_MOST_VALUES = 900
# No value: None is one, which JSON has a word for.
_NOTHING = object()


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
    ready = list(zip(*converted, strict=True))
    together = max(1, _MOST_VALUES // len(columns))
    whole = len(ready) - len(ready) % together
    connection = await session.connection()
    try:
        if whole:
            groups = [
                tuple(chain.from_iterable(ready[at : at + together]))
                for at in range(0, whole, together)
            ]
            await execute_many(connection, prepared.of(together), groups)
        if whole < len(ready):
            await execute_many(connection, prepared.of(1), ready[whole:])
    except sqlite3.IntegrityError as error:
        raise IntegrityError(prepared.of(1), None, error) from error


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement in three parts, and its columns in order with what converts their values."""

    before: str
    row: str
    after: str
    columns: Sequence[tuple[str, Callable[[Any], Any] | None]]

    def of(self, rows: int) -> str:
        """The statement for so many rows."""
        return self.before + ", ".join([self.row] * rows) + self.after


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
    before, _, rest = str(compiled).partition(" VALUES ")
    row, _, after = rest.partition(")")
    return _Prepared(f"{before} VALUES ", f"{row})", after, found)


def _each(convert: Callable[[Any], Any], values: Sequence[Any]) -> Iterable[Any]:
    """Converted values; what stands there several times in a row is converted once."""
    last: Any = _NOTHING
    made = None
    for value in values:
        if value is not last:
            last, made = value, convert(value)
        yield made
