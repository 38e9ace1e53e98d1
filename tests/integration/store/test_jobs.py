"""Jobs: one holder at a time, taken over when it dies, finished once."""

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
    claim,
    enqueue,
    fail,
    get_job,
    heartbeat,
    release,
    succeed,
)
from rostra.store.jobs import MAX_ATTEMPTS

LEASE = timedelta(minutes=1)
RUN_OUT = timedelta(seconds=-1)


async def add(database: Database, **payload: Any) -> Job:
    async with database.write() as session:
        return await enqueue(session, "ingest", payload)


async def take(database: Database, lease: timedelta = LEASE) -> Claim | None:
    async with database.write() as session:
        return await claim(session, "worker", lease)


async def read(database: Database, job: Job) -> Job:
    async with database.read() as session:
        return await get_job(session, job.id)


async def test_a_job_from_the_queue_to_its_result(database: Database) -> None:
    assert await take(database) is None
    job = await add(database, files=["a"])
    assert (job.status, job.payload, job.progress) == ("queued", {"files": ["a"]}, {})
    assert await read(database, job) == job
    held = await take(database)
    assert held is not None
    assert (held.job.id, held.job.status, held.job.attempts) == (job.id, "running", 1)
    assert await take(database) is None
    async with database.write() as session:
        await heartbeat(session, held, LEASE, {"done": 1, "total": 2})
    assert (await read(database, job)).progress == {"done": 1, "total": 2}
    async with database.write() as session:
        await succeed(session, held, {"documents": 2})
    done = await read(database, job)
    assert (done.status, done.result, done.error) == ("succeeded", {"documents": 2}, None)
    assert done.updated_at > done.created_at
    assert await take(database) is None


async def test_a_job_that_fails_is_not_tried_again(database: Database) -> None:
    job = await add(database)
    held = await take(database)
    assert held is not None
    async with database.write() as session:
        await fail(session, held, "no disk space")
    failed = await read(database, job)
    assert (failed.status, failed.result, failed.error) == ("failed", None, "no disk space")
    assert await take(database) is None


async def test_the_oldest_is_taken_first(database: Database) -> None:
    jobs = [await add(database, n=n) for n in range(4)]
    taken = [await take(database) for _ in jobs]
    assert [held and held.job.id for held in taken] == [job.id for job in jobs]


async def test_jobs_are_taken_by_what_their_payload_has(database: Database) -> None:
    pages = [await add(database, urls=["http://a/"]), await add(database, sitemap="http://b/")]
    upload, empty = await add(database, files=[{"name": "x"}]), await add(database, files=[])

    async def next_of(**which: str) -> Any:
        async with database.write() as session:
            held = await claim(session, "worker", LEASE, **which)
        return held and held.job.id

    assert [await next_of(having="files") for _ in range(3)] == [upload.id, empty.id, None]
    assert [await next_of(lacking="files") for _ in range(3)] == [*(p.id for p in pages), None]


async def test_a_rolled_back_claim_leaves_the_job_queued(database: Database) -> None:
    job = await add(database)
    with pytest.raises(ZeroDivisionError):
        async with database.write() as session:
            assert await claim(session, "worker", LEASE) is not None
            raise ZeroDivisionError
    assert await read(database, job) == job


async def test_workers_in_several_processes_do_each_job_once(
    database: Database, run_workers: Any
) -> None:
    jobs = [await add(database, n=n) for n in range(20)]
    url = database.writer.url.render_as_string(hide_password=False)
    printed = await asyncio.to_thread(run_workers, *[("work", url, f"w{n}") for n in range(2)])
    done = [line for out in printed for line in out.split()]
    assert sorted(done) == sorted(str(job.id) for job in jobs)
    for job in jobs:
        after = await read(database, job)
        assert (after.status, after.attempts) == ("succeeded", 1)


async def test_claimers_that_overlap_take_different_jobs(database: Database) -> None:
    jobs = [await add(database, n=n) for n in range(6)]
    taken = await asyncio.gather(*(take(database) for _ in range(8)))
    ids = [held.job.id for held in taken if held is not None]
    assert sorted(ids) == sorted(job.id for job in jobs)


async def test_a_claimer_passes_over_what_another_is_taking(database: Database) -> None:
    if database.engine_name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    jobs = [await add(database, n=n) for n in range(2)]
    async with database.write() as session:
        first = await claim(session, "one", LEASE)
        second = await take(database)
    assert first is not None
    assert second is not None
    assert [first.job.id, second.job.id] == [job.id for job in jobs]


async def test_a_dead_workers_job_is_taken_over_and_its_reports_refused(
    database: Database,
) -> None:
    job = await add(database)
    stale = await take(database, RUN_OUT)
    fresh = await take(database)
    assert stale is not None
    assert fresh is not None
    assert fresh.job.id == job.id
    assert fresh.job.attempts == 2
    assert fresh.fencing_token > stale.fencing_token
    reports = [
        lambda session: heartbeat(session, stale, LEASE, {"done": 9}),
        lambda session: succeed(session, stale, {"by": "stale"}),
        lambda session: fail(session, stale, "stale"),
    ]
    for report in reports:
        with pytest.raises(LostLease, match=str(job.id)):
            async with database.write() as session:
                await report(session)
    assert await read(database, job) == fresh.job
    async with database.write() as session:
        await succeed(session, fresh, {"by": "fresh"})
    # Nor does anyone change a job that is done, its own worker included.
    for report in [*reports, lambda session: fail(session, fresh, "twice")]:
        with pytest.raises(LostLease):
            async with database.write() as session:
                await report(session)
    assert (await read(database, job)).result == {"by": "fresh"}


async def test_a_slow_worker_that_nobody_replaced_goes_on(database: Database) -> None:
    await add(database)
    held = await take(database, RUN_OUT)
    assert held is not None
    async with database.write() as session:
        await heartbeat(session, held, LEASE, {"done": 1})
    assert await take(database) is None


async def test_a_heartbeat_that_is_late_lets_go(database: Database) -> None:
    await add(database)
    held = await take(database)
    assert held is not None
    async with database.write() as session:
        await heartbeat(session, held, RUN_OUT, {})
    assert await take(database) is not None


async def test_a_job_given_back_waits_again_and_loses_no_attempt(database: Database) -> None:
    job = await add(database)
    for _ in range(MAX_ATTEMPTS + 1):
        held = await take(database)
        assert held is not None
        assert held.job.attempts == 1
        async with database.write() as session:
            await release(session, held, {"done": 1})
        left = await read(database, job)
        assert (left.status, left.attempts, left.progress) == ("queued", 0, {"done": 1})
        with pytest.raises(LostLease):
            async with database.write() as session:
                await succeed(session, held, {})


async def test_a_job_that_kills_its_workers_is_given_up(database: Database) -> None:
    killer, harmless = await add(database), await add(database)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        held = await take(database, RUN_OUT)
        assert held is not None
        assert (held.job.id, held.job.attempts) == (killer.id, attempt)
    # The next claim gives it up and takes the one behind it.
    following = await take(database)
    assert following is not None
    assert following.job.id == harmless.id
    given_up = await read(database, killer)
    assert (given_up.status, given_up.attempts) == ("failed", MAX_ATTEMPTS)
    assert given_up.error is not None
    assert str(MAX_ATTEMPTS) in given_up.error
    with pytest.raises(LostLease):
        async with database.write() as session:
            await succeed(session, held, {})


async def test_a_missing_job_is_named(database: Database) -> None:
    missing = new_id()
    async with database.read() as session:
        with pytest.raises(JobNotFound, match=str(missing)):
            await get_job(session, missing)
