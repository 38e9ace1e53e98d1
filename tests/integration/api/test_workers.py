"""Several workers over one PostgreSQL: each job once, told of at once, taken over when one dies."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rostra.api import Pace, Uploads, Worker
from rostra.core import Settings
from rostra.runtime import Runtime, open_runtime
from rostra.store import Job, enqueue, get_job
from tests.fakes import FakeEmbedder

pytestmark = pytest.mark.postgres


@pytest.fixture
async def runtimes(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[list[Runtime]]:
    """Three platforms over one data directory, as three processes have them."""
    monkeypatch.setattr("rostra.runtime.runtime.load_embedder", lambda _: FakeEmbedder())
    settings = Settings(
        home=tmp_path / "home", database_url=request.getfixturevalue("postgres_database_url")
    )
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_runtime(settings)) for _ in range(3)]


@asynccontextmanager
async def working(runtime: Runtime, pace: Pace) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(Worker(runtime, Uploads(runtime.settings), pace).run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def add(runtime: Runtime, **payload: Any) -> Job:
    async with runtime.database.write() as session:
        return await enqueue(session, "ingest", {"collection": "docs", "files": []} | payload)


async def all_done(runtime: Runtime, jobs: Sequence[Job]) -> list[Job]:
    """The jobs once all have succeeded; the test's own timeout is the limit."""
    while True:
        async with runtime.database.read() as session:
            found = [await get_job(session, job.id) for job in jobs]
        if all(job.status == "succeeded" for job in found):
            return found


async def test_each_job_is_done_once_by_one_of_them_and_told_of_at_once(
    runtimes: list[Runtime],
) -> None:
    # Nobody polls within the test's time: what is found was told.
    pace = Pace(lease=60, beat=0.05, poll=3600)
    first, second, other = runtimes
    async with working(first, pace), working(second, pace):
        for _ in range(2):
            jobs = await asyncio.gather(*(add(other) for _ in range(6)))
            done = await all_done(other, jobs)
            assert [job.attempts for job in done] == [1] * 6


async def test_a_worker_that_goes_silent_is_followed_by_another(runtimes: list[Runtime]) -> None:
    first, second, other = runtimes
    reached, forever = asyncio.Event(), asyncio.Event()

    async def hang(*args: Any, **options: Any) -> Any:
        reached.set()
        await forever.wait()

    first.ingester.ingest = hang  # type: ignore[method-assign]
    job = await add(other)
    # The first never reports, as a machine does that was cut off.
    async with working(first, Pace(lease=0.2, beat=3600, poll=3600)):
        await reached.wait()
        async with working(second, Pace(lease=60, beat=0.05, poll=0.05)):
            (done,) = await all_done(other, [job])
        assert (done.id, done.attempts) == (job.id, 2)
    async with other.database.read() as session:
        assert await get_job(session, job.id) == done
