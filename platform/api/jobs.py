"""Jobs: what is being read, listed and shown; cancelled, paused, resumed, retried and dropped."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.api.openapi import problems
from rostra.api.pages import IdInPath, Limit, Offset, id_in_path
from rostra.api.schemas import JobPage, JobProgress, JobResult, JobStatus, JobView, view
from rostra.api.services import Services
from rostra.core import JobNotFound
from rostra.runtime import Runtime
from rostra.store import (
    Job,
    cancel_job,
    drop_job,
    get_job,
    list_jobs,
    pause_job,
    resume_job,
    retry_job,
)

Statuses = Annotated[
    list[JobStatus] | None, QueryParameter(description="Only jobs of these statuses.")
]


@get("/", operation_id="listJobs", summary="List jobs", responses=problems(400))
async def list_all(
    runtime: NamedDependency[Runtime],
    limit: Limit = 50,
    offset: Offset = 0,
    status: Statuses = None,
) -> JobPage:
    """Jobs, the newest first."""
    async with runtime.database.read() as session:
        found, total = await list_jobs(session, status or (), limit=limit, offset=offset)
    return JobPage([job_view(job) for job in found], total)


@get("/{job_id:str}", operation_id="getJob", summary="Show a job", responses=problems(400, 404))
async def show(job_id: IdInPath, runtime: NamedDependency[Runtime]) -> JobView:
    """One job; ask again until its status is `succeeded`, `failed` or `cancelled`."""
    async with runtime.database.read() as session:
        return job_view(await get_job(session, _id(job_id)))


@post(
    "/{job_id:str}/cancel",
    operation_id="cancelJob",
    summary="Cancel a job",
    status_code=200,
    responses=problems(400, 404, 409),
)
async def cancel(job_id: IdInPath, services: NamedDependency[Services]) -> JobView:
    """Ends a job that waits, runs or is paused; what it has stored stays."""
    return await _change(services, job_id, cancel_job)


@post(
    "/{job_id:str}/pause",
    operation_id="pauseJob",
    summary="Pause a job",
    status_code=200,
    responses=problems(400, 404, 409),
)
async def pause(job_id: IdInPath, services: NamedDependency[Services]) -> JobView:
    """Stops a job that waits or runs until it is resumed."""
    return await _change(services, job_id, pause_job)


@post(
    "/{job_id:str}/resume",
    operation_id="resumeJob",
    summary="Resume a job",
    status_code=200,
    responses=problems(400, 404, 409),
)
async def resume(job_id: IdInPath, services: NamedDependency[Services]) -> JobView:
    """Lets a paused job go on from where it was."""
    return await _change(services, job_id, resume_job)


@post(
    "/{job_id:str}/retry",
    operation_id="retryJob",
    summary="Retry a job",
    status_code=200,
    responses=problems(400, 404, 409),
)
async def retry(job_id: IdInPath, services: NamedDependency[Services]) -> JobView:
    """Queues a job that failed once more."""
    return await _change(services, job_id, retry_job)


@delete(
    "/{job_id:str}",
    operation_id="dropJob",
    summary="Drop a job",
    responses=problems(400, 404, 409),
)
async def drop(job_id: IdInPath, services: NamedDependency[Services]) -> None:
    """Deletes a job that has ended, with the files it could have been retried from."""
    wanted = _id(job_id)
    async with services.runtime.database.write() as session:
        await drop_job(session, wanted)
    await asyncio.to_thread(services.uploads.remove, wanted)


async def _change(
    services: Services, job_id: str, change: Callable[[AsyncSession, UUID], Awaitable[Job]]
) -> JobView:
    async with services.runtime.database.write() as session:
        job = await change(session, _id(job_id))
    services.worker.wake()
    return job_view(job)


def _id(job_id: str) -> UUID:
    return id_in_path(job_id, JobNotFound, "job")


def job_view(job: Job) -> JobView:
    """A job as users see it: without its payload, with its progress filled in."""
    progress = {"total": len(job.payload.get("files", ()))} | job.progress
    result = None if job.result is None else msgspec.convert(job.result, JobResult)
    shown: JobView = view(
        JobView,
        job,
        progress=msgspec.convert(progress, JobProgress),
        result=result,
    )
    return shown


router = Router(
    "/jobs",
    route_handlers=[list_all, show, cancel, pause, resume, retry, drop],
    tags=["jobs"],
)
