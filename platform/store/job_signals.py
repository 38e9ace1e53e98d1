"""Hearing of new jobs at once: LISTEN on PostgreSQL, nothing on SQLite.

What always holds: a signal only says "look now"; who hears none, because the connection broke or
the database has none, finds the job when it polls.
"""

import asyncio
from collections.abc import Callable

import psycopg
from psycopg import sql

from rostra.core import get_logger
from rostra.store.database import Database
from rostra.store.jobs import JOBS_CHANNEL

log = get_logger(__name__)

_AGAIN_SECONDS = 5.0


async def listen_for_jobs(
    database: Database, wake: Callable[[], None], again: float = _AGAIN_SECONDS
) -> None:
    """Calls `wake` for each job that is queued, by any process, until cancelled.

    Args:
        database: whose jobs; on SQLite this returns at once.
        wake: called from the event loop; also once after each connection, for what was missed.
        again: seconds until a broken connection is made again.
    """
    if database.engine_name != "postgresql":
        return
    url = database.writer.url.set(drivername="postgresql")
    address = url.render_as_string(hide_password=False)
    while True:
        try:
            connection = await psycopg.AsyncConnection.connect(address, autocommit=True)
            async with connection:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(JOBS_CHANNEL)))
                wake()
                async for _ in connection.notifies():
                    wake()
        except Exception as error:  # whatever broke, polling goes on, and so must its worker
            log.warning("not told of new jobs; polling", reason=str(error).strip())
        await asyncio.sleep(again)
