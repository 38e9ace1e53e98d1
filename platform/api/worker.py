"""The job worker inside the server: takes one job at a time and sees it through.

What always holds: a job is reported on only while its lease is held, so that two workers never both
finish it; a job that is broken off, by a shutdown or by a crash, can be claimed again and is then
done from the start, which repeats nothing visible; uploaded files are kept until their job ends.
"""

import asyncio
import os
import socket
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rostra.api.turns import take_turns
from rostra.api.uploads import JOB_KIND, Uploads
from rostra.core import JobNotFound, RostraError, StoreUnavailable, get_logger
from rostra.ingest import IngestReport, Progress
from rostra.runtime import Runtime
from rostra.store import Claim, claim, fail, get_job, heartbeat, release, succeed

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the worker does what. Seconds.

    Attributes:
        lease: how long a job stays ours without a heartbeat.
        beat: time between heartbeats, well below the lease.
        poll: time between looks at the queue; a job enqueued in this process is seen at once.
    """

    lease: float = 60.0
    beat: float = 2.0
    poll: float = 5.0


class Worker:
    """Runs jobs until it is cancelled."""

    def __init__(self, runtime: Runtime, uploads: Uploads, pace: Pace) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._uploads = uploads
        self._pace = pace
        self._lease = timedelta(seconds=pace.lease)
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Says that a job was enqueued."""
        self._woken.set()

    async def run(self) -> None:
        """Takes jobs as they come; ends only by being cancelled."""
        await take_turns(
            "job", self._woken, self._pace.poll, sweep=self._sweep, take=self._run_next
        )

    async def _run_next(self) -> bool:
        """Runs a job if there is one."""
        async with self._database.write() as session:
            held = await claim(session, self._owner, self._lease)
        if held is None:
            return False
        await self._see_through(held)
        return True

    async def _see_through(self, held: Claim) -> None:
        """Works on a job and reports how it ended.

        Raises:
            LostLease: another worker has it now.
            StoreUnavailable: nothing could be reported; the job is claimed again later.
        """
        progress = Progress(total=len(held.job.payload.get("files", ())))
        work = asyncio.create_task(self._work(held, progress), name=f"job {held.job.id}")
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=self._pace.beat)
                if not work.done():
                    await self._beat(held, progress)
            await self._report(held, progress, work)
        except asyncio.CancelledError:
            await _cancel(work)
            await self._let_go(held, progress)
            raise
        except BaseException:
            await _cancel(work)
            raise

    async def _work(self, held: Claim, progress: Progress) -> IngestReport:
        job = held.job
        if job.kind != JOB_KIND:
            raise RostraError(f"this version knows no jobs of kind {job.kind!r}")

        def on_progress(now: Progress) -> None:
            progress.done, progress.total, progress.chunks = now.done, now.total, now.chunks

        sources = await asyncio.to_thread(self._uploads.sources, job)
        return await self._runtime.ingester.ingest(
            sources, job.payload["collection"], on_progress=on_progress
        )

    async def _beat(self, held: Claim, progress: Progress) -> None:
        try:
            async with self._database.write() as session:
                await heartbeat(session, held, self._lease, _plain(progress))
        except StoreUnavailable as error:
            # The lease may outlast this; if not, the fencing token stops us at the next report.
            log.warning("heartbeat not stored", job=str(held.job.id), reason=error.message)

    async def _let_go(self, held: Claim, progress: Progress) -> None:
        """Gives the job back at once instead of when the lease runs out."""
        try:
            async with self._database.write() as session:
                await release(session, held, _plain(progress))
        except RostraError as error:
            log.warning("job not given back", job=str(held.job.id), reason=error.message)

    async def _report(
        self, held: Claim, progress: Progress, work: asyncio.Task[IngestReport]
    ) -> None:
        reason = _reason(work.exception())
        if isinstance(reason, StoreUnavailable):
            await self._let_go(held, progress)
            raise reason
        async with self._database.write() as session:
            await heartbeat(session, held, self._lease, _plain(progress))
            if reason is None:
                await succeed(session, held, work.result().to_dict())
            else:
                await fail(session, held, _sentence(reason))
        await asyncio.to_thread(self._uploads.remove, held.job.id)

    async def _sweep(self) -> None:
        """Removes what an earlier process left of finished jobs and of uploads never completed."""
        for job_id in await asyncio.to_thread(self._uploads.job_folders):
            async with self._database.read() as session:
                try:
                    ended = (await get_job(session, job_id)).status in ("succeeded", "failed")
                except JobNotFound:
                    ended = self._uploads.is_stale(job_id)
            if ended:
                await asyncio.to_thread(self._uploads.remove, job_id)
        await asyncio.to_thread(self._uploads.remove_incoming)


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
