"""SQLite for coroutines with one hand-over a statement.

The driver keeps a connection in a thread of its own, and every call of a cursor is handed to that
thread and back: making it, executing, fetching, closing. A small statement takes a tenth of what
these four cost, so here one call does all of it. Rows are fetched as a whole, as they are anyway.

What always holds: statements of a connection run one after another in its thread, in the order in
which they were asked for; one whose caller was cancelled runs to its end.
"""

import sqlite3
from collections import deque
from collections.abc import Sequence
from typing import Any

import aiosqlite
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.util import await_only

_Told = tuple[Any, int, int | None]


class _Cursor(AsyncAdapt_aiosqlite_cursor):
    __slots__ = ("_told", "arraysize")

    # Not the parent's: that makes the driver's cursor, which takes a hand-over.
    def __init__(self, adapt_connection: Any) -> None:
        self._adapt_connection = adapt_connection
        self._connection = adapt_connection._connection
        self._rows = deque()
        self._told: _Told = (None, -1, None)
        # Of `fetchmany()`, as PEP 249 has it.
        self.arraysize = 1

    @property
    def description(self) -> Any:
        return self._told[0]

    @property
    def rowcount(self) -> int:
        return self._told[1]

    @property
    def lastrowid(self) -> Any:
        return self._told[2]

    def close(self) -> None:
        self._rows.clear()

    async def _async_soft_close(self) -> None:
        pass

    async def _execute_async(self, operation: Any, parameters: Any) -> Any:
        async with self._adapt_connection._execute_mutex:
            driver: Any = self._connection
            self._told, rows = await driver._execute(_execute, driver, operation, parameters)
            self._rows = deque(rows)

    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> Any:
        async with self._adapt_connection._execute_mutex:
            driver: Any = self._connection
            self._told = await driver._execute(_execute_many, driver, operation, seq_of_parameters)


class _Connection(AsyncAdapt_aiosqlite_connection):
    __slots__ = ()

    _cursor_cls = _Cursor


async def execute_many(
    connection: AsyncConnection, statement: str, rows: Sequence[Sequence[Any]]
) -> None:
    """Has SQLite's driver execute a statement for each row, as they are.

    Args:
        connection: of an engine of `OneHop`.
        statement: in SQL, with question marks.
        rows: values for these.

    Raises:
        sqlite3.Error: as the driver says it.
    """
    driver: Any = (await connection.get_raw_connection()).driver_connection
    await driver._execute(_execute_many, driver, statement, rows)


class OneHop(AsyncAdapt_aiosqlite_dbapi):
    """The driver as SQLAlchemy wants it: `create_async_engine(..., module=OneHop())`."""

    def __init__(self) -> None:
        super().__init__(aiosqlite, sqlite3)

    def connect(self, *arg: Any, **kw: Any) -> AsyncAdapt_aiosqlite_connection:
        connection: Any = aiosqlite.connect(*arg, **kw)
        connection._thread.daemon = True  # as the parent has it
        return _Connection(self, await_only(connection))


def _execute(
    driver: Any, operation: str, parameters: Sequence[Any] | None
) -> tuple[_Told, Sequence[Any]]:
    """In the connection's thread."""
    cursor = driver._conn.execute(operation, () if parameters is None else parameters)
    try:
        rows = cursor.fetchall() if cursor.description else ()
        return (cursor.description, cursor.rowcount, cursor.lastrowid), rows
    finally:
        cursor.close()


def _execute_many(driver: Any, operation: str, parameters: Any) -> _Told:
    """In the connection's thread."""
    cursor = driver._conn.executemany(operation, parameters)
    try:
        return cursor.description, cursor.rowcount, cursor.lastrowid
    finally:
        cursor.close()
