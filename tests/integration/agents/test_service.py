"""Runs over a database: started, watched, decided on, cancelled, taken over, replayed, forked."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import update

from rostra.agents import (
    Agents,
    ApprovalAsked,
    ApprovalDecided,
    Budget,
    ModelAsked,
    Outcome,
    Parts,
    Paused,
    Record,
    Resumed,
    RunEnded,
    RunRequest,
    RunStarted,
    Status,
    ToolEnded,
    ToolStarted,
    UnknownStrategy,
    executor,
    is_interrupted,
    make_strategy,
    prompts,
)
from rostra.agents.scope import Scope
from rostra.core import GenerationOptions, InvalidRequest, ModelUnavailable, Overloaded
from rostra.store import Database, RunConflict, RunNotFound, create_run, get_run
from rostra.store.tables import RunRow
from tests.agent_parts import Bench, StepModel, World, action, expire, final, silence

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
    for starts in range(1, 4):
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
    await ended(last, run_id)
    records = [record async for record in last.events(run_id)]
    assert [one.event.outcome for one in of(ToolEnded, records)] == [Outcome.UNKNOWN]
    assert [one.event.attempt for one in of(ToolStarted, records)] == [1, 2, 3]
    assert [one.event.attempts for one in of(ApprovalDecided, records)] == [1, 2, 3]
    assert (await last.replay(run_id)).difference is None
    await last.close()


async def test_a_lost_run_is_taken_over(
    database: Database, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first server hangs without a sign of life; when it wakes up it may not write."""
    world.gate = asyncio.Event()
    first = make(database, world, READS)
    silence(first, monkeypatch)
    run_id = await first.start(RunRequest(task="Look around."))
    await begun_at(first, run_id, ToolStarted)
    (hanging,) = first._executor._tasks.values()
    other = World(world.file)
    second = make(database, other, READS)
    assert not await second.resume(run_id)
    await expire(database)
    assert await second.resume(run_id)
    assert (await ended(second, run_id)).status is Status.COMPLETED
    world.gate.set()
    await hanging
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
    # Its log says what holds for it, and where it comes from.
    first = (await log_of(agents, whole))[0]
    assert isinstance(first.event, RunStarted)
    assert (first.event.budget, first.event.parent) == (Budget(steps=5), str(run_id))
    assert (await agents.request(whole)).budget == Budget(steps=5)
    assert (await agents.replay(whole)).difference is None


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


async def begun_at(agents: Agents, run_id: UUID, kind: type) -> None:
    """Waits for the first event of a kind."""
    async with aclosing(agents.events(run_id)) as events:
        async for record in events:
            if isinstance(record.event, kind):
                return


def named(database: Database, world: World, name: str, script: list[str]) -> Agents:
    """Runs whose model has a name of its own."""
    bench = Bench(StepModel(script, name), world)
    return Agents(database, bench.open, model=name, prompts=prompts)


async def test_another_model_goes_on_from_what_was_said(database: Database, world: World) -> None:
    first = named(database, world, "small", WRITES)
    run_id = await first.start(RunRequest(task="Change it."))
    paused = (await first.wait(run_id)).event
    assert isinstance(paused, Paused)
    await first.close()
    second = named(database, world, "large", WRITES)
    await second.decide(run_id, paused.calls[0], "approve")
    assert (await ended(second, run_id)).status is Status.COMPLETED
    assert world.done() == ["read a", "write b"]
    records = [record async for record in second.events(run_id)]
    assert [one.event.model for one in of(ModelAsked, records)] == ["small", "small", "large"]
    assert [one.event.model for one in of(Resumed, records)] == ["large"]
    assert (await second.replay(run_id)).difference is None
    forked = await second.fork(run_id, 2)
    assert (await ended(second, forked)).status is Status.COMPLETED
    await second.close()


async def test_other_prompts_go_on_from_what_was_said(database: Database, world: World) -> None:
    class Reworded:
        def render(self, name: str, values: Mapping[str, Any]) -> str:
            return prompts.render(name, values) + " Be kind."

        def versions(self) -> dict[str, str]:
            return dict.fromkeys(prompts.versions(), "new")

    first = make(database, world, WRITES)
    run_id = await first.start(RunRequest(task="Change it."))
    paused = (await first.wait(run_id)).event
    assert isinstance(paused, Paused)
    await first.close()
    bench = Bench(StepModel(WRITES), world)

    @asynccontextmanager
    async def reworded(request: RunRequest) -> AsyncIterator[Parts]:
        async with bench.open(request) as parts:
            yield replace(parts, prompts=Reworded())

    second = Agents(database, reworded, model="steps", prompts=prompts)
    await second.decide(run_id, paused.calls[0], "approve")
    assert (await ended(second, run_id)).status is Status.COMPLETED
    records = [record async for record in second.events(run_id)]
    assert set(of(Resumed, records)[0].event.prompts) == set(prompts.versions())
    # A replay asks for more: it tells that the program is another one.
    report = await second.replay(run_id)
    assert report.difference is not None
    assert "ModelAsked" in report.difference
    await second.close()


async def test_a_log_of_another_program_stops_the_run_and_does_not_end_it(
    database: Database, world: World
) -> None:
    first = make(database, world, WRITES)
    run_id = await first.start(RunRequest(task="Change it."))
    paused = (await first.wait(run_id)).event
    assert isinstance(paused, Paused)
    await first.close()
    bench = Bench(StepModel(WRITES), world)

    class Other:
        name = "other"

        async def run(self, scope: Scope) -> None:
            await scope.ask("other", [], GenerationOptions())

    @asynccontextmanager
    async def other(request: RunRequest) -> AsyncIterator[Parts]:
        async with bench.open(request) as parts:
            yield replace(parts, strategy=Other())

    second = Agents(database, other, model="steps", prompts=prompts)
    await second.decide(run_id, paused.calls[0], "approve")
    for _ in range(2):
        stopped = (await second.wait(run_id)).event
        assert isinstance(stopped, Paused)
        assert stopped.reason == "interrupted"
        assert stopped.error is not None
        assert stopped.error["code"] == "replay_diverged"
        assert await second.resume(run_id)
    await second.wait(run_id)
    await second.close()
    third = make(database, world, WRITES)
    await third.resume(run_id)
    assert (await ended(third, run_id)).status is Status.COMPLETED
    assert world.done() == ["read a", "write b"]
    await third.close()


async def test_parts_that_are_not_there_stop_a_run_that_has_begun(
    database: Database, world: World
) -> None:
    world.gate = asyncio.Event()
    first = make(database, world, READS)
    run_id = await first.start(RunRequest(task="Look around."))
    await begun_at(first, run_id, ToolStarted)
    await first.close()
    world.gate = None

    @asynccontextmanager
    async def nothing(request: RunRequest) -> AsyncIterator[Parts]:
        raise ModelUnavailable("no model is set")
        yield

    bare = Agents(database, nothing, model="steps", prompts=prompts)
    await bare.resume(run_id)
    stopped = (await bare.wait(run_id)).event
    assert isinstance(stopped, Paused)
    assert stopped.error is not None
    assert stopped.error["code"] == "model_unavailable"
    new = await bare.start(RunRequest(task="Look around."))
    assert (await ended(bare, new)).status is Status.FAILED
    await bare.close()
    second = make(database, world, READS)
    await second.resume(run_id)
    assert (await ended(second, run_id)).status is Status.COMPLETED
    await second.close()


async def test_a_run_that_cannot_go_on_here_is_left_as_it_is(
    database: Database, world: World
) -> None:
    first = named(database, world, "small", WRITES)
    run_id = await first.start(RunRequest(task="Write it."))
    assert isinstance((await first.wait(run_id)).event, Paused)
    before = await log_of(first, run_id)
    await first.close()

    def check(request: RunRequest) -> None:
        raise ModelUnavailable("no model is set")

    bare = make(database, world, WRITES, check=check)
    paused = before[-1].event
    assert isinstance(paused, Paused)
    with pytest.raises(ModelUnavailable):
        await bare.decide(run_id, paused.calls[0], "approve")
    with pytest.raises(ModelUnavailable):
        await bare.resume(run_id)
    assert await log_of(bare, run_id) == before
    async with database.read() as session:
        assert (await get_run(session, run_id)).config["model"] == "small"
    await bare.close()


async def recovered(agents: Agents) -> bool:
    """Whether the first look for lost runs finds one, which is then executed."""
    found: asyncio.Queue[bool] = asyncio.Queue()
    claim = executor.claim_run

    async def claims(*arguments: Any, **more: Any) -> Any:
        claimed = await claim(*arguments, **more)
        found.put_nowait(claimed is not None)
        return claimed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor, "claim_run", claims)
        looking = asyncio.create_task(agents.recover())
        taken = await found.get()
        while taken and not agents._executor._tasks:  # noqa: ASYNC110
            await asyncio.sleep(0)
    await stopped(looking)
    return taken


async def stopped(task: asyncio.Task[None]) -> None:
    """Cancels a task and waits for its end, which is after its transaction's."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_only_a_process_of_the_same_model_takes_a_lost_run(
    database: Database, world: World
) -> None:
    world.gate = asyncio.Event()
    first = named(database, world, "small", READS)
    run_id = await first.start(RunRequest(task="Look around."))
    await begun_at(first, run_id, ToolStarted)
    await first.close()
    world.gate = None
    other = named(database, world, "large", READS)
    assert not await recovered(other)
    same = named(database, world, "small", READS)
    assert await recovered(same)
    assert (await ended(same, run_id)).status is Status.COMPLETED
    for agents in (other, same):
        await agents.close()


async def test_who_resumes_a_run_makes_it_one_of_its_model(
    database: Database, world: World
) -> None:
    world.gate = asyncio.Event()
    for name in ("small", "large"):
        agents = named(database, world, name, READS)
        if name == "small":
            run_id = await agents.start(RunRequest(task="Look around."))
        else:
            assert await agents.resume(run_id)
        await begun_at(agents, run_id, ToolStarted)
        await agents.close()
    world.gate = None
    small, large = (named(database, world, name, READS) for name in ("small", "large"))
    assert not await recovered(small)
    assert await recovered(large)
    assert (await ended(large, run_id)).status is Status.COMPLETED
    for agents in (small, large):
        await agents.close()


async def test_a_process_that_stood_still_does_not_take_its_own_run_again(
    database: Database, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a suspend: the lease is over, and looking wakes up before the heartbeat."""
    world.gate = asyncio.Event()
    agents = make(database, world, READS)
    silence(agents, monkeypatch)
    run_id = await agents.start(RunRequest(task="Look around."))
    await begun_at(agents, run_id, ToolStarted)
    await expire(database)
    assert not await recovered(agents)
    world.gate.set()
    assert (await ended(agents, run_id)).status is Status.COMPLETED
    await agents.close()


async def test_an_interrupted_run_waits_for_who_resumes_it(
    database: Database, world: World
) -> None:
    world.gate = asyncio.Event()
    first = make(database, world, READS)
    run_id = await first.start(RunRequest(task="Look around."))
    await begun_at(first, run_id, ToolStarted)
    assert await first.interrupt(run_id)
    assert not await first.interrupt(run_id)
    world.gate = None
    second = make(database, world, READS)
    assert not await recovered(second)
    async with database.read() as session:
        run = await get_run(session, run_id)
        assert (run.status, await is_interrupted(session, run)) == ("paused", True)
    with pytest.raises(RunConflict):
        await second.decide(run_id, "c", "approve")
    assert await second.resume(run_id)
    assert (await ended(second, run_id)).status is Status.COMPLETED
    assert (await second.replay(run_id)).difference is None
    for agents in (first, second):
        await agents.close()


async def test_a_call_that_the_time_cuts_off_may_have_happened(
    database: Database, world: World
) -> None:
    world.gate = asyncio.Event()
    agents = make(database, world, WRITES[1:])
    seconds = 0.2
    while True:
        budget = Budget(seconds=seconds)
        run_id = await agents.start(RunRequest(task="Change it.", approve=["write"], budget=budget))
        end = await ended(agents, run_id)
        assert end.status is Status.EXHAUSTED
        records = [record async for record in agents.events(run_id)]
        if of(ToolStarted, records):
            break
        seconds *= 2  # A slow machine did not come so far.
    (told,) = [record.event for record in of(ToolEnded, records)]
    assert told.outcome is Outcome.UNKNOWN
    assert "may have happened" in told.text
    await agents.close()


async def test_a_call_that_is_cancelled_may_have_happened(database: Database, world: World) -> None:
    world.gate = asyncio.Event()
    agents = make(database, world, [action(("write", "b"), ("read", "c"))])
    run_id = await agents.start(RunRequest(task="Change it.", approve=["write"]))
    await begun_at(agents, run_id, ToolStarted)
    await agents.cancel(run_id)
    records = [record async for record in agents.events(run_id)]
    assert [record.event.outcome for record in of(ToolEnded, records)] == [Outcome.UNKNOWN]
    assert records[-1].event.status is Status.CANCELLED  # type: ignore[union-attr]
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    await agents.close()


async def test_a_cancel_that_dies_half_way_has_done_nothing_or_all(
    database: Database, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.gate = asyncio.Event()
    agents = make(database, world, READS)
    run_id = await agents.start(RunRequest(task="Look around."))
    await begun_at(agents, run_id, ToolStarted)
    with monkeypatch.context() as patch:

        async def dies(*_: object, **__: object) -> None:
            raise OSError("the process died")

        patch.setattr("rostra.agents.stored_log.append_events", dies)
        with pytest.raises(OSError, match="died"):
            await agents.cancel(run_id)
    world.gate.set()
    assert (await ended(agents, run_id)).status is Status.COMPLETED
    await agents.close()


async def test_a_mistake_of_ours_ends_its_run(database: Database, world: World) -> None:
    @asynccontextmanager
    async def broken(request: RunRequest) -> AsyncIterator[Parts]:
        raise KeyError("a mistake")
        yield

    agents = Agents(database, broken, model="steps", prompts=prompts)
    run_id = await agents.start(RunRequest(task="Look around."))
    end = await ended(agents, run_id)
    assert end.status is Status.FAILED
    assert end.error is not None
    assert "mistake" in end.error["message"]
    await agents.close()


async def test_looking_for_lost_runs_outlives_any_error(
    database: Database, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Looks each second.
    agents = make(database, world, READS, lease=timedelta(seconds=6))
    failed = asyncio.Event()
    claim = executor.claim_run

    async def claims(*arguments: Any, **more: Any) -> Any:
        if not failed.is_set():
            failed.set()
            raise ValueError("a row that cannot be read")
        return await claim(*arguments, **more)

    monkeypatch.setattr(executor, "claim_run", claims)
    looking = asyncio.create_task(agents.recover())
    await failed.wait()
    async with database.write() as session:
        config = {**msgspec.to_builtins(RunRequest(task="Look.")), "model": "steps"}
        run = await create_run(session, task="Look.", strategy="react", config=config)
    assert (await ended(agents, run.id)).status is Status.COMPLETED
    await stopped(looking)
    await agents.close()


async def test_time_passes_while_servers_are_connected_to(database: Database, world: World) -> None:
    @asynccontextmanager
    async def mute(request: RunRequest) -> AsyncIterator[Parts]:
        await asyncio.Event().wait()
        raise RuntimeError("unreachable")
        yield

    agents = Agents(database, mute, model="steps", prompts=prompts)
    run_id = await agents.start(RunRequest(task="Look around.", budget=Budget(seconds=0.1)))
    end = await ended(agents, run_id)
    assert end.status is Status.EXHAUSTED
    assert end.spent.seconds >= 0.1
    assert end.error is not None
    assert end.error["code"] == "budget_spent"
    await agents.close()
