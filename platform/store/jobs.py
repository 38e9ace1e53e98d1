"""Jobs: queued by a request, held by one worker at a time, finished once.

What always holds: only the holder of the current fencing token can report on a job; a job whose
worker died is claimed again once its lease has run out, `MAX_ATTEMPTS` times in all; a finished job
never changes.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.core import JobNotFound
from rostra.store.leases import hold_oldest, report, unheld
from rostra.store.tables import JobRow, utc_now

MAX_ATTEMPTS = 5


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
    attempts: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's hold on a job."""

    job: Job
    fencing_token: int


async def enqueue(session: AsyncSession, kind: str, payload: dict[str, Any]) -> Job:
    """Adds a job to the queue."""
    row = JobRow(kind=kind, payload=payload, status="queued", progress={})
    session.add(row)
    await session.flush()
    return _job(row)


async def get_job(session: AsyncSession, job_id: UUID) -> Job:
    """A job by id.

    Raises:
        JobNotFound: there is none.
    """
    row = await session.get(JobRow, job_id)
    if row is None:
        raise JobNotFound(f"there is no job {job_id}")
    return _job(row)


async def claim(session: AsyncSession, owner: str, lease: timedelta) -> Claim | None:
    """Takes the oldest job that waits or whose worker is gone; None when there is none.

    Args:
        session: a writing session.
        owner: name of the worker, for people to read.
        lease: how long the hold lasts without a heartbeat.
    """
    now = utc_now()
    row = await hold_oldest(session, JobRow, _claimable(now), now)
    if row is None:
        return None
    if row.attempts >= MAX_ATTEMPTS:
        row.status = "failed"
        row.lease_expires_at = None
        row.error = f"given up after {MAX_ATTEMPTS} attempts that did not finish"
        await session.flush()
        return await claim(session, owner, lease)
    row.attempts += 1
    row.status = "running"
    row.lease_owner = owner
    row.lease_expires_at = now + lease
    await session.flush()
    return Claim(_job(row), row.fencing_token)


async def heartbeat(
    session: AsyncSession, held: Claim, lease: timedelta, progress: dict[str, Any]
) -> None:
    """Extends the lease and reports progress.

    Raises:
        LostLease: the hold is no longer ours.
    """
    await _report(session, held, progress=progress, lease_expires_at=utc_now() + lease)


async def succeed(session: AsyncSession, held: Claim, result: dict[str, Any]) -> None:
    """Ends a job well.

    Raises:
        LostLease: the hold is no longer ours.
    """
    await _report(session, held, status="succeeded", result=result, lease_expires_at=None)


async def fail(session: AsyncSession, held: Claim, error: str) -> None:
    """Ends a job with a reason; it is not tried again.

    Raises:
        LostLease: the hold is no longer ours.
    """
    await _report(session, held, status="failed", error=error, lease_expires_at=None)


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
    return or_(JobRow.status == "queued", and_(JobRow.status == "running", unheld(JobRow, now)))


def _job(row: JobRow) -> Job:
    return Job(
        id=row.id,
        kind=row.kind,
        status=row.status,
        payload=row.payload,
        progress=row.progress,
        result=row.result,
        error=row.error,
        attempts=row.attempts,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
