"""Appends to runs' logs, on the path of every step of every run.

What always holds: an append is one transaction, on disk when it returns. It then survives the death
of this process, at any moment and by any signal; with `durable` it survives that of the machine
too, at the price of waiting for the disk. Cancelling the caller does not tear an append: it happens
whole or not at all.

Never append within `Database.write()`: on SQLite the two would wait for each other. There is
`append_events` for that.

On SQLite appends have a connection and a thread of their own: through the ordinary session every
statement would be handed to another thread and back, which costs several times the statement. The
statements are compiled once, see `prepared`.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self
from uuid import UUID

from rostra.store.database import Database, open_log_connection
from rostra.store.faults import Translated
from rostra.store.runs import Entry, SqliteAppend, append


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
        self._append = SqliteAppend() if database.engine_name == "sqlite" else None
        self._thread = ThreadPoolExecutor(1, "run-log")
        self._connection: sqlite3.Connection | None = None  # the thread's
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
        arguments = (run_id, after_seq, events, token, status)
        if self._append is not None:
            await asyncio.get_running_loop().run_in_executor(
                self._thread, self._in_thread, self._append, *arguments
            )
        else:
            await self._in_pool(*arguments)

    async def close(self) -> None:
        """Ends the connection, after the last append; a second time does nothing."""
        if self._closed:
            return
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(self._thread, self._end_thread)
        self._thread.shutdown()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _in_thread(
        self,
        append_now: SqliteAppend,
        run_id: UUID,
        after_seq: int,
        events: Sequence[Entry],
        token: int,
        status: str | None,
    ) -> None:
        with Translated():
            if self._connection is None:
                self._connection = open_log_connection(self._database, durable=self._durable)
            append_now(self._connection, run_id, after_seq, events, token, status)

    def _end_thread(self) -> None:
        if self._connection is not None:
            self._connection.close()

    async def _in_pool(
        self,
        run_id: UUID,
        after_seq: int,
        events: Sequence[Entry],
        token: int,
        status: str | None,
    ) -> None:
        with Translated():
            async with self._database.writer.begin() as connection:
                await connection.run_sync(
                    append, run_id, after_seq, events, token, status, self._durable
                )
