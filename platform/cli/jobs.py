"""`rostra jobs`: what is being read: listed, shown, cancelled, paused, retried, dropped."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import click
from rich.markup import escape
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.cli.ids import job_id as read_id
from rostra.cli.output import (
    console,
    json_option,
    offset_option,
    print_json,
    print_table,
    with_runtime,
)
from rostra.core import InvalidRequest
from rostra.runtime import Runtime
from rostra.store import (
    ENDED_STATUSES,
    JOB_STATUSES,
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
_SHOWN_FAILURES = 20


@click.group("jobs")
def command() -> None:
    """List, show, cancel, pause, resume, retry and drop jobs.

    A change takes effect at once; a worker that has the job stops within seconds. Jobs that have
    failed stay, with their reasons, until they are retried or dropped.
    """


@command.command("list")
@click.option(
    "--status", "statuses", multiple=True, type=click.Choice(JOB_STATUSES), help="Only these."
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@offset_option
@json_option
def list_(statuses: tuple[str, ...], limit: int, offset: int, as_json: bool) -> None:
    """List jobs, the newest first."""

    async def work(runtime: Runtime) -> None:
        async with runtime.database.read() as session:
            items, total = await list_jobs(session, statuses, limit=limit, offset=offset)
        if as_json:
            print_json({"items": items, "total": total})
            return
        print_table(
            ("id", "status", "kind", "source", "done", "created", "error"),
            (
                (
                    job.id,
                    job.status,
                    job.kind,
                    job.source,
                    f"{job.progress.get('done', 0)}/{job.progress.get('total', 0)}",
                    job.created_at.isoformat(" ", "minutes"),
                    job.error or "",
                )
                for job in items
            ),
        )

    with_runtime(work)


@command.command("show")
@click.argument("job_id")
@json_option
def show(job_id: str, as_json: bool) -> None:
    """Print a job."""

    async def work(runtime: Runtime) -> Job:
        async with runtime.database.read() as session:
            return await get_job(session, read_id(job_id))

    job = with_runtime(work)
    if as_json:
        print_json(job)
        return
    facts = {
        "id": job.id,
        "kind": job.kind,
        "status": job.status,
        "stage": job.stage,
        "collection": job.collection,
        "source": job.source,
        "done": f"{job.progress.get('done', 0)} of {job.progress.get('total', 0)}",
        "attempts": job.attempts,
        "next try": job.not_before.isoformat(" ", "seconds") if job.not_before else "",
        "error": job.error or "",
    }
    print_table(("", ""), ((name, value) for name, value in facts.items() if value), header=False)
    failed = (job.result or {}).get("failed", [])
    for failure in failed[:_SHOWN_FAILURES]:
        console().print(f"[red]not read[/] {escape(failure['uri'])}: {escape(failure['error'])}")
    if len(failed) > _SHOWN_FAILURES:
        console().print(f"[red]and {len(failed) - _SHOWN_FAILURES} more[/] (--json lists them)")


def _changing(name: str, change: Change, told: str) -> None:
    @command.command(name, help=told)
    @click.argument("job_id")
    @json_option
    def verb(job_id: str, as_json: bool) -> None:
        async def work(runtime: Runtime) -> Job:
            async with runtime.database.write() as session:
                return await change(session, read_id(job_id))

        job = with_runtime(work)
        if as_json:
            print_json(job)
        else:
            console().print(job.status)


_changing("cancel", cancel_job, "End a job; what it has stored stays.")
_changing("pause", pause_job, "Stop a job until it is resumed.")
_changing("resume", resume_job, "Let a paused job go on from where it was.")
_changing("retry", retry_job, "Queue a job that failed once more.")


@command.command("drop")
@click.argument("job_id", required=False)
@click.option(
    "--older-than",
    "days",
    type=click.FloatRange(0, 36_500),
    help="All that ended so many days ago, and did not fail.",
)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(ENDED_STATUSES),
    help="With --older-than: those of this status.",
)
@json_option
def drop(job_id: str | None, days: float | None, statuses: tuple[str, ...], as_json: bool) -> None:
    """Delete a job that has ended, with the files it could have been retried from.

    With --older-than, all that ended before then: those that succeeded or were cancelled, or those
    of the statuses you name.
    """
    # Here, because it imports the server, which the other verbs do not need.
    from rostra.api import Uploads, drop_ended

    if (job_id is None) == (days is None):
        raise InvalidRequest("name a job, or say --older-than DAYS")
    if statuses and days is None:
        raise InvalidRequest("--status is for --older-than")

    async def work(runtime: Runtime) -> int:
        uploads = Uploads(runtime.settings)
        if days is not None:
            before = datetime.now(UTC) - timedelta(days=days)
            wanted = statuses or ("succeeded", "cancelled")
            return await drop_ended(runtime.database, uploads, before, wanted)
        wanted_id = read_id(job_id or "")
        async with runtime.database.write() as session:
            await drop_job(session, wanted_id)
        uploads.remove(wanted_id)
        return 1

    count = with_runtime(work)
    if as_json:
        print_json({"dropped": count if job_id is None else job_id})
    else:
        console().print("dropped" if job_id else f"{count} dropped")
