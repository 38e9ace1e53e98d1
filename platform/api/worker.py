"""The job worker: uploads one after the other, beside them pages likewise, and watched folders.

What always holds: a job is reported on only while its lease is held, so that two workers never both
finish it; a job that is broken off, by a shutdown or by a crash, can be claimed again and repeats
nothing visible; uploaded files are kept until their job has succeeded or is given up by hand. There
can be any number of workers, in the server and in processes of their own.
"""

import asyncio
import os
import random
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from rostra.api.turns import take_turns
from rostra.api.uploads import Uploads
from rostra.api.work import WATCH_KIND, NothingRead, Scope, Work
from rostra.core import JobNotFound, RostraError, StoreUnavailable, get_logger
from rostra.fetch import Fetcher
from rostra.ingest import Progress, WatchPace
from rostra.runtime import Runtime
from rostra.store import (
    MAX_ATTEMPTS,
    Claim,
    Database,
    LostLease,
    check_held,
    checkpoint,
    claim,
    defer,
    fail,
    get_job,
    heartbeat,
    listen_for_jobs,
    prune_jobs,
    release,
    succeed,
)

log = get_logger(__name__)

# Between two looks for jobs that ended long ago.
_PRUNE_SECONDS = 6 * 3600.0
_PRUNED_AT_ONCE = 500
# Folders that one worker follows at a time.
MAX_WATCHES = 16
# Failures of these statuses may pass: something elsewhere did not answer, or the disk was full.
_PASSING = frozenset({502, 503, 504, 507})
_FIRST_DELAY = 5.0
_LONGEST_DELAY = 600.0
# Of a lease; a beat in between that has nothing to tell only looks whether the job is still ours.
_RENEW_AT = 1 / 3


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the worker does what. Seconds.

    Attributes:
        lease: how long a job stays ours without a heartbeat.
        beat: time between heartbeats, well below the lease; a job that was cancelled or paused
            stops within this.
        poll: time between looks at the queue; a job enqueued in this process is seen at once, and
            on PostgreSQL one of any process.
    """

    lease: float = 60.0
    beat: float = 2.0
    poll: float = 5.0


@dataclass(slots=True)
class _Hold:
    """A job in our hands."""

    claim: Claim
    progress: Progress
    stage: str
    state: dict[str, Any]
    furthest: int
    told: dict[str, int] = field(default_factory=dict)
    told_at: float = 0.0


class Worker:
    """Runs jobs until it is cancelled."""

    def __init__(
        self,
        runtime: Runtime,
        uploads: Uploads,
        pace: Pace,
        watch_pace: WatchPace | None = None,
        fetcher: Fetcher | None = None,
    ) -> None:
        self._database = runtime.database
        self._kept_days = runtime.settings.jobs_kept_days
        self._uploads = uploads
        self._work = Work(runtime, uploads, watch_pace, fetcher)
        self._pace = pace
        self._lease = timedelta(seconds=pace.lease)
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        # One for each loop: who wakes from an event clears it.
        self._woken = (asyncio.Event(), asyncio.Event(), asyncio.Event())
        self._watches: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Says that a job was enqueued."""
        for event in self._woken:
            event.set()

    async def run(self) -> None:
        """Takes jobs as they come; ends only by being cancelled."""
        uploads, pages, watches = self._woken
        poll = self._pace.poll
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(listen_for_jobs(self._database, self.wake))
                group.create_task(self._keep_pruning())
                group.create_task(
                    take_turns("upload", uploads, poll, sweep=self._sweep, take=self._run_upload)
                )
                # Pages wait for servers elsewhere; an upload does not wait for that.
                group.create_task(
                    take_turns("pages", pages, poll, sweep=_nothing, take=self._run_other)
                )
                group.create_task(
                    take_turns("watch", watches, poll, sweep=_nothing, take=self._begin_watch)
                )
        finally:
            for task in self._watches:
                task.cancel()
            await asyncio.gather(*self._watches, return_exceptions=True)

    async def _run_upload(self) -> bool:
        """Runs the next job that has files, if there is one."""
        return await self._run_next(having="files")

    async def _run_other(self) -> bool:
        """Runs the next job that has none, if there is one."""
        return await self._run_next(lacking="files")

    async def _run_next(self, having: str | None = None, lacking: str | None = None) -> bool:
        async with self._database.write() as session:
            held = await claim(
                session,
                self._owner,
                self._lease,
                but=(WATCH_KIND,),
                having=having,
                lacking=lacking,
            )
        if held is None:
            return False
        await self._see_through(held)
        return True

    async def _begin_watch(self) -> bool:
        """Begins to follow a folder, if there is one that nobody follows."""
        if len(self._watches) >= MAX_WATCHES:
            return False
        async with self._database.write() as session:
            held = await claim(session, self._owner, self._lease, kinds=(WATCH_KIND,))
        if held is None:
            return False
        task = asyncio.create_task(self._keep_watching(held), name=f"watch {held.job.id}")
        self._watches.add(task)
        task.add_done_callback(self._watch_ended)
        return True

    def _watch_ended(self, task: asyncio.Task[None]) -> None:
        self._watches.discard(task)
        self._woken[-1].set()

    async def _keep_watching(self, held: Claim) -> None:
        try:
            await self._see_through(held)
        except RostraError as error:
            log.info("folder not followed any more", job=str(held.job.id), reason=error.message)
        except Exception as error:  # one folder's bug must not end the others
            log.error("folder not followed any more", job=str(held.job.id), exc_info=error)

    async def _see_through(self, held: Claim) -> None:
        """Works on a job and reports how it ended.

        Raises:
            LostLease: another worker has it now, or somebody cancelled or paused it.
            StoreUnavailable: nothing could be reported; the job is claimed again later.
        """
        job = held.job
        hold = _Hold(
            held,
            Progress(total=len(job.payload.get("files") or job.payload.get("urls") or ())),
            job.stage,
            dict(job.checkpoint),
            int(job.checkpoint.get("done", 0)),
        )

        async def save(stage: str, state: dict[str, Any]) -> None:
            hold.stage, hold.state = stage, state
            async with self._database.write() as session:
                await checkpoint(session, held, stage, state, self._lease)

        scope = Scope(job, hold.progress, save)
        work = asyncio.create_task(self._work.do(scope), name=f"job {job.id}")
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=self._pace.beat)
                if not work.done():
                    await self._beat(hold)
            await self._report(hold, work)
        except asyncio.CancelledError:
            await _cancel(work)
            await self._let_go(hold)
            raise
        except LostLease:
            await _cancel(work)
            await self._tidy(held)
            raise
        except BaseException:
            await _cancel(work)
            raise

    async def _beat(self, hold: _Hold) -> None:
        held, now = hold.claim, _plain(hold.progress)
        is_due = time.monotonic() - hold.told_at >= self._pace.lease * _RENEW_AT
        try:
            if now == hold.told and not is_due:
                async with self._database.read() as session:
                    await check_held(session, held)
                return
            async with self._database.write() as session:
                await heartbeat(session, held, self._lease, now)
                if hold.progress.done > hold.furthest:
                    # Farther than any attempt before: it is not this job that kills its workers.
                    hold.furthest = hold.progress.done
                    hold.state["done"] = hold.furthest
                    await checkpoint(session, held, hold.stage, hold.state, self._lease)
        except StoreUnavailable as error:
            # The lease may outlast this; if not, the fencing token stops us at the next report.
            log.warning("heartbeat not stored", job=str(held.job.id), reason=error.message)
            return
        hold.told, hold.told_at = now, time.monotonic()

    async def _let_go(self, hold: _Hold) -> None:
        """Gives the job back at once instead of when the lease runs out."""
        held = hold.claim
        try:
            async with self._database.write() as session:
                await release(session, held, _plain(hold.progress))
        except RostraError as error:
            log.warning("job not given back", job=str(held.job.id), reason=error.message)

    async def _report(self, hold: _Hold, work: asyncio.Task[dict[str, Any]]) -> None:
        held = hold.claim
        reason = _reason(work.exception())
        if isinstance(reason, LostLease):
            raise reason
        if isinstance(reason, StoreUnavailable):
            await self._let_go(hold)
            raise reason
        async with self._database.write() as session:
            await heartbeat(session, held, self._lease, _plain(hold.progress))
            if reason is None:
                await succeed(session, held, work.result())
            else:
                await _fail_or_defer(session, held, reason)
        if reason is None:
            await asyncio.to_thread(self._uploads.remove, held.job.id)

    async def _tidy(self, held: Claim) -> None:
        """Removes the files of a job that was cancelled or dropped under our hands."""
        if await self._is_over(held.job.id, when_missing=True):
            await asyncio.to_thread(self._uploads.remove, held.job.id)

    async def _sweep(self) -> None:
        """Removes what an earlier process left of finished jobs and of uploads never completed."""
        for job_id in await asyncio.to_thread(self._uploads.job_folders):
            if await self._is_over(job_id, when_missing=self._uploads.is_stale(job_id)):
                await asyncio.to_thread(self._uploads.remove, job_id)
        await asyncio.to_thread(self._uploads.remove_incoming)

    async def _keep_pruning(self) -> None:
        """Deletes jobs that ended long ago, so that their list stays bounded."""
        while self._kept_days:
            before = datetime.now(UTC) - timedelta(days=self._kept_days)
            try:
                await drop_ended(self._database, self._uploads, before)
            except (RostraError, OSError) as error:
                log.warning("old jobs not deleted", reason=str(error))
            await asyncio.sleep(_PRUNE_SECONDS)

    async def _is_over(self, job_id: UUID, *, when_missing: bool) -> bool:
        """Whether a job needs its files no more; one that has failed may be retried."""
        async with self._database.read() as session:
            try:
                return (await get_job(session, job_id)).status in ("succeeded", "cancelled")
            except JobNotFound:
                return when_missing


async def drop_ended(
    database: Database,
    uploads: Uploads,
    before: datetime,
    statuses: Sequence[str] = ("succeeded", "cancelled"),
) -> int:
    """Deletes jobs that ended before a time, and what is left of their files; returns how many.

    Raises:
        WrongJobStatus: one of the statuses is not of jobs that have ended.
        StoreUnavailable: the database does not answer.
    """
    dropped = 0
    while True:
        async with database.write() as session:
            ids = await prune_jobs(session, before, statuses=statuses, limit=_PRUNED_AT_ONCE)
        for job_id in ids:
            await asyncio.to_thread(uploads.remove, job_id)
        dropped += len(ids)
        if len(ids) < _PRUNED_AT_ONCE:
            return dropped


async def _nothing() -> None:
    """Watches leave nothing behind."""


async def _fail_or_defer(session: AsyncSession, held: Claim, reason: BaseException) -> None:
    """Ends a job, or has it tried again when what went wrong may pass."""
    code = reason.code if isinstance(reason, RostraError) else RostraError.code
    tries = held.job.attempts - held.job.fruitful_attempt
    if isinstance(reason, RostraError) and reason.status in _PASSING and tries < MAX_ATTEMPTS:
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (max(tries, 1) - 1))
        later = timedelta(seconds=delay * random.uniform(1, 1.25))
        await defer(session, held, _sentence(reason), code, later)
    else:
        told = reason.details["report"] if isinstance(reason, NothingRead) else None
        await fail(session, held, _sentence(reason), code, told)


async def _cancel(work: asyncio.Task[Any]) -> None:
    work.cancel()
    await asyncio.wait({work})
    if not work.cancelled() and (error := work.exception()) is not None:
        log.warning("job broken off", reason=str(error))


def _reason(error: BaseException | None) -> BaseException | None:
    """What went wrong, out of the groups that task groups make."""
    while isinstance(error, BaseExceptionGroup):
        ours = error.subgroup(RostraError)
        error = (ours or error).exceptions[0]
    return error


def _sentence(error: BaseException) -> str:
    """A failed job's reason, for people."""
    if isinstance(error, RostraError):
        return f"{error.message} ({error.hint})" if error.hint else error.message
    log.error("job failed", exc_info=error)
    return "Something went wrong inside the server; its log has the details."


def _plain(progress: Progress) -> dict[str, int]:
    return {"done": progress.done, "total": progress.total, "chunks": progress.chunks}
