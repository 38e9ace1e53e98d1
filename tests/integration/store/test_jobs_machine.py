"""Jobs against a model: any order of claims, reports, deaths and takeovers."""

import asyncio
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

from rostra.core import StoreUnavailable
from rostra.store import (
    Claim,
    LostLease,
    claim,
    enqueue,
    fail,
    get_job,
    heartbeat,
    open_database,
    succeed,
)
from rostra.store.jobs import MAX_ATTEMPTS

LEASE = {True: timedelta(hours=1), False: timedelta(seconds=-1)}


@dataclass
class Expected:
    status: str = "queued"
    attempts: int = 0
    holder: int | None = None
    alive: bool = False
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
            if job.status == "queued" or (job.status == "running" and not job.alive):
                if job.attempts == MAX_ATTEMPTS:
                    job.status, job.holder = "failed", None
                    continue
                expected = job_id
                break
        assert (held.job.id if held else None) == expected
        if held is None:
            return multiple()
        job = self.jobs[held.job.id]
        assert job.holder is None or held.fencing_token > job.holder
        job.status, job.alive, job.holder = "running", alive, held.fencing_token
        job.attempts += 1
        return held

    def report(self, held: Claim, function: Any, *arguments: Any) -> bool:
        """Whether the report was taken; it must be, from the holder alone."""
        try:
            self.write(function, held, *arguments)
            taken = True
        except LostLease:
            taken = False
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
                    assert job.result == expected.outcome

        if hasattr(self, "runner"):
            self.runner.run(run())


TestJobs = JobsMachine.TestCase
TestJobs.settings = hypothesis.settings(max_examples=20, stateful_step_count=30, deadline=None)
