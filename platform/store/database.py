"""Connections to SQLite or PostgreSQL, with the same promises from both.

What always holds: `write()` is one transaction that commits when its block ends and rolls back when
it raises; two writers never lose each other's updates. On SQLite that takes a writer engine with
one connection whose transactions start with BEGIN IMMEDIATE, and a separate read-only reader
engine on the write-ahead log; deferred transactions would lose updates silently. On PostgreSQL
both share one pool, and readers are REPEATABLE READ. Nothing commits implicitly. Threads that
search read over connections of their own, which cannot write either.
"""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from rostra.core import ConfigError, StoreUnavailable
from rostra.store.faults import Translated
from rostra.store.one_hop import OneHop
from rostra.store.schema import current, head, upgrade

_RETRY_SECONDS = 0.005


class Database:
    """The engines of one database. Make with `open_database`."""

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine, threads: Engine) -> None:
        self.writer = writer
        self.reader = reader
        self._threads = threads
        self._write_session = async_sessionmaker(writer, expire_on_commit=False)
        self._read_session = async_sessionmaker(reader, expire_on_commit=False)

    @property
    def engine_name(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.writer.dialect.name

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session that sees one consistent state and cannot write.

        Raises:
            StoreUnavailable: when the database does not answer.
        """
        with Translated():
            async with self._read_session() as session:
                yield session

    @contextmanager
    def reading(self, *, one_state: bool = False) -> Iterator[Connection]:
        """A connection that cannot write, for a thread that may block.

        Args:
            one_state: all statements see one consistent state; else each sees that of its time,
                which is quicker and all that one statement needs.

        Raises:
            StoreUnavailable: when the database does not answer.
        """
        with Translated(), self._threads.connect() as connection:
            if one_state and self.engine_name == "sqlite":
                connection.exec_driver_sql("BEGIN")
            elif one_state:
                connection.execution_options(isolation_level="REPEATABLE READ")
            # What is open at the end is rolled back where the connection returns.
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A session whose work is committed at the end of the block, or not at all.

        Raises:
            StoreUnavailable: when the database does not answer or stays locked.
        """
        with Translated():
            async with self._write_session() as session, session.begin():
                yield session

    async def close(self) -> None:
        """Closes all connections."""
        await asyncio.to_thread(self._threads.dispose)
        await self.writer.dispose()
        await self.reader.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def open_database(url: str, *, migrate: bool = True, busy_timeout: float = 30.0) -> Database:
    """Connects, and brings the schema up to this version's.

    Args:
        url: SQLAlchemy URL, `sqlite:///...` or `postgresql://...`; the async driver is filled in.
        migrate: apply missing migrations first.
        busy_timeout: seconds to wait for another writer, or for a free connection.

    Raises:
        ConfigError: the URL is malformed or names another engine.
        StoreUnavailable: no connection, or the schema is newer than this program.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ConfigError(f"database_url: {error}") from None
    match parsed.get_backend_name():
        case "sqlite":
            database = await _sqlite(parsed, busy_timeout)
        case "postgresql":
            database = _postgresql(parsed, busy_timeout)
        case other:
            raise ConfigError(f"database_url: {other} is not supported, use sqlite or postgresql")
    try:
        with Translated():
            # Read first, without the write lock: the ordinary start has nothing to do.
            if migrate and await current(database.reader) != head():
                await upgrade(database.writer)
    except BaseException:
        await database.close()
        raise
    return database


def open_log_connection(
    database: Database, *, durable: bool, busy_timeout: float = 30.0
) -> sqlite3.Connection:
    """A second writer on a SQLite file, for a thread of its caller's own; it begins by itself.

    Args:
        database: on SQLite.
        durable: whether a commit survives the machine's death; if not, it survives this
            process's, and the disk has it with the next commit of the ordinary writer.
        busy_timeout: seconds to wait for another writer.

    Raises:
        sqlite3.OperationalError: the file cannot be opened.
    """
    file = database.writer.url.database or ""
    connection = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
    _sqlite_set_up(busy_timeout)(connection, None)
    (_set_up_writer if durable else _set_up_log_writer)(connection, None)
    return connection


async def _sqlite(url: URL, busy_timeout: float) -> Database:
    file = url.database
    if not file or file == ":memory:":
        raise ConfigError("database_url: SQLite needs a file, memory is not shared")
    if url.query or "\0" in file:
        raise ConfigError("database_url: a SQLite URL is a file's path and takes no parameters")
    url = url.set(drivername="sqlite+aiosqlite")
    with Translated():
        await asyncio.to_thread(_prepare_file, Path(file), busy_timeout)
    writer = create_async_engine(
        url,
        module=OneHop(),
        pool_size=1,
        max_overflow=0,
        pool_timeout=busy_timeout,
        json_serializer=_to_json,
    )
    reader = create_async_engine(url, module=OneHop(), pool_size=4, pool_timeout=busy_timeout)
    for engine, writes in ((writer, True), (reader, False)):
        for listener in (
            _sqlite_set_up(busy_timeout),
            _set_up_writer if writes else _set_up_reader,
        ):
            event.listen(engine.sync_engine, "connect", listener)
        begin = _begin_immediate if writes else _begin_deferred
        event.listen(engine.sync_engine, "begin", begin)
        event.listen(engine.sync_engine, "invalidate", _end_abandoned)
    threads = create_engine(
        url.set(drivername="sqlite+pysqlite"),
        pool_size=4,
        pool_timeout=busy_timeout,
        pool_use_lifo=True,  # the one whose pages are still in memory
        connect_args={"check_same_thread": False},
    )
    for listener in (_sqlite_set_up(busy_timeout), _set_up_reader, _set_up_searcher):
        event.listen(threads, "connect", listener)
    return Database(writer, reader, threads)


def _postgresql(url: URL, busy_timeout: float) -> Database:
    writer = create_async_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=8,
        pool_timeout=busy_timeout,
        pool_pre_ping=True,
        json_serializer=_to_json,
    )
    reader = writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    threads = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=4,
        pool_timeout=busy_timeout,
        pool_pre_ping=True,
        pool_use_lifo=True,
        isolation_level="AUTOCOMMIT",
    )
    event.listen(threads, "connect", _set_up_postgresql_reader)
    return Database(writer, reader, threads)


def _to_json(value: object) -> str:
    # Unescaped, because SQLite finds a key by its bytes; strict, because NaN is no JSON.
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _prepare_file(file: Path, busy_timeout: float) -> None:
    """Makes the folder, and the file with its write-ahead log, which then stays on."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot create the data directory {file.parent}: {error.strerror}",
            hint="Set ROSTRA_HOME to a folder you may write to.",
        ) from None
    with closing(sqlite3.connect(file, timeout=busy_timeout)) as connection:
        if (mode := _log_mode(connection, busy_timeout)) != "wal":
            raise StoreUnavailable(
                f"{file} cannot have a write-ahead log (its journal is {mode!r})",
                hint="Set ROSTRA_HOME to a folder on a local disk.",
            )


def _log_mode(connection: sqlite3.Connection, busy_timeout: float) -> str:
    # SQLite does not wait for its lock here, so two processes that make the file at once collide.
    deadline = time.monotonic() + busy_timeout
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            return str(mode)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_SECONDS)


def _sqlite_set_up(busy_timeout: float) -> Callable[[Any, object], None]:
    def set_up(connection: Any, _record: object) -> None:
        # The driver must not begin transactions by itself: ours begin with BEGIN IMMEDIATE.
        connection.isolation_level = None
        # SQLite's own knows only ASCII.
        connection.create_function("lower", 1, _lower, deterministic=True)
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {round(busy_timeout * 1000)}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA cache_size = -65536")
        cursor.execute("PRAGMA temp_store = MEMORY")
        cursor.close()

    return set_up


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _set_up_writer(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


def _set_up_log_writer(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def _set_up_reader(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only = ON")
    cursor.close()


def _set_up_searcher(connection: Any, _record: object) -> None:
    # Hits lie anywhere: of a large file more is kept in vain, and takes memory in each connection.
    cursor = connection.cursor()
    cursor.execute("PRAGMA cache_size = -32768")
    cursor.close()


def _set_up_postgresql_reader(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")


def _end_abandoned(connection: Any, _record: object, _error: object) -> None:
    # A cancelled statement runs on in the driver's thread, and a closed connection keeps its
    # transaction, and so the write lock, for as long as anything refers to the statement: the
    # traceback does. So roll back before closing. One step of the coroutine puts that in the
    # driver's queue; to await it would be to be cancelled once more.
    rollback = connection.driver_connection.rollback()
    with suppress(ValueError, StopIteration):  # it is closed already
        rollback.send(None)
    rollback.close()


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_deferred(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
