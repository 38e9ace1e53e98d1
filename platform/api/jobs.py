"""Jobs: how far an upload has been read."""

import msgspec
from litestar import Router, get
from litestar.di import NamedDependency

from rostra.api.openapi import problems
from rostra.api.pages import IdInPath, id_in_path
from rostra.api.schemas import JobProgress, JobResult, JobView, view
from rostra.core import JobNotFound
from rostra.runtime import Runtime
from rostra.store import Job, get_job


@get("/{job_id:str}", operation_id="getJob", summary="Show a job", responses=problems(400, 404))
async def show(job_id: IdInPath, runtime: NamedDependency[Runtime]) -> JobView:
    """One job; ask again until its status is `succeeded` or `failed`."""
    wanted = id_in_path(job_id, JobNotFound, "job")
    async with runtime.database.read() as session:
        return job_view(await get_job(session, wanted))


def job_view(job: Job) -> JobView:
    """A job as users see it: without its payload, with its progress filled in."""
    progress = {"total": len(job.payload.get("files", ()))} | job.progress
    result = None if job.result is None else msgspec.convert(job.result, JobResult)
    shown: JobView = view(
        JobView, job, progress=msgspec.convert(progress, JobProgress), result=result
    )
    return shown


router = Router("/jobs", route_handlers=[show], tags=["jobs"])
