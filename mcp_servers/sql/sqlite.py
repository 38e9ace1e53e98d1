"""A SQLite file, read only.

What always holds: the file is opened read-only and so is every statement on it; an authorizer lets
pass reading and nothing else, so neither other files nor settings are reached; a query is stopped
when its time is over or its caller gone; no value is longer than `MAX_VALUE`.
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from mcp_servers.sql.limits import MAX_LISTED, MAX_SQL, Collector, Limits
from mcp_servers.sql.results import Cell, Column, Description, Rows, Table, Tables
from rostra.core import ConfigError, InvalidRequest, NotFound, StoreUnavailable

T = TypeVar("T")

MAX_VALUE = 8 * 1024 * 1024
_STEPS = 1_000  # of SQLite's machine between two looks at the clock
_BUSY_SECONDS = 2.0
_ALLOWED = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}
_FORBIDDEN_FUNCTIONS = {"load_extension", "fts3_tokenizer"}
_WIDEST_INTEGER = 2**53  # what JSON readers take without rounding


class SqliteDatabase:
    """Opens the file anew for each call, in a thread.

    Args:
        file: which must exist.
        limits: of one query.
        heap: most bytes that SQLite may use in this whole process; None leaves that open.
    """

    def __init__(self, file: Path, limits: Limits, heap: int | None = None) -> None:
        if not file.is_file():
            raise ConfigError(f"there is no database file {file}")
        # The whole path as one part of the URI, or its characters would be options.
        self._uri = f"file:{quote(str(file.absolute()))}?mode=ro"
        self._limits = limits
        self._heap = heap
        self._places = asyncio.Semaphore(4)

    async def tables(self) -> Tables:
        """See `Database.tables`."""

        def read(connection: sqlite3.Connection) -> Tables:
            found = connection.execute(
                "SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view')"
                " AND name NOT LIKE 'sqlite^_%' ESCAPE '^' ORDER BY name LIMIT ?",
                (MAX_LISTED + 1,),
            ).fetchall()
            return Tables(
                tables=[Table(name=name, kind=kind) for name, kind in found[:MAX_LISTED]],
                truncated=len(found) > MAX_LISTED,
            )

        return await self._in_thread(read)

    async def describe(self, table: str) -> Description:
        """See `Database.describe`."""

        def read(connection: sqlite3.Connection) -> Description:
            found = connection.execute(
                'SELECT name, type, "notnull", pk FROM pragma_table_xinfo(?) LIMIT ?',
                (table, MAX_LISTED + 1),
            ).fetchall()
            if not found:
                raise NotFound(f"there is no table {table[:200]!r}", hint="list_tables names them.")
            keys = connection.execute(
                'SELECT "from", "table", "to" FROM pragma_foreign_key_list(?) LIMIT ?',
                (table, MAX_LISTED),
            )
            targets = {name: f"{other}.{to}" if to else other for name, other, to in keys}
            columns = [
                Column(
                    name=name,
                    type=kind,
                    nullable=not (required or key),
                    primary_key=bool(key),
                    references=targets.get(name),
                )
                for name, kind, required, key in found[:MAX_LISTED]
            ]
            return Description(name=table, columns=columns, truncated=len(found) > MAX_LISTED)

        return await self._in_thread(read)

    async def query(self, sql: str, most: int) -> Rows:
        """See `Database.query`."""

        def read(connection: sqlite3.Connection) -> Rows:
            connection.set_authorizer(_authorize)
            cursor = connection.execute(sql)
            if cursor.description is None:
                raise InvalidRequest("the statement gives no rows", hint="Send one SELECT.")
            collector = Collector(self._limits, most)
            for row in cursor:
                if not collector.add([self._cell(value) for value in row]):
                    break
            return collector.result([column[0] for column in cursor.description])

        return await self._in_thread(read)

    def _cell(self, value: int | float | str | bytes | None) -> tuple[Cell, bool]:
        if isinstance(value, bytes):
            return f"<{len(value)} bytes>", False
        if isinstance(value, int) and abs(value) > _WIDEST_INTEGER:
            return str(value), False
        return value, False

    async def _in_thread(self, read: Callable[[sqlite3.Connection], T]) -> T:
        gone = threading.Event()

        def run() -> T:
            with _connected(self._uri, self._limits.seconds, self._heap, gone) as connection:
                return read(connection)

        async with self._places:
            try:
                return await asyncio.to_thread(run)
            finally:
                gone.set()  # the thread cannot be cancelled, but what it runs can be


@contextmanager
def _connected(
    uri: str, seconds: float, heap: int | None, gone: threading.Event
) -> Iterator[sqlite3.Connection]:
    """A connection on which nothing but reading works, until its time is over.

    Raises:
        InvalidRequest: SQLite refuses or stops the statement.
        StoreUnavailable: the file cannot be opened.
    """
    deadline = time.monotonic() + seconds
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
    except sqlite3.Error as error:
        raise StoreUnavailable(f"the database cannot be opened: {error}") from None
    try:
        connection.text_factory = lambda data: data.decode("utf-8", errors="replace")
        connection.execute("PRAGMA query_only = ON")
        # Views of a hostile file must not call functions that do more than compute.
        connection.execute("PRAGMA trusted_schema = OFF")
        # Sorting spills into memory, which is limited, and not into files, which are not.
        connection.execute("PRAGMA temp_store = MEMORY")
        if heap is not None:
            connection.execute(f"PRAGMA hard_heap_limit = {heap:d}")
        for limit, most in (
            (sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE),
            (sqlite3.SQLITE_LIMIT_SQL_LENGTH, 4 * MAX_SQL),
            (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 500),
            (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
            (sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0),
        ):
            connection.setlimit(limit, most)
        connection.set_progress_handler(
            lambda: gone.is_set() or time.monotonic() > deadline, _STEPS
        )
        yield connection
    except sqlite3.Error as error:
        raise _explained(error, seconds) from None
    except MemoryError:
        raise InvalidRequest(
            "the query needs more memory than allowed", hint="Select fewer or shorter values."
        ) from None
    finally:
        connection.close()


def _authorize(action: int, first: str | None, second: str | None, *_: object) -> int:
    if action not in _ALLOWED:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _FORBIDDEN_FUNCTIONS:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _explained(error: sqlite3.Error, seconds: float) -> InvalidRequest:
    code = getattr(error, "sqlite_errorcode", None)
    if code == sqlite3.SQLITE_INTERRUPT:
        return InvalidRequest(
            f"the query took longer than {seconds:g} seconds",
            hint="Narrow it, or look at fewer rows.",
        )
    if code in (sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY) or "authoriz" in str(error):
        return InvalidRequest(
            "only reading is allowed here", hint="Send one SELECT; use list_tables and describe."
        )
    if isinstance(error, sqlite3.Warning | sqlite3.ProgrammingError) and "one statement" in str(
        error
    ):
        return InvalidRequest("only one statement can be run at a time")
    return InvalidRequest(f"the query failed: {str(error)[:500]}")
