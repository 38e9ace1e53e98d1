"""Jobs against a model: any order of claims, reports, deaths and takeovers."""

import asyncio
import contextlib
import shutil
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from rostra.core import JobNotFound, StoreUnavailable
from rostra.store import (
    Claim,
    LostLease,
    WrongJobStatus,
    cancel_job,
    checkpoint,
    claim,
    defer,
    drop_job,
    enqueue,
    fail,
    get_job,
    heartbeat,
    list_jobs,
    open_database,
    pause_job,
    release,
    resume_job,
    retry_job,
    succeed,
)
from rostra.store.jobs import MAX_ATTEMPTS

# What people do: to jobs of which statuses, and what becomes of them.
CONTROLS: dict[str, tuple[Any, tuple[str, ...], str]] = {
    "cancel": (cancel_job, ("queued", "running", "paused"), "cancelled"),
    "pause": (pause_job, ("queued", "running"), "paused"),
    "resume": (resume_job, ("paused",), "queued"),
    "retry": (retry_job, ("failed",), "queued"),
    "drop": (drop_job, ("succeeded", "failed", "cancelled"), ""),
}
LEASE = {True: timedelta(hours=1), False: timedelta(seconds=-1)}


@dataclass
class Expected:
    status: str = "queued"
    attempts: int = 0
    fruitful: int = 0
    holder: int | None = None
    alive: bool = False
    due: bool = True
    stage: str = ""
    outcome: object = None


class JobsMachine(RuleBasedStateMachine):
    """Workers that may live or die, and what the table should say after each of their steps."""

    claims = Bundle("claims")

    @initialize()
    def open(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.database = self.runner.run(open_database(f"sqlite:///{self.folder / 'x.db'}"))
        self.jobs: dict[Any, Expected] = {}
        self.dropped: set[Any] = set()

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.run(self.database.close())
            self.runner.close()
            shutil.rmtree(self.folder)

    def write(self, function: Any, *arguments: Any) -> Any:
        async def run() -> Any:
            async with self.database.write() as session:
                return await function(session, *arguments)

        return self.runner.run(run())

    @rule()
    def add(self) -> None:
        job = self.write(enqueue, "ingest", {})
        self.jobs[job.id] = Expected()

    @rule(target=claims, alive=st.booleans())
    def take(self, alive: bool) -> Any:
        held = self.write(claim, "worker", LEASE[alive])
        expected = None
        for job_id, job in sorted(self.jobs.items()):
            waits = job.status == "queued" and job.due
            if waits or (job.status == "running" and not job.alive):
                if job.attempts - job.fruitful >= MAX_ATTEMPTS:
                    job.status, job.holder = "failed", None
                    continue
                expected = job_id
                break
        assert (held.job.id if held else None) == expected
        if held is None:
            return multiple()
        job = self.jobs[held.job.id]
        assert job.holder is None or held.fencing_token > job.holder
        assert held.job.stage == job.stage
        job.status, job.alive, job.holder = "running", alive, held.fencing_token
        job.due = True
        job.attempts += 1
        return held

    def report(self, held: Claim, function: Any, *arguments: Any) -> bool:
        """Whether the report was taken; it must be, from the holder alone."""
        try:
            self.write(function, held, *arguments)
            taken = True
        except LostLease:
            taken = False
        if held.job.id in self.dropped:
            assert not taken
            return False
        job = self.jobs[held.job.id]
        assert taken == (job.status == "running" and job.holder == held.fencing_token)
        return taken

    @rule(held=claims, alive=st.booleans())
    def beat(self, held: Claim, alive: bool) -> None:
        if self.report(held, heartbeat, LEASE[alive], {"alive": alive}):
            self.jobs[held.job.id].alive = alive

    @rule(held=claims)
    def finish(self, held: Claim) -> None:
        result = {"by": held.fencing_token}
        if self.report(held, succeed, result):
            job = self.jobs[held.job.id]
            job.status, job.outcome = "succeeded", result

    @rule(held=consumes(claims))
    def give_up(self, held: Claim) -> None:
        if self.report(held, fail, "reason"):
            self.jobs[held.job.id].status = "failed"

    @rule(held=claims, alive=st.booleans())
    def save(self, held: Claim, alive: bool) -> None:
        if self.report(held, checkpoint, f"by {held.fencing_token}", {"x": 1}, LEASE[alive]):
            job = self.jobs[held.job.id]
            job.alive, job.fruitful = alive, held.job.attempts
            job.stage = f"by {held.fencing_token}"

    @rule(held=claims, due=st.booleans())
    def put_off(self, held: Claim, due: bool) -> None:
        delay = timedelta(seconds=-1) if due else timedelta(hours=1)
        if self.report(held, defer, "later", "code", delay):
            job = self.jobs[held.job.id]
            job.status, job.due = "queued", due

    @rule(held=claims)
    def let_go(self, held: Claim) -> None:
        if self.report(held, release, {}):
            job = self.jobs[held.job.id]
            job.status, job.due = "queued", True
            job.attempts -= 1

    @rule(data=st.data(), act=st.sampled_from(sorted(CONTROLS)))
    def control(self, data: st.DataObject, act: str) -> None:
        """Whatever people do applies to the statuses that it says, and to no other."""
        if not self.jobs:
            return
        job_id = data.draw(st.sampled_from(sorted(self.jobs)))
        job = self.jobs[job_id]
        function, allowed, after = CONTROLS[act]
        try:
            self.write(function, job_id)
        except WrongJobStatus as error:
            assert job.status not in allowed
            assert error.details["job_status"] == job.status
            return
        assert job.status in allowed
        if act == "drop":
            del self.jobs[job_id]
            self.dropped.add(job_id)
            return
        job.status, job.due, job.holder = after, True, None
        if act in ("resume", "retry"):
            job.attempts = job.fruitful = 0

    @rule()
    def interrupted(self) -> None:
        async def run() -> None:
            async with self.database.write() as session:
                await claim(session, "worker", LEASE[True])
                raise StoreUnavailable("interrupted")

        try:
            self.runner.run(run())
        except StoreUnavailable:
            return
        raise AssertionError("the error was swallowed")

    @invariant()
    def the_table_says_so(self) -> None:
        async def run() -> None:
            async with self.database.read() as session:
                for job_id, expected in self.jobs.items():
                    job = await get_job(session, job_id)
                    assert (job.status, job.attempts) == (expected.status, expected.attempts)
                    assert (job.result, job.stage) == (expected.outcome, expected.stage)
                for status in {job.status for job in self.jobs.values()}:
                    found, total = await list_jobs(session, [status], limit=1000)
                    wanted = [key for key, job in self.jobs.items() if job.status == status]
                    assert [job.id for job in found] == sorted(wanted, reverse=True)
                    assert total == len(wanted)
                for job_id in self.dropped:
                    with contextlib.suppress(JobNotFound):
                        await get_job(session, job_id)
                        raise AssertionError("a dropped job is still there")

        if hasattr(self, "runner"):
            self.runner.run(run())


TestJobs = JobsMachine.TestCase
TestJobs.settings = hypothesis.settings(max_examples=20, stateful_step_count=30, deadline=None)
