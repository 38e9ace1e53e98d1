"""Appends to runs' logs, on the path of every step of every run.

What always holds: an append is one transaction, on disk when it returns. It then survives the death
of this process, at any moment and by any signal; with `durable` it survives that of the machine
too, at the price of waiting for the disk. Cancelling the caller does not tear an append: it has
happened whole, or failed, before the cancellation goes on.

Never append within `Database.write()`: on SQLite the two would wait for each other. There is
`append_events` for that.

On SQLite appends have a connection and a thread of their own: through the ordinary session every
statement would be handed to another thread and back, which costs several times the statement.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self
from uuid import UUID

from rostra.store.database import Database, open_log_engine
from rostra.store.faults import Translated
from rostra.store.runs import Entry, append


class RunLog:
    """See this module.

    Args:
        database: whose runs.
        durable: wait until the disk has it.
    """

    def __init__(self, database: Database, *, durable: bool = False) -> None:
        self._database = database
        self._durable = durable
        # SQLite alone; PostgreSQL's driver waits without a thread.
        self._engine = (
            open_log_engine(database, durable=durable) if database.engine_name == "sqlite" else None
        )
        self._thread = ThreadPoolExecutor(1, "run-log")
        self._closed = False

    async def append(
        self,
        run_id: UUID,
        after_seq: int,
        events: Sequence[Entry],
        *,
        token: int,
        status: str | None = None,
    ) -> None:
        """See `append_events`.

        Raises:
            LostLease: somebody else holds the run, it has stopped, or its log has gone on.
            StoreUnavailable: the database does not answer or stays locked.
        """
        arguments = (run_id, after_seq, events, token, status, self._durable)
        if self._engine is not None:
            writing: asyncio.Future[None] = asyncio.get_running_loop().run_in_executor(
                self._thread, self._in_thread, *arguments
            )
        else:
            writing = asyncio.create_task(self._in_pool(*arguments))
        await _whole(writing)

    async def close(self) -> None:
        """Ends the connection, after the last append; a second time does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._engine is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
        self._thread.shutdown()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _in_thread(
        self,
        run_id: UUID,
        after_seq: int,
        events: Sequence[Entry],
        token: int,
        status: str | None,
        durable: bool,
    ) -> None:
        if self._engine is None:
            raise RuntimeError("only SQLite is written to in a thread")
        with Translated(), self._engine.begin() as connection:
            append(connection, run_id, after_seq, events, token, status, durable)

    async def _in_pool(
        self,
        run_id: UUID,
        after_seq: int,
        events: Sequence[Entry],
        token: int,
        status: str | None,
        durable: bool,
    ) -> None:
        with Translated():
            async with self._database.writer.begin() as connection:
                await connection.run_sync(append, run_id, after_seq, events, token, status, durable)


async def _whole(writing: asyncio.Future[None]) -> None:
    """Waits for the end of a write, also when cancelled meanwhile."""
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        # A second cancellation waits no less; a write is short, or fails by its own timeout.
        while not writing.done():
            try:
                await asyncio.wait([writing])
            except asyncio.CancelledError:
                continue
        if not writing.cancelled():
            writing.exception()  # looked at, so that it is not reported as lost
        raise
