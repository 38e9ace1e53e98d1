"""Logs of runs in the database: written by whoever executes a run, watched by anybody.

What always holds: an event is in the database before a watcher is told of it.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from rostra.agents.events import (
    Paused,
    Record,
    RunEnded,
    RunEvent,
    Status,
    decode_event,
    encode_event,
)
from rostra.store import Database, RunClaim, RunLog, append_events, get_run, read_events

_PAGE = 500
# How often a watcher looks for events that another process writes.
_POLL_SECONDS = 0.5


class StoredLogs:
    """All logs of one database.

    Args:
        database: open.
        log: takes new events; its owner closes it.
    """

    def __init__(self, database: Database, log: RunLog) -> None:
        self._database = database
        self._log = log
        self._news: dict[UUID, asyncio.Event] = {}
        # What is on disk of the runs that are executed here, so that watchers need not read it.
        self._written: dict[UUID, list[Record]] = {}

    def begin(self, run_id: UUID, records: Sequence[Record]) -> None:
        """From now on this process executes a run, and all that its log has is known."""
        self._written[run_id] = list(records)

    def leave(self, run_id: UUID) -> None:
        """This process executes a run no more."""
        self._written.pop(run_id, None)

    async def append(self, claim: RunClaim, records: Sequence[Record]) -> None:
        """Writes further events of a run that is executed here, and tells its watchers.

        Raises:
            LostLease: somebody else executes it now.
        """
        await self._log.append(
            claim.run.id,
            records[0].seq - 1,
            _entries(records),
            token=claim.fencing_token,
            status=_status_after(records[-1].event),
        )
        if (written := self._written.get(claim.run.id)) is not None:
            written += records
        self.tell(claim.run.id)

    async def append_within(
        self, session: AsyncSession, claim: RunClaim, records: Sequence[Record]
    ) -> None:
        """`append` in a transaction of the caller's, who tells the watchers once it is over.

        Raises:
            LostLease: somebody else executes it now.
        """
        await append_events(
            session,
            claim.run.id,
            records[0].seq - 1,
            _entries(records),
            token=claim.fencing_token,
            status=_status_after(records[-1].event),
        )

    async def watch(self, run_id: UUID, after: int = 0) -> AsyncIterator[Record]:
        """Events from number `after + 1` on, as they come; ends with the run.

        Raises:
            RunNotFound: there is no such run.
        """
        async with self._database.read() as session:
            await get_run(session, run_id)
        while True:
            news = self._news.setdefault(run_id, asyncio.Event())
            page = await self._news_of(run_id, after)
            for record in page:
                after = record.seq
                yield record
                if isinstance(record.event, RunEnded):
                    self._news.pop(run_id, None)
                    return
            if not page:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await news.wait()

    async def read(self, run_id: UUID) -> list[Record]:
        """The whole log.

        Raises:
            RunNotFound: there is no such run.
        """
        async with self._database.read() as session:
            await get_run(session, run_id)
        records: list[Record] = []
        while page := await self._page(run_id, len(records)):
            records += page
        return records

    async def goes_on(self, run_id: UUID, seq: int) -> bool:
        """Whether a run that paused with this event does not stand there any more."""
        async with self._database.read() as session:
            run = await get_run(session, run_id)
        return run.status != Status.PAUSED or run.last_seq > seq

    def tell(self, run_id: UUID) -> None:
        """Wakes those who watch a run."""
        if (news := self._news.pop(run_id, None)) is not None:
            news.set()

    async def _news_of(self, run_id: UUID, after: int) -> list[Record]:
        """Some further records of a run; none if there are none yet."""
        if (written := self._written.get(run_id)) is not None:
            return written[after : after + _PAGE]
        return await self._page(run_id, after)

    async def _page(self, run_id: UUID, after: int) -> list[Record]:
        async with self._database.read() as session:
            found = await read_events(session, run_id, after, _PAGE)
        return [Record(one.seq, one.at, decode_event(one.data)) for one in found]


class ClaimedLog:
    """The log of a run that this process executes."""

    def __init__(self, logs: StoredLogs, claim: RunClaim) -> None:
        self._logs = logs
        self._claim = claim

    async def append(self, records: Sequence[Record]) -> None:
        """See `Log.append`."""
        await self._logs.append(self._claim, records)


def _entries(records: Sequence[Record]) -> list[tuple[datetime, str, bytes]]:
    return [
        (record.at, type(record.event).__name__, encode_event(record.event)) for record in records
    ]


def _status_after(event: RunEvent) -> str | None:
    match event:
        case RunEnded(status=status):
            return str(status)
        case Paused():
            return str(Status.PAUSED)
    return None
