"""Reads and writes from a thread, through the same functions as everywhere, in one go.

Through an ordinary session each statement is handed to another thread and back four times, which
costs several times the statement. What reads or writes much, or little but often, calls the same
functions with a session that answers at once: their coroutines then never wait and end at their
first step.

What always holds: what is passed here awaits nothing but its session; transactions are those of
`Database.read` and `Database.write`.
"""

import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from rostra.store.database import Database, sqlite_listeners
from rostra.store.faults import Translated

T = TypeVar("T")
Work = Callable[[AsyncSession], Coroutine[Any, Any, T]]


class AtOnce:
    """Sessions for threads, over a database; opens connections of its own when first used.

    Args:
        database: where to read and write.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._reader: Engine | None = None

    def read(self, work: Work[T]) -> T:
        """Runs a function over one consistent state, in this thread.

        Raises:
            StoreUnavailable: the database does not answer.
        """
        with Translated(), self._engine().connect() as connection:
            return _run(connection, work)

    def close(self) -> None:
        """Closes all connections."""
        with self._lock:
            if self._reader is not None:
                self._reader.dispose()
            self._reader = None

    def _engine(self) -> Engine:
        with self._lock:
            if self._reader is None:
                self._reader = _reading(self._database)
            return self._reader


class _Session:
    """What of an `AsyncSession` repositories use, over a connection that answers at once."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def execute(self, *args: Any, **kwargs: Any) -> Any:
        return self._session.execute(*args, **kwargs)

    async def scalar(self, *args: Any, **kwargs: Any) -> Any:
        return self._session.scalar(*args, **kwargs)

    async def scalars(self, *args: Any, **kwargs: Any) -> Any:
        return self._session.scalars(*args, **kwargs)

    def get_bind(self) -> Any:
        return self._session.get_bind()


def _run(connection: Connection, work: Work[T]) -> T:
    with Session(connection) as session:
        coroutine = work(cast(AsyncSession, _Session(session)))
        try:
            coroutine.send(None)
        except StopIteration as end:
            return cast(T, end.value)
        finally:
            coroutine.close()
    raise RuntimeError("what runs at once awaited something else than its session")


def _reading(database: Database) -> Engine:
    """An engine for threads that reads as the database's own does."""
    url = database.reader.url
    if database.engine_name != "sqlite":
        engine = create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    engine = create_engine(url.set(drivername="sqlite"))
    for name, listener in sqlite_listeners(writes=False):
        event.listen(engine, name, listener)
    return engine
