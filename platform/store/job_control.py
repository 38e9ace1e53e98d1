"""What people do with jobs: cancel, pause, resume, retry, drop.

What always holds: a change takes effect at once, whoever holds the job: the fencing token goes up
with it, so that the holder's next report is refused and it stops; what does not apply to a job's
status is refused and changes nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.core import Conflict, JobNotFound
from rostra.store.jobs import Job, announce, as_job
from rostra.store.tables import JobRow, utc_now

_OPEN = ("queued", "running", "paused")
ENDED_STATUSES = ("succeeded", "failed", "cancelled")


class WrongJobStatus(Conflict):
    """A job is in a status in which this cannot be done with it."""

    code = "wrong_job_status"


async def cancel_job(session: AsyncSession, job_id: UUID) -> Job:
    """Ends a job; what it has stored stays.

    Raises:
        JobNotFound: there is none.
        WrongJobStatus: it has ended.
    """
    return await _change(session, job_id, "cancelled", _OPEN, status="cancelled")


async def pause_job(session: AsyncSession, job_id: UUID) -> Job:
    """Stops a job until it is resumed.

    Raises:
        JobNotFound: there is none.
        WrongJobStatus: it neither waits nor runs.
    """
    return await _change(session, job_id, "paused", ("queued", "running"), status="paused")


async def resume_job(session: AsyncSession, job_id: UUID) -> Job:
    """Lets a paused job go on from where it was.

    Raises:
        JobNotFound: there is none.
        WrongJobStatus: it is not paused.
    """
    job = await _change(
        session, job_id, "resumed", ("paused",), status="queued", attempts=0, fruitful_attempt=0
    )
    await announce(session)
    return job


async def retry_job(session: AsyncSession, job_id: UUID) -> Job:
    """Queues a job that failed once more; it goes on from its checkpoint.

    Raises:
        JobNotFound: there is none.
        WrongJobStatus: it has not failed; one that was cancelled may have lost its files.
    """
    job = await _change(
        session,
        job_id,
        "retried",
        ("failed",),
        status="queued",
        attempts=0,
        fruitful_attempt=0,
        error=None,
        error_code=None,
        result=None,
    )
    await announce(session)
    return job


async def drop_job(session: AsyncSession, job_id: UUID) -> None:
    """Deletes a job that has ended.

    Raises:
        JobNotFound: there is none.
        WrongJobStatus: it has not ended.
    """
    await _locked(session, job_id, "dropped", ENDED_STATUSES)
    await session.execute(delete(JobRow).where(JobRow.id == job_id))


async def prune_jobs(
    session: AsyncSession,
    before: datetime,
    *,
    statuses: Sequence[str] = ("succeeded", "cancelled"),
    limit: int = 1000,
) -> list[UUID]:
    """Deletes jobs that ended before a time, the oldest first; returns their ids.

    Args:
        session: a writing session.
        before: jobs that were last changed earlier.
        statuses: only jobs of these. Failed ones are not among them unless they are asked for:
            they wait for somebody to see why.
        limit: most jobs deleted at once; ask again while as many come back.

    Raises:
        WrongJobStatus: one of the statuses is not of jobs that have ended.
    """
    if open_ := [status for status in statuses if status not in ENDED_STATUSES]:
        raise WrongJobStatus(
            f"jobs that are {open_[0]} cannot be dropped",
            hint=f"That can be done with jobs that are {' or '.join(ENDED_STATUSES)}.",
        )
    found = await session.scalars(
        select(JobRow.id)
        .where(JobRow.status.in_(statuses), JobRow.updated_at < before)
        .order_by(JobRow.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(found)
    await session.execute(delete(JobRow).where(JobRow.id.in_(ids)))
    return ids


async def _change(
    session: AsyncSession, job_id: UUID, done: str, allowed: tuple[str, ...], **values: Any
) -> Job:
    row = await _locked(session, job_id, done, allowed)
    row.fencing_token += 1
    row.lease_owner = row.lease_expires_at = row.not_before = None
    row.updated_at = utc_now()
    for name, value in values.items():
        setattr(row, name, value)
    await session.flush()
    return as_job(row)


async def _locked(
    session: AsyncSession, job_id: UUID, done: str, allowed: tuple[str, ...]
) -> JobRow:
    row = await session.scalar(select(JobRow).where(JobRow.id == job_id).with_for_update())
    if row is None:
        raise JobNotFound(f"there is no job {job_id}")
    if row.status not in allowed:
        raise WrongJobStatus(
            f"job {job_id} is {row.status} and cannot be {done}",
            hint=f"That can be done with jobs that are {' or '.join(allowed)}.",
            job_status=row.status,
        )
    return row
