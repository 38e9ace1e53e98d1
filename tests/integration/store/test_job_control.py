"""Jobs under people's hands: stopped, gone on with, tried again, listed; and told of."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from rostra.core import JobNotFound, new_id
from rostra.store import (
    Claim,
    Database,
    Job,
    LostLease,
    WrongJobStatus,
    cancel_job,
    check_held,
    checkpoint,
    claim,
    defer,
    drop_job,
    enqueue,
    fail,
    get_job,
    heartbeat,
    list_jobs,
    listen_for_jobs,
    pause_job,
    prune_jobs,
    resume_job,
    retry_job,
    succeed,
)
from rostra.store.jobs import MAX_ATTEMPTS
from rostra.store.tables import utc_now

LEASE = timedelta(minutes=1)
RUN_OUT = timedelta(seconds=-1)


async def add(database: Database, kind: str = "ingest") -> Job:
    async with database.write() as session:
        return await enqueue(session, kind, {})


async def take(database: Database, lease: timedelta = LEASE, **which: Any) -> Claim | None:
    async with database.write() as session:
        return await claim(session, "worker", lease, **which)


async def taken(database: Database, lease: timedelta = LEASE) -> Claim:
    held = await take(database, lease)
    assert held is not None
    return held


async def write(database: Database, function: Any, *arguments: Any) -> Any:
    async with database.write() as session:
        return await function(session, *arguments)


async def read(database: Database, job_id: Any) -> Job:
    async with database.read() as session:
        return await get_job(session, job_id)


@pytest.mark.parametrize("stop", [cancel_job, pause_job])
async def test_a_running_job_is_taken_out_of_its_workers_hands(
    database: Database, stop: Any
) -> None:
    job = await add(database)
    held = await taken(database)
    async with database.read() as session:
        await check_held(session, held)
    await write(database, stop, job.id)
    assert await take(database) is None
    async with database.read() as session:
        with pytest.raises(LostLease):
            await check_held(session, held)
    for report in (
        lambda s: heartbeat(s, held, LEASE, {"done": 9}),
        lambda s: succeed(s, held, {}),
        lambda s: defer(s, held, "x", None, LEASE),
        lambda s: checkpoint(s, held, "x", {"x": 1}, LEASE),
    ):
        with pytest.raises(LostLease):
            await write(database, report)
    left = await read(database, job.id)
    assert (left.progress, left.result, left.checkpoint) == ({}, None, {})


async def test_a_paused_job_goes_on_from_its_checkpoint(database: Database) -> None:
    job = await add(database)
    held = await taken(database)
    await write(database, checkpoint, held, "reading", {"at": 7}, LEASE)
    assert (await write(database, pause_job, job.id)).status == "paused"
    assert (await write(database, resume_job, job.id)).status == "queued"
    again = await taken(database)
    assert (again.job.stage, again.job.checkpoint, again.job.attempts) == ("reading", {"at": 7}, 1)
    assert again.fencing_token > held.fencing_token
    await write(database, succeed, again, {"x": 1})
    with pytest.raises(WrongJobStatus, match="succeeded"):
        await write(database, cancel_job, job.id)


async def test_a_job_whose_workers_die_but_get_further_is_never_given_up(
    database: Database,
) -> None:
    job = await add(database)
    for attempt in range(1, 3 * MAX_ATTEMPTS):
        held = await taken(database, RUN_OUT)
        assert held.job.attempts == attempt
        await write(database, checkpoint, held, "reading", {"done": attempt}, RUN_OUT)
    # From here it gets no further.
    for _ in range(MAX_ATTEMPTS):
        await taken(database, RUN_OUT)
    assert await take(database) is None
    dead = await read(database, job.id)
    assert (dead.status, dead.error_code) == ("failed", "given_up")


async def test_a_try_that_failed_is_made_again_later_and_given_up_with_its_reason(
    database: Database,
) -> None:
    job = await add(database)
    await write(database, defer, await taken(database), "no answer", "unreachable", LEASE)
    waiting = await read(database, job.id)
    assert (waiting.status, waiting.error, waiting.error_code) == (
        "queued",
        "no answer",
        "unreachable",
    )
    assert waiting.not_before is not None
    assert waiting.not_before > waiting.updated_at
    assert await take(database) is None
    await write(database, pause_job, job.id)
    await write(database, resume_job, job.id)
    for _ in range(MAX_ATTEMPTS):
        await write(database, defer, await taken(database), "no answer", "unreachable", RUN_OUT)
    assert await take(database) is None
    dead = await read(database, job.id)
    assert dead.status == "failed"
    assert dead.error is not None
    assert dead.error.endswith("no answer")


async def test_dead_letters_are_listed_retried_and_dropped(database: Database) -> None:
    jobs = [await add(database) for _ in range(3)]
    for number in range(3):
        await write(database, fail, await taken(database), f"reason {number}", "code")
    async with database.read() as session:
        found, total = await list_jobs(session, ["failed"], limit=2)
        rest, _ = await list_jobs(session, ["failed", "paused"], limit=2, offset=2)
        none, nothing = await list_jobs(session, ["queued"])
    assert [job.error for job in [*found, *rest]] == ["reason 2", "reason 1", "reason 0"]
    assert (total, none, nothing) == (3, [], 0)
    await write(database, drop_job, jobs[0].id)
    with pytest.raises(JobNotFound):
        await read(database, jobs[0].id)
    again = await write(database, retry_job, jobs[1].id)
    assert (again.status, again.error, again.attempts) == ("queued", None, 0)
    assert (await taken(database)).job.id == jobs[1].id
    with pytest.raises(WrongJobStatus):
        await write(database, drop_job, jobs[1].id)


async def test_workers_take_the_kinds_they_are_for(database: Database) -> None:
    watch, ingest = await add(database, "watch"), await add(database)
    held = await take(database, but=("watch",))
    assert held is not None
    assert held.job.id == ingest.id
    assert await take(database, but=("watch",)) is None
    held = await take(database, kinds=("watch",))
    assert held is not None
    assert held.job.id == watch.id


@pytest.mark.parametrize("change", [cancel_job, pause_job, resume_job, retry_job, drop_job])
async def test_a_missing_job_is_named(database: Database, change: Any) -> None:
    missing = new_id()
    with pytest.raises(JobNotFound, match=str(missing)):
        await write(database, change, missing)


async def test_workers_on_postgres_hear_of_jobs_when_they_are_committed(
    database: Database,
) -> None:
    woken = asyncio.Event()
    if database.engine_name == "sqlite":
        await listen_for_jobs(database, woken.set)
        assert not woken.is_set()
        return
    listening = asyncio.create_task(listen_for_jobs(database, woken.set, again=0.01))
    try:
        await woken.wait()  # it has connected
        for change in ("enqueue", "retry"):
            woken.clear()
            async with database.write() as session:
                if change == "enqueue":
                    job = await enqueue(session, "ingest", {})
                else:
                    await retry_job(session, job.id)
                assert not woken.is_set()
            await woken.wait()
            await write(database, fail, await taken(database), "x")
        # A connection that breaks is made again.
        woken.clear()
        async with database.write() as session:
            from sqlalchemy import text

            await session.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE query LIKE 'LISTEN%' AND datname = current_database()"
                )
            )
        await woken.wait()
    finally:
        listening.cancel()
        await asyncio.wait({listening})


async def test_jobs_that_ended_long_ago_are_pruned_in_turns(database: Database) -> None:
    jobs = [await add(database) for _ in range(6)]
    done, failed = await taken(database), await taken(database)
    await write(database, succeed, done, {})
    await write(database, fail, failed, "no reason")
    for job in jobs[2:4]:
        await write(database, cancel_job, job.id)
    await write(database, pause_job, jobs[4].id)
    before, now = jobs[0].created_at, utc_now()
    assert await write(database, prune_jobs, before) == []

    async def prune(**options: Any) -> list[Any]:
        async with database.write() as session:
            return await prune_jobs(session, now + timedelta(seconds=1), **options)

    assert await prune(limit=2) == [jobs[0].id, jobs[2].id]
    assert await prune(limit=2) == [jobs[3].id]
    assert await prune() == []
    with pytest.raises(WrongJobStatus):
        await prune(statuses=["failed", "running"])
    assert await prune(statuses=["failed"]) == [jobs[1].id]
    async with database.read() as session:
        left, _ = await list_jobs(session)
    assert [(job.id, job.status) for job in left] == [
        (jobs[5].id, "queued"),
        (jobs[4].id, "paused"),
    ]
