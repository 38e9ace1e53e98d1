"""Jobs: what is being read, listed and shown; cancelled, paused, resumed, retried and dropped."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Router, delete, get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
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

Change = Callable[[AsyncSession, UUID], Awaitable[Job]]
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


def _verb(verb: str, change: Change, told: str) -> HTTPRouteHandler:
    """The route by which people do one thing with a job."""

    @post(
        f"/{{job_id:str}}/{verb}",
        operation_id=f"{verb}Job",
        summary=f"{verb.capitalize()} a job",
        description=told,
        status_code=200,
        responses=problems(400, 404, 409),
    )
    async def handler(job_id: IdInPath, services: NamedDependency[Services]) -> JobView:
        async with services.runtime.database.write() as session:
            job = await change(session, _id(job_id))
        services.worker.wake()
        return job_view(job)

    return handler


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


VERBS = (
    _verb(
        "cancel", cancel_job, "Ends a job that waits, runs or is paused; what it has stored stays."
    ),
    _verb("pause", pause_job, "Stops a job that waits or runs until it is resumed."),
    _verb("resume", resume_job, "Lets a paused job go on from where it was."),
    _verb("retry", retry_job, "Queues a job that failed once more."),
)
router = Router(
    "/jobs",
    route_handlers=[list_all, show, *VERBS, drop],
    tags=["jobs"],
)
