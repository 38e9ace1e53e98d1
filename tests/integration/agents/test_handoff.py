"""Tasks handed to other agents: runs of their own that share a budget, a pause and an end."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from rostra.agents import (
    Agents,
    ApprovalAsked,
    Budget,
    Catalog,
    Effect,
    Handed,
    Limits,
    ModelAsked,
    Outcome,
    Parts,
    Paused,
    Policy,
    Record,
    RunEnded,
    RunRequest,
    RunStarted,
    Status,
    ToolEnded,
    ToolStarted,
    child_id,
    default_guard,
    make_strategy,
    outline,
    prompts,
    read_log,
)
from rostra.core import ChatEvent, ChatMessage, Delta, Finish, FinishReason, GenerationOptions
from rostra.runtime.handoffs import AgentConfig, handoff_tool
from rostra.store import Database, LostLease, RunConflict, delete_run, get_run, list_runs
from tests.agent_parts import World, action, expire, final, silence

Scripts = Mapping[str, Sequence[str]]


def hand(*tasks: str, agent: str = "helper") -> str:
    """A step that hands tasks over."""
    return action(*((f"agent__{agent}", task) for task in tasks)).replace('"value"', '"task"')


@dataclass
class TaskModel:
    """Says the n-th line of the script of the task that the conversation is about."""

    scripts: Scripts
    name: str = "tasks"

    async def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncIterator[ChatEvent]:
        said = sum(message.role == "assistant" for message in messages)
        task = next(message.content for message in messages if message.role == "user")
        script = next(lines for name, lines in self.scripts.items() if task.startswith(name))
        yield Delta(script[min(said, len(script) - 1)])
        yield Finish(FinishReason.STOP, {"prompt_tokens": 10, "completion_tokens": 5})


@dataclass
class House:
    """Runs over a database; those below `depth` can hand tasks to `helper`, which has all tools."""

    database: Database
    world: World
    scripts: Scripts
    depth: int = 1
    effect: Effect = Effect.READ
    share: float = 0.5
    trust: bool = False
    agents: Agents = field(init=False)

    def __post_init__(self) -> None:
        self.agents = Agents(self.database, self.open, model="tasks", prompts=prompts)

    @asynccontextmanager
    async def open(self, request: RunRequest) -> AsyncIterator[Parts]:
        catalog = await Catalog.open({"local": self.world.toolset()})
        depth = 0 if request.handed is None else request.handed.depth
        shares = {}
        if depth < self.depth:
            config = AgentConfig("Helps.", ["*"], share=self.share)
            other = handoff_tool(
                "helper", config, self.effect, depth + 1, lambda: self.agents, self.database
            )
            catalog = catalog.with_toolset(await other.list(), other)
            shares["agent__helper"] = self.share
        yield Parts(
            models={"main": TaskModel(self.scripts)},
            tools=catalog,
            strategy=make_strategy(request.strategy, request.options),
            guard=default_guard(
                Policy(
                    frozenset(Effect) if self.trust else frozenset({Effect.READ}),
                    frozenset(request.approve),
                )
            ),
            prompts=prompts,
            limits=Limits(shares=shares),
        )

    async def run(self, request: RunRequest) -> RunEnded:
        return await self.ended(await self.agents.start(request))

    async def ended(self, run_id: UUID) -> RunEnded:
        event = (await self.agents.wait(run_id)).event
        assert isinstance(event, RunEnded), event
        return event

    async def paused(self, run_id: UUID) -> Paused:
        event = (await self.agents.wait(run_id)).event
        assert isinstance(event, Paused), event
        return event

    async def until(self, run_id: UUID, kind: type) -> None:
        async with aclosing(self.agents.events(run_id)) as events:
            async for record in events:
                if isinstance(record.event, kind):
                    return

    async def log(self, run_id: UUID) -> list[Record]:
        return await read_log(self.database, run_id)

    async def of(self, run_id: UUID, kind: type) -> list[Record]:
        return [record for record in await self.log(run_id) if isinstance(record.event, kind)]

    async def runs(self) -> list[UUID]:
        async with self.database.read() as session:
            return [run.id for run in (await list_runs(session))[0]]

    async def child(self, run_id: UUID, key: str = "3") -> UUID:
        """The run that a call began: by default the first call after the first step."""
        started = [
            record.event.key
            for record in await self.of(run_id, ToolStarted)
            if record.event.lent is not None
        ]
        assert key in started, started
        return child_id(run_id, f"{run_id}:{key}")

    async def begun_by_people(self) -> list[UUID]:
        async with self.database.read() as session:
            return [run.id for run in (await list_runs(session))[0] if run.parent is None]

    async def status(self, run_id: UUID) -> str:
        async with self.database.read() as session:
            return (await get_run(session, run_id)).status


async def stopped(house: House, *tasks: asyncio.Task[Any]) -> None:
    """Cancels what waits for runs of a house, and closes it."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await house.agents.close()


READS: Scripts = {
    "Ask": [hand("Weigh it."), final("It weighs.", 1)],
    "Weigh": [action(("read", "a")), final("All is fine.", 2)],
}
WRITES: Scripts = READS | {
    "Weigh": [action(("write", "a")), action(("write", "b")), final("It is done.", 1)]
}
ASK = RunRequest(task="Ask somebody.", budget=Budget(steps=12, tokens=1000, calls=9))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world.txt")


async def test_a_task_is_worked_on_in_a_run_of_its_own(database: Database, world: World) -> None:
    house = House(database, world, READS)
    run_id = await house.agents.start(ASK)
    end = await house.ended(run_id)
    assert end.status is Status.COMPLETED, end.error
    assert end.answer is not None
    child = await house.child(run_id)
    assert set(await house.runs()) == {run_id, child}
    async with database.read() as session:
        row = await get_run(session, child)
    assert (row.parent, row.status, row.task) == (run_id, "completed", "Weigh it.")
    started = (await house.log(child))[0].event
    assert isinstance(started, RunStarted)
    assert started.parent == str(run_id)
    # Half of what was left after the first step: 15 tokens, one question, one call.
    assert started.budget == Budget(steps=5, tokens=492, seconds=started.budget.seconds, calls=4)
    (given,) = [record.event for record in await house.of(run_id, ToolEnded)]
    assert "All is fine." in given.text
    assert (given.spent.steps, given.spent.tokens, given.spent.calls) == (2, 30, 1)
    # Two questions and one call of its own.
    assert (end.spent.steps, end.spent.tokens, end.spent.calls) == (4, 60, 2)
    for each in (run_id, child):
        for ask_models in (False, True):
            report = await house.agents.replay(each, ask_models=ask_models)
            assert (report.difference, report.status) == (None, "completed")
    assert world.done() == ["read a"]
    await house.agents.close()


@pytest.mark.parametrize("orderly", [True, False])
async def test_a_call_that_was_broken_off_goes_on_in_the_same_run(
    database: Database, world: World, orderly: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process that ends, and by one that gives no sign of life any more."""
    world.gate, acting = asyncio.Event(), world.acts()
    first = House(database, world, READS, effect=Effect.UNKNOWN)
    if not orderly:
        silence(first.agents, monkeypatch)
    run_id = await first.agents.start(RunRequest(task="Ask somebody.", approve=["agent__helper"]))
    await acting.wait()
    child = await first.child(run_id)
    if orderly:
        await first.agents.close()
    else:
        await expire(database)
    second = House(database, World(world.file), READS, effect=Effect.UNKNOWN)
    assert await second.agents.resume(run_id)
    end = await second.ended(run_id)
    assert end.status is Status.COMPLETED, end.error
    assert set(await second.runs()) == {run_id, child}
    assert end.spent.steps == 4
    # One start of the handing over, however often it was taken up again.
    (start,) = await second.of(run_id, ToolStarted)
    assert start.event.attempt == 1
    attempts = [record.event.attempt for record in await second.of(child, ToolStarted)]
    assert attempts == [1, 2]
    assert (await second.agents.replay(run_id)).difference is None
    world.gate.set()
    await first.agents.close()
    await second.agents.close()


async def test_a_process_that_dies_at_any_write_is_taken_over(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before or after a write to either log: every third moment, until there are no more."""
    scripts = READS | {
        "Weigh": [action(("read", "a"), ("idempotent", "b")), final("All is fine.", 2)]
    }
    for moment in itertools.count(1, 3):
        world = World(tmp_path / f"world{moment}.txt")
        first = House(database, world, scripts, trust=True)
        dead, wake = asyncio.Event(), asyncio.Event()
        write, left = first.agents._log.append, itertools.count(moment - 1, -1)

        async def append(
            *arguments: Any,
            write: Any = write,
            left: Any = left,
            dead: asyncio.Event = dead,
            wake: asyncio.Event = wake,
            **more: Any,
        ) -> None:
            for act in (None, write):
                if act is not None:
                    await act(*arguments, **more)
                if next(left) == 0:
                    dead.set()
                if dead.is_set():
                    await wake.wait()
                    raise LostLease("dead")

        async def resume(_: UUID) -> bool:
            """What this server began it executes: nothing of that is free for it, dead or not."""
            return False

        monkeypatch.setattr(first.agents._log, "append", append)
        monkeypatch.setattr(first.agents, "resume", resume)
        silence(first.agents, monkeypatch)
        before = set(await first.runs())
        # It dies, or comes to an end alive.
        tasks = [asyncio.create_task(dead.wait()), asyncio.create_task(first.run(ASK))]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        (run_id,) = set(await first.begun_by_people()) - before
        if not dead.is_set():
            assert moment > 10
            await stopped(first, *tasks)
            break
        await expire(database)
        second = House(database, World(world.file), scripts, trust=True)
        if not Status(await second.status(run_id)).ended:
            assert await second.agents.resume(run_id), moment
        end = await second.ended(run_id)
        assert (end.status, end.spent.steps) == (Status.COMPLETED, 4), moment
        runs = set(await second.runs()) - before
        assert runs == {run_id, await second.child(run_id)}, moment
        assert set(world.done()) == {"read a", "idempotent b"}
        for one in runs:
            assert (await second.agents.replay(one)).difference is None, moment
        wake.set()
        await stopped(first, *tasks)
        await second.agents.close()


async def test_the_runs_of_a_call_that_died_before_its_run_was_there(
    database: Database, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loan is in the log, and the run that is to use it is not there yet."""
    first = House(database, world, READS)
    begun = asyncio.Event()

    async def never(*_: object, **__: object) -> UUID:
        begun.set()
        await asyncio.Event().wait()
        raise RuntimeError("unreachable")

    run_id = await first.agents.start(ASK)
    monkeypatch.setattr(first.agents, "start", never)
    await begun.wait()
    await first.agents.close()
    second = House(database, world, READS)
    await second.agents.resume(run_id)
    assert (await second.ended(run_id)).status is Status.COMPLETED
    assert len(await second.runs()) == 2
    assert world.done() == ["read a"]
    await second.agents.close()


@pytest.mark.parametrize(
    "budget",
    [
        Budget(steps=7, calls=50),
        Budget(steps=40, tokens=200, calls=50),
        Budget(steps=40, calls=8),
        Budget(steps=13, tokens=150, calls=6),
    ],
)
async def test_budgets_hold_over_all_runs_together(
    database: Database, world: World, budget: Budget
) -> None:
    """Several at once, each as long as it may, and each with one of its own."""
    looping = [action(("read", str(number))) for number in range(30)]
    scripts = {
        "Ask": [hand("Weigh 1.", "Weigh 2.", "Weigh 3."), hand("Weigh 4."), hand("Weigh 5.")],
        "Weigh": [hand("Deep."), *looping],
        "Deep": looping,
    }
    house = House(database, world, scripts, depth=2, share=0.7)
    run_id = await house.agents.start(RunRequest(task="Ask somebody.", budget=budget))
    end = await house.ended(run_id)
    assert end.status is Status.EXHAUSTED
    steps = tokens = calls = 0
    for one in await house.runs():
        assert Status(await house.status(one)).ended
        asked = len(await house.of(one, ModelAsked))
        steps, tokens = steps + asked, tokens + 15 * asked
        calls += len(await house.of(one, ToolStarted))
    assert len(await house.runs()) > 2
    assert (end.spent.steps, end.spent.calls) == (steps, calls)
    assert steps <= budget.steps
    assert calls <= budget.calls
    # What a model that cannot count its prompts answers may go past it by one prompt a run.
    assert budget.tokens is None or tokens <= budget.tokens + 10 * len(await house.runs())
    assert (await house.agents.replay(run_id)).difference is None
    await house.agents.close()


async def test_cancelling_ends_all_that_were_handed_on(database: Database, world: World) -> None:
    world.gate, acting = asyncio.Event(), world.acts()
    scripts = READS | {"Weigh": [hand("Deep."), final("x", 1)], "Deep": READS["Weigh"]}
    house = House(database, world, scripts, depth=2)
    run_id = await house.agents.start(ASK)
    await acting.wait()
    await house.agents.cancel(run_id)
    assert [await house.status(one) for one in await house.runs()] == ["cancelled"] * 3
    assert world.done() == []
    for one in await house.runs():
        assert len(await house.of(one, RunEnded)) == 1
    await house.agents.close()


async def test_cancelling_ends_what_waits_for_a_person(database: Database, world: World) -> None:
    house = House(database, world, WRITES)
    run_id = await house.agents.start(ASK)
    await house.paused(run_id)
    await house.agents.cancel(run_id)
    assert [await house.status(one) for one in await house.runs()] == ["cancelled"] * 2
    await house.agents.close()


async def test_time_ends_all_that_were_handed_on(database: Database, world: World) -> None:
    world.gate = asyncio.Event()
    house = House(database, world, READS)
    seconds = 0.2
    while True:
        short = RunRequest(task="Ask somebody.", budget=Budget(seconds=seconds))
        run_id = await house.agents.start(short)
        assert (await house.ended(run_id)).status is Status.EXHAUSTED
        child = child_id(run_id, f"{run_id}:3")
        if child in await house.runs():
            break
        seconds *= 2  # A slow machine did not come so far.
    await house.ended(child)
    # The other run's time, or its own, which is half of what was left of that.
    assert Status(await house.status(child)) in (Status.CANCELLED, Status.EXHAUSTED)
    await house.agents.close()


async def test_a_cancelled_child_is_an_observation(database: Database, world: World) -> None:
    world.gate, acting = asyncio.Event(), world.acts()
    house = House(database, world, READS | {"Ask": [hand("Weigh it."), final("Nothing came.")]})
    run_id = await house.agents.start(ASK)
    await acting.wait()
    await house.agents.cancel(await house.child(run_id))
    end = await house.ended(run_id)
    assert end.status is Status.COMPLETED
    (given,) = [record.event for record in await house.of(run_id, ToolEnded)]
    assert (given.outcome, "cancelled" in given.text) == (Outcome.ERROR, True)
    await house.agents.close()


async def test_a_run_for_which_nobody_waits_any_more_ends(
    database: Database, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies between the end of the one and of the other."""
    world.gate, acting = asyncio.Event(), world.acts()
    first = House(database, world, READS)
    silence(first.agents, monkeypatch)
    run_id = await first.agents.start(ASK)
    await acting.wait()
    child = await first.child(run_id)

    async def died(*_: object) -> None:
        """Does nothing."""

    monkeypatch.setattr(first.agents._executor, "_end_children", died)
    await first.agents.cancel(run_id)
    second = House(database, World(world.file), READS)
    assert not await second.agents.resume(child)
    await expire(database)
    assert await second.agents.resume(child)
    assert (await second.ended(child)).status is Status.CANCELLED
    assert world.done() == []
    with pytest.raises(RunConflict, match="has ended"):
        request = RunRequest(task="Weigh it.", handed=Handed("helper", call="x"))
        await second.agents.start(request, run_id=child_id(run_id, "x"), parent=run_id)
    await first.agents.close()
    await second.agents.close()


async def test_what_a_handed_over_run_asks_is_asked_of_the_one_that_waits(
    database: Database, world: World
) -> None:
    house = House(database, world, WRITES, effect=Effect.UNKNOWN)
    run_id = await house.agents.start(ASK)
    handing = await house.paused(run_id)
    assert handing.reason == "approval"
    assert len(await house.runs()) == 1, "handing over is asked about first"
    await house.agents.decide(run_id, handing.calls[0], "approve")
    for value, decision in (("a", "approve"), ("b", "deny")):
        paused = await house.paused(run_id)
        child = await house.child(run_id)
        (asked,) = outline(await house.log(run_id)).waiting
        assert (asked.call.tool, asked.call.arguments) == ("write", {"value": value})
        assert (asked.call.id, asked.effect) == (paused.calls[0], Effect.WRITE)
        assert asked.call.id.startswith(f"{child}:")
        assert any(f"run {child}" in why for why in asked.why)
        assert await house.status(child) == "paused"
        await house.agents.decide(run_id, asked.call.id, decision, by="me")  # type: ignore[arg-type] # a literal
    assert (await house.ended(run_id)).status is Status.COMPLETED
    assert world.done() == ["write a"]
    assert len(await house.runs()) == 2
    for one in (run_id, child):
        assert (await house.agents.replay(one)).difference is None
    await house.agents.close()


async def test_a_decision_in_the_run_that_asks_lets_all_go_on(
    database: Database, world: World
) -> None:
    """Over two levels, by another process than the one that asked."""
    scripts = WRITES | {
        "Weigh": [hand("Deep."), final("It was done.", 1)],
        "Deep": [action(("write", "a")), final("It is done.", 1)],
    }
    first = House(database, world, scripts, depth=2)
    run_id = await first.agents.start(ASK)
    paused = await first.paused(run_id)
    (middle,) = [await first.child(run_id)]
    leaf = UUID(paused.calls[0][:36])
    assert leaf not in (run_id, middle)
    assert (await first.paused(middle)).calls == paused.calls
    (own,) = (await first.paused(leaf)).calls
    assert paused.calls == [f"{leaf}:{own}"]
    await first.agents.close()
    second = House(database, world, scripts, depth=2)
    await second.agents.decide(leaf, own, "approve")
    assert (await second.ended(run_id)).status is Status.COMPLETED
    assert [await second.status(one) for one in await second.runs()] == ["completed"] * 3
    assert world.done() == ["write a"]
    await second.agents.close()


async def test_two_that_wait_are_asked_about_together(database: Database, world: World) -> None:
    scripts = WRITES | {
        "Ask": [hand("Weigh 1.", "Weigh 2."), final("Both are done.", 1)],
        "Weigh": [action(("write", "a")), final("It is done.", 1)],
    }
    house = House(database, world, scripts)
    run_id = await house.agents.start(ASK)
    one, other = (await house.paused(run_id)).calls
    await house.agents.decide(run_id, other, "approve")
    assert await house.status(run_id) == "paused"
    assert (await house.ended(UUID(other[:36]))).status is Status.COMPLETED
    await house.agents.decide(run_id, one, "approve")
    assert (await house.ended(run_id)).status is Status.COMPLETED
    assert world.done() == ["write a", "write a"]
    await house.agents.close()


async def test_what_had_influenced_the_task_influences_what_is_made_of_it(
    database: Database, world: World
) -> None:
    """A tool that the user trusts is asked about, when a result led to the task."""
    scripts = WRITES | {"Ask": [action(("read", "x")), hand("Weigh it."), final("Done.", 1)]}
    house = House(database, world, scripts)
    run_id = await house.agents.start(ASK)
    paused = await house.paused(run_id)
    child = UUID(paused.calls[0][:36])
    asked = [record.event for record in await house.of(child, ModelAsked)]
    assert all("tool:read" in event.sources for event in asked)
    (approval,) = [record.event for record in await house.of(child, ApprovalAsked)]
    assert any("untrusted text: tool:read" in reason for reason in approval.reasons)
    await house.agents.close()


async def test_a_deleted_run_does_not_leave_the_other_waiting(
    database: Database, world: World
) -> None:
    house = House(database, world, WRITES)
    run_id = await house.agents.start(ASK)
    (call,) = (await house.paused(run_id)).calls
    async with database.write() as session:
        await delete_run(session, UUID(call[:36]))
    await house.agents.decide(run_id, call, "approve")
    # It begins again, and asks again: nothing was approved of what it does now.
    assert (await house.paused(run_id)).calls == [call]
    assert world.done() == []
    await house.agents.close()


async def test_a_fork_of_a_handed_over_run_is_waited_for_by_nobody(
    database: Database, world: World
) -> None:
    house = House(database, world, READS)
    run_id = await house.agents.start(ASK)
    await house.ended(run_id)
    child = await house.child(run_id)
    forked = await house.agents.fork(child, 1)
    assert (await house.ended(forked)).status is Status.COMPLETED
    async with database.read() as session:
        handed = (await get_run(session, forked)).config["handed"]
    assert "call" not in handed
    await house.agents.close()


async def test_too_little_is_left_to_hand_over(database: Database, world: World) -> None:
    house = House(database, world, READS | {"Ask": [hand("Weigh it."), final("Nothing came.")]})
    run_id = await house.agents.start(RunRequest(task="Ask somebody.", budget=Budget(steps=2)))
    assert (await house.ended(run_id)).status is Status.COMPLETED
    (given,) = [record.event for record in await house.of(run_id, ToolEnded)]
    assert (given.outcome, "Too little" in given.text) == (Outcome.ERROR, True)
    assert len(await house.runs()) == 1
    await house.agents.close()
