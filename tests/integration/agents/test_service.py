"""Runs over a database: started, watched, decided on, cancelled, taken over, replayed, forked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from rostra.agents import (
    Agents,
    ApprovalAsked,
    ApprovalDecided,
    Budget,
    ModelAsked,
    Paused,
    Record,
    Resumed,
    RunEnded,
    RunRequest,
    Status,
    ToolEnded,
    ToolStarted,
    UnknownStrategy,
    make_strategy,
    prompts,
)
from rostra.core import InvalidRequest, ModelUnavailable, Overloaded
from rostra.store import Database, RunConflict, RunNotFound, get_run
from rostra.store.tables import RunRow
from tests.agent_parts import Bench, StepModel, World, action, final

READS = [action(("read", "a")), action(("read", "b"), ("read", "c")), final("It is fine.", 2)]
WRITES = [action(("read", "a")), action(("write", "b")), final("It is done.", 1)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world.txt")


def make(database: Database, world: World, script: list[str], **more: object) -> Agents:
    bench = Bench(StepModel(script), world)
    return Agents(database, bench.open, model="steps", prompts=prompts, **more)  # type: ignore[arg-type]


@pytest.fixture
async def agents(database: Database, world: World) -> AsyncIterator[Agents]:
    made = make(database, world, READS)
    yield made
    await made.close()


async def log_of(agents: Agents, run_id: UUID) -> list[Record]:
    """All events up to now."""
    records: list[Record] = []
    async with aclosing(agents.events(run_id)) as events:
        async for record in events:
            records.append(record)
            if isinstance(record.event, RunEnded | Paused):
                break
    return records


def of(kind: type, records: list[Record]) -> list[Record]:
    return [record for record in records if isinstance(record.event, kind)]


async def ended(agents: Agents, run_id: UUID) -> RunEnded:
    event = (await agents.wait(run_id)).event
    assert isinstance(event, RunEnded)
    return event


async def test_a_run_from_beginning_to_end(agents: Agents, world: World) -> None:
    run_id = await agents.start(RunRequest(task="Look around."))
    end = await ended(agents, run_id)
    assert (end.status, end.error) == (Status.COMPLETED, None)
    assert end.answer is not None
    assert end.answer.claims[0].evidence[0].quote == "All is fine."
    assert (end.spent.steps, end.spent.calls) == (3, 3)
    assert end.spent.tokens == 10 + 20 + 30 + 15
    assert sorted(world.done()) == ["read a", "read b", "read c"]
    records = await log_of(agents, run_id)
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    assert of(RunEnded, records) == records[-1:]


async def test_the_log_replays_to_the_same_events(agents: Agents, world: World) -> None:
    run_id = await agents.start(RunRequest(task="Look around."))
    await ended(agents, run_id)
    for ask_models in (False, True):
        report = await agents.replay(run_id, ask_models=ask_models)
        assert (report.difference, report.status) == (None, "completed")
    assert len(world.done()) == 3


async def test_a_replay_notices_another_model(database: Database, world: World) -> None:
    agents = make(database, world, READS)
    run_id = await agents.start(RunRequest(task="Look around."))
    await ended(agents, run_id)
    await agents.close()
    other = make(database, world, [READS[0], final("Something else.", 1)])
    report = await other.replay(run_id, ask_models=True)
    assert report.difference is not None
    assert "Something else" in report.difference
    await other.close()


async def test_two_watchers_see_the_same(agents: Agents) -> None:
    run_id = await agents.start(RunRequest(task="Look around."))
    first, second = await asyncio.gather(log_of(agents, run_id), log_of(agents, run_id))
    assert first == second
    rest = [record async for record in agents.events(run_id, after=5)]
    assert rest == first[5:]


async def test_a_write_waits_for_a_yes(database: Database, world: World) -> None:
    agents = make(database, world, WRITES)
    run_id = await agents.start(RunRequest(task="Change it."))
    paused = (await agents.wait(run_id)).event
    assert isinstance(paused, Paused)
    assert paused.reason == "approval"
    assert world.done() == ["read a"]
    asked = [record.event for record in of(ApprovalAsked, await log_of(agents, run_id))]
    assert [event.call.id for event in asked] == paused.calls
    with pytest.raises(InvalidRequest, match="no decision here"):
        await agents.decide(run_id, paused.calls[0], "done")
    with pytest.raises(RunConflict):
        await agents.decide(run_id, "other", "approve")
    await agents.decide(run_id, paused.calls[0], "approve", by="me")
    assert (await ended(agents, run_id)).status is Status.COMPLETED
    assert world.done() == ["read a", "write b"]
    assert (await agents.replay(run_id)).difference is None
    with pytest.raises(RunConflict):
        await agents.decide(run_id, paused.calls[0], "approve")
    await agents.close()


async def test_a_no_is_an_observation(database: Database, world: World) -> None:
    agents = make(database, world, WRITES)
    run_id = await agents.start(RunRequest(task="Change it."))
    paused = (await agents.wait(run_id)).event
    assert isinstance(paused, Paused)
    await agents.decide(run_id, paused.calls[0], "deny", note="Not today.")
    await ended(agents, run_id)
    assert world.done() == ["read a"]
    records = [record async for record in agents.events(run_id)]
    told = [record.event.text for record in of(ToolEnded, records)]
    assert any("Not today." in text for text in told)
    await agents.close()


async def test_a_pause_outlives_the_server(database: Database, world: World) -> None:
    first = make(database, world, WRITES)
    run_id = await first.start(RunRequest(task="Change it."))
    paused = (await first.wait(run_id)).event
    assert isinstance(paused, Paused)
    await first.close()
    second = make(database, world, WRITES)
    assert not await second.resume(run_id)
    await second.decide(run_id, paused.calls[0], "approve")
    assert (await ended(second, run_id)).status is Status.COMPLETED
    assert world.done() == ["read a", "write b"]
    await second.close()


async def test_a_server_that_closes_gives_its_runs_back(database: Database, world: World) -> None:
    world.gate = asyncio.Event()
    first = make(database, world, READS)
    run_id = await first.start(RunRequest(task="Look around."))
    async with aclosing(first.events(run_id)) as events:
        async for record in events:
            if isinstance(record.event, ToolStarted):
                break
    await first.close()
    world.gate = None
    second = make(database, world, READS)
    assert await second.resume(run_id)
    assert (await ended(second, run_id)).status is Status.COMPLETED
    records = [record async for record in second.events(run_id)]
    assert len(of(Resumed, records)) == 1
    # A read that was broken off is made again, under the same key.
    attempts = [record.event.attempt for record in of(ToolStarted, records)]
    assert sorted(attempts) == [1, 1, 1, 2]
    await second.close()


async def test_a_write_that_was_broken_off_is_not_repeated(
    database: Database, world: World
) -> None:
    world.gate = asyncio.Event()
    first = make(database, world, WRITES[1:])
    run_id = await first.start(RunRequest(task="Change it.", approve=["write"]))
    async with aclosing(first.events(run_id)) as events:
        async for record in events:
            if isinstance(record.event, ToolStarted):
                break
    await first.close()
    world.gate = None
    second = make(database, world, WRITES[1:])
    await second.resume(run_id)
    paused = (await second.wait(run_id)).event
    assert isinstance(paused, Paused)
    assert paused.reason == "outcome_unknown"
    assert world.done() == []
    await second.decide(run_id, paused.calls[0], "retry")
    assert (await ended(second, run_id)).status is Status.COMPLETED
    assert world.done() == ["write b"]
    await second.close()


async def test_a_retry_is_of_one_attempt(database: Database, world: World) -> None:
    """Who said yes once is asked again when that attempt was broken off, too."""
    run_id: UUID | None = None
    starts = 0
    for _ in range(3):
        world.gate = asyncio.Event()
        agents = make(database, world, WRITES[1:])
        if run_id is None:
            run_id = await agents.start(RunRequest(task="Change it.", approve=["write"]))
        else:
            await agents.resume(run_id)
            paused = (await agents.wait(run_id)).event
            assert isinstance(paused, Paused)
            assert paused.reason == "outcome_unknown"
            await agents.decide(run_id, paused.calls[0], "retry")
        starts += 1
        async with aclosing(agents.events(run_id)) as events:
            async for record in events:
                if isinstance(record.event, ToolStarted) and record.event.attempt == starts:
                    break
        await agents.close()
    world.gate = None
    last = make(database, world, WRITES[1:])
    await last.resume(run_id)
    paused = (await last.wait(run_id)).event
    assert isinstance(paused, Paused)
    assert (paused.reason, world.done()) == ("outcome_unknown", [])
    await last.decide(run_id, paused.calls[0], "done", note="I saw it.")
    assert (await ended(last, run_id)).status is Status.COMPLETED
    records = [record async for record in last.events(run_id)]
    assert [one.event.attempt for one in of(ToolStarted, records)] == [1, 2, 3]
    assert [one.event.attempts for one in of(ApprovalDecided, records)] == [1, 2, 3]
    assert (await last.replay(run_id)).difference is None
    await last.close()


async def test_a_lost_run_is_taken_over(database: Database, world: World) -> None:
    """The first server hangs without a sign of life; when it wakes up it may not write."""
    world.gate = asyncio.Event()
    first = make(database, world, READS, lease=timedelta(seconds=0.01))
    run_id = await first.start(RunRequest(task="Look around."))
    async with aclosing(first.events(run_id)) as events:
        async for record in events:
            if isinstance(record.event, ToolStarted):
                break
    other = World(world.file)
    second = make(database, other, READS)
    while not await second.resume(run_id):  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert (await ended(second, run_id)).status is Status.COMPLETED
    world.gate.set()
    await first.close()
    records = [record async for record in second.events(run_id)]
    assert of(RunEnded, records) == records[-1:]
    await second.close()


async def test_cancelling(database: Database, world: World) -> None:
    world.gate = asyncio.Event()
    agents = make(database, world, READS)
    run_id = await agents.start(RunRequest(task="Look around."))
    async with aclosing(agents.events(run_id)) as events:
        async for record in events:
            if isinstance(record.event, ToolStarted):
                break
    await agents.cancel(run_id)
    end = await ended(agents, run_id)
    assert end.status is Status.CANCELLED
    assert end.spent.calls == 1
    with pytest.raises(RunConflict):
        await agents.cancel(run_id)
    async with database.read() as session:
        assert (await get_run(session, run_id)).status == "cancelled"
    await agents.close()


async def test_a_paused_run_can_be_cancelled_by_another_server(
    database: Database, world: World
) -> None:
    first = make(database, world, WRITES)
    run_id = await first.start(RunRequest(task="Change it."))
    await first.wait(run_id)
    second = make(database, world, WRITES)
    await second.cancel(run_id)
    assert (await ended(first, run_id)).status is Status.CANCELLED
    assert world.done() == ["read a"]
    await first.close()
    await second.close()


@pytest.mark.parametrize(
    ("budget", "name"),
    [
        (Budget(steps=2), "steps"),
        (Budget(tokens=30), "tokens"),
        (Budget(calls=2), "calls"),
        (Budget(seconds=0), "seconds"),
    ],
)
async def test_budgets(agents: Agents, budget: Budget, name: str) -> None:
    run_id = await agents.start(RunRequest(task="Look around.", budget=budget))
    end = await ended(agents, run_id)
    assert end.status is Status.EXHAUSTED
    assert end.error is not None
    assert name in end.error["message"]
    if name in ("steps", "calls"):
        assert getattr(end.spent, name) <= getattr(budget, name)


async def test_a_budget_holds_over_executions(database: Database, world: World) -> None:
    """What was used before a crash counts."""
    world.gate = asyncio.Event()
    first = make(database, world, READS)
    run_id = await first.start(RunRequest(task="Look around.", budget=Budget(steps=2)))
    async with aclosing(first.events(run_id)) as events:
        async for record in events:
            if isinstance(record.event, ToolStarted):
                break
    await first.close()
    world.gate = None
    second = make(database, world, READS)
    await second.resume(run_id)
    end = await ended(second, run_id)
    assert (end.status, end.spent.steps) == (Status.EXHAUSTED, 2)
    records = [record async for record in second.events(run_id)]
    assert len(of(ModelAsked, records)) == 2
    await second.close()


async def test_forking(agents: Agents, world: World) -> None:
    run_id = await agents.start(RunRequest(task="Look around.", budget=Budget(steps=2)))
    assert (await ended(agents, run_id)).status is Status.EXHAUSTED
    done = len(world.done())
    forked = await agents.fork(run_id, 1, budget=Budget(steps=5))
    end = await ended(agents, forked)
    assert (end.status, end.spent.steps) == (Status.COMPLETED, 3)
    # The first step's call was taken from the log, the second step's two were made.
    assert len(world.done()) == done + 2
    whole = await agents.fork(run_id, 2, budget=Budget(steps=5))
    assert (await ended(agents, whole)).status is Status.COMPLETED
    assert len(world.done()) == done + 2
    with pytest.raises(InvalidRequest, match="2 steps"):
        await agents.fork(run_id, 3)


async def test_what_cannot_begin(database: Database, world: World) -> None:
    def check(request: RunRequest) -> None:
        make_strategy(request.strategy, request.options)

    agents = make(database, world, READS, check=check)
    for request in (
        RunRequest(task="  "),
        RunRequest(task="x" * 20_001),
        RunRequest(task="Look.", options={"nonsense": 1}),
    ):
        with pytest.raises(InvalidRequest):
            await agents.start(request)
    with pytest.raises(UnknownStrategy, match="magic"):
        await agents.start(RunRequest(task="Look.", strategy="magic"))
    missing = uuid4()
    for act in (agents.resume, agents.cancel, agents.replay):
        with pytest.raises(RunNotFound):
            await act(missing)
    await agents.close()


async def test_a_model_that_fails_ends_the_run(
    database: Database, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone(StepModel):
        async def stream(self, messages, options):  # type: ignore[no-untyped-def, override]
            raise ModelUnavailable("the endpoint is gone")
            yield

    monkeypatch.setattr("rostra.agents.asking._FIRST_DELAY", 0)
    bench = Bench(Gone(READS), world)
    agents = Agents(database, bench.open, prompts=prompts)
    run_id = await agents.start(RunRequest(task="Look around."))
    end = await ended(agents, run_id)
    assert end.status is Status.FAILED
    assert end.error is not None
    assert end.error["code"] == "model_unavailable"
    await agents.close()


async def test_a_tool_that_fails_is_an_observation(database: Database, world: World) -> None:
    world.fail = frozenset({"read"})
    agents = make(database, world, READS)
    run_id = await agents.start(RunRequest(task="Look around."))
    await ended(agents, run_id)
    records = [record async for record in agents.events(run_id)]
    assert all("out of order" in record.event.text for record in of(ToolEnded, records))
    await agents.close()


async def test_a_hundred_runs_at_once(database: Database, world: World) -> None:
    steps = 5  # `make soak` has 20
    script = [action(("read", str(number))) for number in range(steps - 1)] + [final("Fine.", 1)]
    agents = make(database, world, script)
    runs = await asyncio.gather(*(agents.start(RunRequest(task="Look.")) for _ in range(100)))
    ends = await asyncio.gather(*(ended(agents, run_id) for run_id in runs))
    assert {end.status for end in ends} == {Status.COMPLETED}
    assert {end.spent.steps for end in ends} == {steps}
    assert len(world.done()) == 100 * (steps - 1)
    await agents.close()


async def test_a_server_takes_as_many_runs_as_it_can_hold(database: Database, world: World) -> None:
    world.gate = asyncio.Event()
    agents = make(database, world, READS, most_runs=2)
    runs = [await agents.start(RunRequest(task="Look around.")) for _ in range(2)]
    with pytest.raises(Overloaded):
        await agents.start(RunRequest(task="Look around."))
    world.gate.set()
    for run_id in runs:
        await ended(agents, run_id)
    await agents.close()


async def test_a_run_that_kills_its_process_is_given_up(database: Database, world: World) -> None:
    agents = make(database, world, WRITES)
    run_id = await agents.start(RunRequest(task="Change it."))
    await agents.wait(run_id)
    async with database.write() as session:
        await session.execute(
            update(RunRow).where(RunRow.id == run_id).values(status="running", attempts=5)
        )
    await agents.resume(run_id)
    end = await ended(agents, run_id)
    assert end.status is Status.FAILED
    assert end.error is not None
    assert end.error["code"] == "run_given_up"
    await agents.close()
