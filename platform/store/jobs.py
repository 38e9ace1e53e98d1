"""Jobs: queued by a request, held by one worker at a time, finished once.

What always holds: only the holder of the current fencing token can report on a job; a job whose
worker died is claimed again once its lease has run out, `MAX_ATTEMPTS` times without getting any
further; a job that has succeeded never changes. Failed jobs are the dead letters: they stay, with
their reasons, until somebody retries or drops them (`rostra.store.job_control`).

| status | means |
|---|---|
| `queued` | waits for a worker, or for `not_before` after a try that failed |
| `running` | held by a worker, or by one that died and has a lease yet to run out |
| `paused` | waits for somebody to resume it |
| `succeeded`, `failed`, `cancelled` | ended |
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer as defer_column

from rostra.core import JobNotFound
from rostra.store.leases import hold_oldest, lost, report, unheld
from rostra.store.tables import JobRow, utc_now

MAX_ATTEMPTS = 5
JOB_STATUSES = ("queued", "running", "paused", "succeeded", "failed", "cancelled")
# PostgreSQL tells workers over this channel that a job was queued.
JOBS_CHANNEL = "rostra_jobs"
_OWNER_CHARS = 64


@dataclass(frozen=True, slots=True)
class Job:
    """A job as users see it."""

    id: UUID
    kind: str
    status: str
    payload: dict[str, Any]
    progress: dict[str, Any]
    result: dict[str, Any] | None
    error: str | None
    error_code: str | None
    stage: str
    checkpoint: dict[str, Any]
    attempts: int
    fruitful_attempt: int
    not_before: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def collection(self) -> str:
        """The name of the collection that it is for; empty if it is for none."""
        return str(self.payload.get("collection", ""))

    @property
    def source(self) -> str:
        """What it reads, in a few words."""
        for name in ("sitemap", "folder"):
            if name in self.payload:
                return str(self.payload[name])
        for name, many in (("urls", "pages"), ("files", "files")):
            if items := self.payload.get(name):
                first = items[0] if name == "urls" else items[0].get("name", "")
                return str(first) if len(items) == 1 else f"{len(items)} {many}"
        return ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's hold on a job."""

    job: Job
    fencing_token: int


async def enqueue(session: AsyncSession, kind: str, payload: dict[str, Any]) -> Job:
    """Adds a job to the queue; workers on PostgreSQL hear of it when it is committed."""
    row = JobRow(kind=kind, payload=payload, status="queued", progress={}, stage="", checkpoint={})
    session.add(row)
    await session.flush()
    await announce(session)
    return as_job(row)


async def announce(session: AsyncSession) -> None:
    """Tells workers in other processes, on commit, that there is something to claim."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text(f"NOTIFY {JOBS_CHANNEL}"))


async def get_job(session: AsyncSession, job_id: UUID) -> Job:
    """A job by id.

    Raises:
        JobNotFound: there is none.
    """
    row = await session.get(JobRow, job_id)
    if row is None:
        raise JobNotFound(f"there is no job {job_id}")
    return as_job(row)


async def list_jobs(
    session: AsyncSession, statuses: Sequence[str] = (), *, limit: int = 50, offset: int = 0
) -> tuple[list[Job], int]:
    """A page of jobs, the newest first, without their checkpoints, and how many there are.

    Args:
        session: reads.
        statuses: only jobs of these; empty is all.
        limit: most jobs of the page.
        offset: jobs to skip.
    """
    chosen = [JobRow.status.in_(statuses)] if statuses else []
    total = await session.scalar(select(func.count()).select_from(JobRow).where(*chosen))
    rows = await session.scalars(
        select(JobRow)
        .where(*chosen)
        .order_by(JobRow.id.desc())
        .limit(limit)
        .offset(offset)
        .options(defer_column(JobRow.checkpoint))
    )
    return [as_job(row, checkpoint={}) for row in rows], total or 0


async def claim(
    session: AsyncSession,
    owner: str,
    lease: timedelta,
    *,
    kinds: Collection[str] | None = None,
    but: Collection[str] = (),
    having: str | None = None,
    lacking: str | None = None,
) -> Claim | None:
    """Takes the oldest job that waits or whose worker is gone; None when there is none.

    Args:
        session: a writing session.
        owner: name of the worker, for people to read.
        lease: how long the hold lasts without a heartbeat.
        kinds: only jobs of these; None is all.
        but: no jobs of these.
        having: only jobs whose payload has a value of this name.
        lacking: only jobs whose payload has none of this name.
    """
    now = utc_now()
    which = and_(_claimable(now), JobRow.kind.not_in(but))
    if kinds is not None:
        which = and_(which, JobRow.kind.in_(kinds))
    if having is not None:
        which = and_(which, JobRow.payload[having].as_string().is_not(None))
    if lacking is not None:
        which = and_(which, JobRow.payload[lacking].as_string().is_(None))
    while True:
        row = await hold_oldest(session, JobRow, which, now)
        if row is None:
            return None
        if row.attempts - row.fruitful_attempt < MAX_ATTEMPTS:
            break
        row.status = "failed"
        row.lease_expires_at = None
        row.error_code = "given_up"
        # A try that ended has left its reason; one whose process died has not.
        reason = f"; the last one: {row.error}" if row.error else ""
        row.error = f"given up after {MAX_ATTEMPTS} attempts that got no further{reason}"
        await session.flush()
    row.attempts += 1
    row.status = "running"
    row.lease_owner = owner[:_OWNER_CHARS]
    row.not_before = None
    row.lease_expires_at = now + lease
    await session.flush()
    return Claim(as_job(row), row.fencing_token)


async def heartbeat(
    session: AsyncSession, held: Claim, lease: timedelta, progress: dict[str, Any]
) -> None:
    """Extends the lease and reports progress.

    Raises:
        LostLease: the hold is no longer ours.
    """
    await _report(session, held, progress=progress, lease_expires_at=utc_now() + lease)


async def checkpoint(
    session: AsyncSession, held: Claim, stage: str, state: dict[str, Any], lease: timedelta
) -> None:
    """Keeps what a worker that takes over goes on from, and extends the lease.

    The work got further, so the attempts until now no longer count against it.

    Raises:
        LostLease: the hold is no longer ours.
    """
    await _report(
        session,
        held,
        stage=stage,
        checkpoint=state,
        fruitful_attempt=held.job.attempts,
        lease_expires_at=utc_now() + lease,
    )


async def check_held(session: AsyncSession, held: Claim) -> None:
    """Looks whether a job is still ours, without writing anything.

    Raises:
        LostLease: it is not.
    """
    token = await session.scalar(
        select(JobRow.fencing_token).where(JobRow.id == held.job.id, JobRow.status == "running")
    )
    if token != held.fencing_token:
        raise lost(JobRow, held.job.id)


async def succeed(session: AsyncSession, held: Claim, result: dict[str, Any]) -> None:
    """Ends a job well.

    Raises:
        LostLease: the hold is no longer ours.
    """
    await _report(
        session,
        held,
        status="succeeded",
        result=result,
        error=None,
        error_code=None,
        checkpoint={},
        lease_expires_at=None,
    )


async def fail(
    session: AsyncSession,
    held: Claim,
    error: str,
    code: str | None = None,
    result: dict[str, Any] | None = None,
) -> None:
    """Ends a job with a reason; it is tried again only when somebody says so.

    Args:
        session: a writing session.
        held: the hold on the job.
        error: the reason, for people.
        code: the reason, for programs.
        result: what can be told all the same, such as the reasons of single files.

    Raises:
        LostLease: the hold is no longer ours.
    """
    told = {} if result is None else {"result": result}
    await _report(
        session, held, status="failed", error=error, error_code=code, lease_expires_at=None, **told
    )


async def defer(
    session: AsyncSession, held: Claim, error: str, code: str | None, delay: timedelta
) -> None:
    """Gives a job back after a try that failed, to be tried again after a while.

    The try counts; after `MAX_ATTEMPTS` that got no further the job has failed.

    Raises:
        LostLease: the hold is no longer ours.
    """
    await _report(
        session,
        held,
        status="queued",
        error=error,
        error_code=code,
        not_before=utc_now() + delay,
        lease_owner=None,
        lease_expires_at=None,
    )


async def release(session: AsyncSession, held: Claim, progress: dict[str, Any]) -> None:
    """Gives an unfinished job back, as an orderly shutdown does; it does not count as an attempt.

    Raises:
        LostLease: the hold is no longer ours.
    """
    await _report(
        session,
        held,
        status="queued",
        progress=progress,
        attempts=JobRow.attempts - 1,
        lease_owner=None,
        lease_expires_at=None,
    )


async def _report(session: AsyncSession, held: Claim, **values: Any) -> None:
    await report(session, JobRow, held.job.id, held.fencing_token, **values)


def _claimable(now: datetime) -> ColumnElement[bool]:
    due = or_(JobRow.not_before.is_(None), JobRow.not_before <= now)
    return or_(
        and_(JobRow.status == "queued", due),
        and_(JobRow.status == "running", unheld(JobRow, now)),
    )


def as_job(row: JobRow, checkpoint: dict[str, Any] | None = None) -> Job:
    """The row as users see it; `checkpoint` stands in for one that was not read."""
    return Job(
        id=row.id,
        kind=row.kind,
        status=row.status,
        payload=row.payload,
        progress=row.progress,
        result=row.result,
        error=row.error,
        error_code=row.error_code,
        stage=row.stage,
        checkpoint=row.checkpoint if checkpoint is None else checkpoint,
        attempts=row.attempts,
        fruitful_attempt=row.fruitful_attempt,
        not_before=row.not_before,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
