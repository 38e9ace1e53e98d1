"""Reads from a thread, through the same functions as everywhere, in one go.

Through an ordinary session each statement is handed to another thread and back four times, which
costs several times the statement. What reads much, or little but often, calls the same functions
with a session that answers at once: their coroutines then never wait and end at their first step.

What always holds: what is passed here awaits nothing but its session, and sees one consistent
state, as in `Database.read`.
"""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from rostra.store.database import Database

T = TypeVar("T")
Work = Callable[[AsyncSession], Coroutine[Any, Any, T]]


def read_at_once(database: Database, work: Work[T]) -> T:
    """Runs a function over one consistent state, in this thread.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    with database.reading(one_state=True) as connection, Session(connection) as session:
        coroutine = work(cast(AsyncSession, _Session(session)))
        try:
            coroutine.send(None)
        except StopIteration as end:
            return cast(T, end.value)
        finally:
            coroutine.close()
    raise RuntimeError("what runs at once awaited something else than its session")


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
