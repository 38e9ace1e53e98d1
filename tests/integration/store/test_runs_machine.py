"""Runs against a model: any order of claims, appends, pauses, decisions, seizures and deaths."""

import asyncio
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from rostra.store import (
    LostLease,
    RunClaim,
    RunConflict,
    RunLog,
    add_decision,
    append_events,
    claim_run,
    create_run,
    get_run,
    heartbeat_run,
    open_database,
    read_events,
    release_run,
    seize_run,
)

LEASE = {True: timedelta(hours=1), False: timedelta(seconds=-1)}


@dataclass
class Expected:
    status: str = "running"
    held: bool = False
    token: int = 0
    attempts: int = 0
    events: list[bytes] = field(default_factory=list)


class RunsMachine(RuleBasedStateMachine):
    claims: Bundle[RunClaim] = Bundle("claims")

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.database = self.runner.run(open_database(f"sqlite:///{self.folder / 'x.db'}"))
        self.log = RunLog(self.database)
        self.runs: dict[Any, Expected] = {}
        self.count = 0

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.run(self.log.close())
            self.runner.run(self.database.close())
            self.runner.close()
            shutil.rmtree(self.folder)

    def write(self, function: Any, *arguments: Any, **named: Any) -> Any:
        async def run() -> Any:
            async with self.database.write() as session:
                return await function(session, *arguments, **named)

        return self.runner.run(run())

    def entries(self, count: int) -> list[tuple[datetime, str, bytes]]:
        self.count += 1
        return [(datetime.now(UTC), "E", f"{self.count}.{n}".encode()) for n in range(count)]

    @rule()
    def add(self) -> None:
        run = self.write(create_run, task="t", strategy="s")
        self.runs[run.id] = Expected()

    @rule(target=claims, alive=st.booleans())
    def take(self, alive: bool) -> Any:
        held = self.write(claim_run, "one", LEASE[alive])
        free = [
            run_id
            for run_id, run in sorted(self.runs.items())
            if run.status == "running" and not run.held
        ]
        assert (held.run.id if held else None) == (free[0] if free else None)
        return self.taken(held, alive) if held else multiple()

    @rule(target=claims, held=claims, alive=st.booleans())
    def seize(self, held: RunClaim, alive: bool) -> Any:
        expected = self.runs[held.run.id]
        try:
            new = self.write(seize_run, held.run.id, "other", LEASE[alive])
        except RunConflict:
            assert expected.status not in ("running", "paused")
            return multiple()
        assert expected.status in ("running", "paused")
        expected.status = "running"
        return self.taken(new, alive)

    def taken(self, held: RunClaim, alive: bool) -> RunClaim:
        expected = self.runs[held.run.id]
        assert held.fencing_token > expected.token
        assert held.run.last_seq == len(expected.events)
        expected.token, expected.held = held.fencing_token, alive
        expected.attempts += 1
        return held

    def holds(self, held: RunClaim) -> bool:
        expected = self.runs[held.run.id]
        return expected.status == "running" and expected.token == held.fencing_token

    @rule(
        held=claims,
        count=st.integers(1, 3),
        stale=st.integers(-1, 1),
        status=st.sampled_from([None, None, None, "paused", "completed"]),
        quick=st.booleans(),
    )
    def append(
        self, held: RunClaim, count: int, stale: int, status: str | None, quick: bool
    ) -> None:
        expected = self.runs[held.run.id]
        after, entries = len(expected.events) + stale, self.entries(count)
        told: dict[str, Any] = {"token": held.fencing_token, "status": status}
        try:
            if quick:
                self.runner.run(self.log.append(held.run.id, after, entries, **told))
            else:
                self.write(append_events, held.run.id, after, entries, **told)
        except LostLease:
            assert stale or not self.holds(held)
            return
        assert self.holds(held)
        assert not stale
        expected.events += [data for _, _, data in entries]
        if status is not None:
            expected.status, expected.held, expected.attempts = status, False, 0

    @rule(held=claims, alive=st.booleans())
    def beat(self, held: RunClaim, alive: bool) -> None:
        try:
            self.write(heartbeat_run, held, LEASE[alive])
        except LostLease:
            assert not self.holds(held)
            return
        assert self.holds(held)
        self.runs[held.run.id].held = alive

    @rule(held=claims)
    def give_back(self, held: RunClaim) -> None:
        try:
            self.write(release_run, held)
        except LostLease:
            assert not self.holds(held)
            return
        assert self.holds(held)
        expected = self.runs[held.run.id]
        expected.held = False
        expected.attempts -= 1

    @rule(held=claims, resume=st.booleans(), stale=st.integers(-1, 1))
    def decide(self, held: RunClaim, resume: bool, stale: int) -> None:
        expected = self.runs[held.run.id]
        after, (entry,) = len(expected.events) + stale, self.entries(1)
        try:
            self.write(add_decision, held.run.id, after, entry, resume=resume)
        except RunConflict:
            assert stale or expected.status != "paused"
            return
        assert expected.status == "paused"
        assert not stale
        expected.events.append(entry[2])
        expected.status, expected.attempts = "running" if resume else "paused", 0

    @invariant()
    def the_tables_say_so(self) -> None:
        async def run() -> None:
            async with self.database.read() as session:
                for run_id, expected in self.runs.items():
                    found = await get_run(session, run_id)
                    assert found.status == expected.status
                    assert found.held == expected.held
                    assert found.attempts == expected.attempts
                    events = await read_events(session, run_id)
                    assert found.last_seq == len(events)
                    assert [one.seq for one in events] == list(range(1, len(events) + 1))
                    assert [one.data for one in events] == expected.events

        if hasattr(self, "runner"):
            self.runner.run(run())


TestRuns = RunsMachine.TestCase
TestRuns.settings = hypothesis.settings(max_examples=20, stateful_step_count=30, deadline=None)
