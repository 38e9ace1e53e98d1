"""The job worker: success, failure, lost leases, shutdown, and work left by a dead process."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from rostra.api.uploads import Incoming, UploadedFile, Uploads
from rostra.api.worker import Pace, Worker
from rostra.core import ModelUnavailable, Settings, StoreUnavailable, new_id
from rostra.runtime import Runtime, open_runtime
from rostra.store import (
    Job,
    checkpoint,
    claim,
    create_collection,
    delete_collection,
    enqueue,
    get_collection,
    get_job,
    list_documents,
    retry_job,
)
from tests.fakes import FakeEmbedder

PACE = Pace(lease=60, beat=0.01, poll=0.01)


@pytest.fixture
async def runtime(settings: Settings, embedder: FakeEmbedder) -> AsyncIterator[Runtime]:
    async with open_runtime(settings) as opened:
        yield opened


async def queued(runtime: Runtime, *files: tuple[str, bytes], kind: str = "ingest") -> Job:
    """A job with files, as an upload leaves it."""
    uploads = Uploads(runtime.settings)
    incoming = Incoming(Path(runtime.settings.home) / "uploads" / f"incoming-{new_id()}")
    incoming.folder.mkdir(parents=True)
    for number, (name, data) in enumerate(files, 1):
        (incoming.folder / f"{number:04}").write_bytes(data)
        incoming.files.append(UploadedFile(name, f"{number:04}", len(data)))
    async with runtime.database.write() as session:
        job = await enqueue(session, kind, incoming.payload("docs"))
        uploads.adopt(incoming, job.id)
    return job


async def state(runtime: Runtime, job_id: UUID) -> Job:
    async with runtime.database.read() as session:
        return await get_job(session, job_id)


async def until(is_true: Callable[[Job], bool], runtime: Runtime, job_id: UUID) -> Job:
    """Waits for a job to be so; the test's own timeout is the limit."""
    while True:
        job = await state(runtime, job_id)
        if is_true(job):
            return job


async def reaches(runtime: Runtime, job_id: UUID, status: str) -> Job:
    return await until(lambda job: job.status == status, runtime, job_id)


@asynccontextmanager
async def working(runtime: Runtime, pace: Pace = PACE) -> AsyncIterator[Worker]:
    worker = Worker(runtime, Uploads(runtime.settings), pace)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()


async def uris(runtime: Runtime) -> list[str]:
    async with runtime.database.read() as session:
        collection = await get_collection(session, "docs")
        found, _ = await list_documents(session, collection.id)
    return [document.uri for document in found]


def kept(runtime: Runtime) -> list[Path]:
    return sorted((Path(runtime.settings.home) / "uploads").glob("*"))


async def swept(runtime: Runtime, but: int = 0) -> None:
    """Waits until no more than so many folders are left."""
    while True:
        if len(await asyncio.to_thread(kept, runtime)) <= but:
            return


class Gate:
    """Stops the embedder in its thread until it is opened."""

    def __init__(self, embedder: FakeEmbedder) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()
        embedder.before_batch = self._before

    def _before(self, _: Sequence[str]) -> None:
        self.reached.set()
        self.open.wait()

    async def wait(self) -> None:
        await asyncio.to_thread(self.reached.wait)


async def test_a_job_is_endedand_its_files_are_removed(runtime: Runtime) -> None:
    job = await queued(runtime, ("a.txt", b"alpha"), ("b.txt", b"beta"))
    async with working(runtime):
        done = await reaches(runtime, job.id, "succeeded")
        assert done.result is not None
        assert done.result["documents"] == 2
        assert done.progress["done"] == 2
        assert await uris(runtime) == ["upload:///a.txt", "upload:///b.txt"]
        await swept(runtime)


async def test_enqueueing_wakes_the_worker_at_once(runtime: Runtime) -> None:
    async with working(runtime, Pace(poll=3600)) as worker:
        first = await queued(runtime, ("a.txt", b"alpha"))
        worker.wake()
        await reaches(runtime, first.id, "succeeded")
        second = await queued(runtime, ("b.txt", b"beta"))
        worker.wake()
        await reaches(runtime, second.id, "succeeded")


async def test_jobs_are_endedone_after_the_other(runtime: Runtime) -> None:
    jobs = [await queued(runtime, (f"{n}.txt", b"alpha %d" % n)) for n in range(5)]
    async with working(runtime):
        for job in jobs:
            await reaches(runtime, job.id, "succeeded")
    assert len(await uris(runtime)) == 5


async def test_progress_is_reported_while_it_runs(runtime: Runtime, embedder: FakeEmbedder) -> None:
    gate = Gate(embedder)
    job = await queued(runtime, ("a.txt", b"alpha"), ("empty.txt", b""))
    async with working(runtime):
        await gate.wait()
        running = await until(lambda job: bool(job.progress.get("done")), runtime, job.id)
        assert running.status == "running"
        assert running.progress["total"] == 2
        gate.open.set()
        await reaches(runtime, job.id, "succeeded")


async def test_a_job_that_cannot_work_fails_with_its_reason(
    runtime: Runtime, embedder: FakeEmbedder
) -> None:
    other = FakeEmbedder(dimensions=8, revision="1" * 64)
    async with runtime.database.write() as session:
        await create_collection(session, "docs", other.space)
    job = await queued(runtime, ("a.txt", b"alpha"))
    async with working(runtime):
        failed = await reaches(runtime, job.id, "failed")
    assert failed.error is not None
    assert "embed apply" in failed.error


async def test_a_bug_fails_the_job_and_not_the_worker(
    runtime: Runtime, embedder: FakeEmbedder
) -> None:
    def explode(_: Sequence[str]) -> None:
        raise ZeroDivisionError("secret")

    embedder.before_batch = explode
    broken = await queued(runtime, ("a.txt", b"alpha"))
    odd = await queued(runtime, kind="mystery")
    async with working(runtime):
        failed = await reaches(runtime, broken.id, "failed")
        assert failed.error is not None
        assert "secret" not in failed.error
        assert "mystery" in str((await reaches(runtime, odd.id, "failed")).error)
        embedder.before_batch = lambda _: None
        fine = await queued(runtime, ("b.txt", b"beta"))
        await reaches(runtime, fine.id, "succeeded")


async def test_a_shutdown_gives_the_job_back_at_once(
    runtime: Runtime, embedder: FakeEmbedder
) -> None:
    gate = Gate(embedder)
    job = await queued(runtime, ("a.txt", b"alpha"))
    async with working(runtime):
        await gate.wait()
    gate.open.set()
    left = await state(runtime, job.id)
    assert left.status == "queued"
    assert [path.name for path in kept(runtime)] == [str(job.id)]
    embedder.before_batch = lambda _: None
    async with working(runtime):
        done = await reaches(runtime, job.id, "succeeded")
    assert done.attempts == 1
    assert await uris(runtime) == ["upload:///a.txt"]


async def test_a_dead_workers_job_is_resumed_when_its_lease_has_run_out(runtime: Runtime) -> None:
    job = await queued(runtime, ("a.txt", b"alpha"))
    async with runtime.database.write() as session:
        held = await claim(session, "dead", timedelta(seconds=-1))
    assert held is not None
    async with working(runtime):
        done = await reaches(runtime, job.id, "succeeded")
    assert done.attempts == 2


async def test_a_living_workers_job_is_left_alone(runtime: Runtime) -> None:
    job = await queued(runtime, ("a.txt", b"alpha"))
    async with runtime.database.write() as session:
        await claim(session, "other", timedelta(hours=1))
    marker = await queued(runtime, ("b.txt", b"beta"))
    async with working(runtime):
        await reaches(runtime, marker.id, "succeeded")
        assert (await state(runtime, job.id)).status == "running"


async def test_a_lost_lease_stops_the_work(runtime: Runtime, embedder: FakeEmbedder) -> None:
    gate = Gate(embedder)
    job = await queued(runtime, ("a.txt", b"alpha"))
    async with working(runtime, Pace(lease=0, beat=0.05, poll=3600)) as worker:
        await gate.wait()
        async with runtime.database.write() as session:
            taken = await claim(session, "other", timedelta(hours=1))
        assert taken is not None
        marker = await queued(runtime, ("b.txt", b"beta"))
        # The worker notices at its next heartbeat and turns to the next job.
        embedder.before_batch = lambda _: None
        worker.wake()
        await reaches(runtime, marker.id, "succeeded")
        gate.open.set()
        left = await state(runtime, job.id)
        assert (left.status, left.attempts) == ("running", 2)
    assert [path.name for path in kept(runtime)] == [str(job.id)]


async def test_a_database_out_of_reach_leaves_the_job_for_later(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await queued(runtime, ("a.txt", b"alpha"))
    real = runtime.ingester.ingest
    calls = 0

    async def flaky(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise StoreUnavailable("no connection")
        return await real(*args, **options)

    monkeypatch.setattr(runtime.ingester, "ingest", flaky)
    async with working(runtime):
        assert (await reaches(runtime, job.id, "succeeded")).attempts == 1
    assert calls == 2


async def test_files_of_ended_jobs_are_swept_up(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = await queued(runtime, ("a.txt", b"alpha"))
    async with working(runtime):
        await reaches(runtime, ended.id, "succeeded")
        await swept(runtime)
    uploads = Path(runtime.settings.home) / "uploads"
    orphan, strange = str(new_id()), "no-id"
    for name in (str(ended.id), orphan, f"incoming-{orphan}", strange):
        (uploads / name).mkdir()
    async with working(runtime):
        await reaches(runtime, (await queued(runtime, ("b.txt", b"b"))).id, "succeeded")
    # Young folders without a job may belong to an upload that another process is receiving.
    assert {orphan, f"incoming-{orphan}", strange} <= {path.name for path in kept(runtime)}
    assert str(ended.id) not in {path.name for path in kept(runtime)}
    monkeypatch.setattr("rostra.api.uploads._STALE_SECONDS", -1.0)
    last = await queued(runtime, ("c.txt", b"c"))
    async with working(runtime):
        await reaches(runtime, last.id, "succeeded")
        await swept(runtime, but=1)
    assert [path.name for path in kept(runtime)] == [strange]


async def test_a_failed_jobs_files_stay_until_it_is_retried(runtime: Runtime) -> None:
    other = FakeEmbedder(dimensions=8, revision="1" * 64)
    async with runtime.database.write() as session:
        wrong = await create_collection(session, "docs", other.space)
    job = await queued(runtime, ("a.txt", b"alpha"))
    async with working(runtime):
        assert (await reaches(runtime, job.id, "failed")).error_code == "embedding_space_mismatch"
        async with runtime.database.write() as session:
            await delete_collection(session, wrong.name)
            await retry_job(session, job.id)
        await reaches(runtime, job.id, "succeeded")
        await swept(runtime)
    assert await uris(runtime) == ["upload:///a.txt"]


async def test_a_job_of_which_nothing_could_be_read_has_failed_and_can_be_retried(
    runtime: Runtime,
) -> None:
    job = await queued(runtime, ("a.txt", b""), ("b.txt", b""))
    async with working(runtime):
        failed = await reaches(runtime, job.id, "failed")
        assert failed.error_code == "nothing_read"
        assert "the first of 2 failures: upload:///a.txt" in str(failed.error)
        assert failed.result is not None
        assert [one["code"] for one in failed.result["failed"]] == ["empty_file"] * 2
        (folder,) = kept(runtime)
        (folder / "0001").write_bytes(b"alpha")
        async with runtime.database.write() as session:
            again = await retry_job(session, job.id)
        assert (again.result, again.error) == (None, None)
        ended = await reaches(runtime, job.id, "succeeded")
        assert ended.result is not None
        assert (ended.result["documents"], len(ended.result["failed"])) == (1, 1)
        await swept(runtime)


async def test_an_upload_that_is_stored_already_has_not_failed(runtime: Runtime) -> None:
    first = await queued(runtime, ("a.txt", b"alpha"))
    again = await queued(runtime, ("a.txt", b"alpha"), ("b.txt", b""))
    async with working(runtime):
        await reaches(runtime, first.id, "succeeded")
        ended = await reaches(runtime, again.id, "succeeded")
    assert ended.result is not None
    assert (ended.result["unchanged"], len(ended.result["failed"])) == (1, 1)


async def test_what_may_pass_is_tried_again_and_given_up_in_the_end(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rostra.api.worker._FIRST_DELAY", 0.0)
    calls = 0

    async def out_of_reach(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        raise ModelUnavailable("not now")

    monkeypatch.setattr(runtime.ingester, "ingest", out_of_reach)
    job = await queued(runtime, ("a.txt", b"alpha"))
    async with working(runtime):
        failed = await reaches(runtime, job.id, "failed")
    assert (calls, failed.error_code, failed.error) == (5, "model_unavailable", "not now")


async def test_a_job_that_gets_further_each_time_outlives_any_number_of_workers(
    runtime: Runtime, embedder: FakeEmbedder
) -> None:
    job = await queued(runtime, *((f"{n:02}.txt", b"text %d" % n) for n in range(8)))
    async with runtime.database.write() as session:
        for done in range(1, 8):
            held = await claim(session, "dead", timedelta(seconds=-1))
            assert held is not None
            await checkpoint(session, held, "", {"done": done}, timedelta(seconds=-1))
    async with working(runtime):
        ended = await reaches(runtime, job.id, "succeeded")
    assert ended.attempts == 8
