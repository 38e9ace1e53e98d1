"""Agents on tasks of one's own: what a run leaves behind, and what it is scored by."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from evals.agents.executed import Execute, executed
from evals.agents.own.evaluate import OpenParts, evaluate_agent_tasks
from evals.core import Outcome, RunRecord, Task, report_of
from evals.errors import DatasetError
from rostra.agents import (
    Budget,
    CallContext,
    Catalog,
    Effect,
    Limits,
    Parts,
    RunRequest,
    StaticToolset,
    ToolInfo,
    ToolResult,
    default_guard,
    make_strategy,
    prompts,
)
from rostra.core import ChatMessage, GenerationOptions, ModelUnavailable, Role
from rostra.models import ScriptedModel, Turn

ORDER = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
STATUS = {
    "type": "object",
    "properties": {"id": {"type": "string"}, "status": {"enum": ["open", "shipped"]}},
    "required": ["id", "status"],
    "additionalProperties": False,
}
SHIP: dict[str, Any] = {
    "id": "ship",
    "task": "Order 17 has left the house. Note it, and say who gets it.",
    "state": {"orders": {"17": {"status": "open", "to": "Ada"}}},
    "tools": [
        {"name": "get_order", "parameters": ORDER, "gives": "orders.{id}"},
        {
            "name": "set_status",
            "parameters": STATUS,
            "needs": ["orders.{id}"],
            "sets": {"orders.{id}.status": "{status}"},
        },
    ],
    "expect": {
        "calls": [
            {"tool": "get_order", "args": {"id": "17"}},
            {"tool": "set_status", "args": {"id": "17", "status": "shipped"}},
        ],
        "answer": ["Ada"],
        "state": [{"path": "orders.17.status", "is": "shipped"}],
    },
}


def act(tool: str, **args: Any) -> str:
    return json.dumps({"thought": "", "action": [{"tool": tool, "args": args}]})


def final(text: str, *evidence: int) -> str:
    claims = [{"text": text, "evidence": list(evidence)}]
    return json.dumps({"thought": "", "final": {"claims": claims}})


SHIPS = (
    act("get_order", id="17"),
    act("set_status", id="17", status="shipped"),
    final("Ada gets it.", 1),
)


class House:
    """A platform with one tool that writes, and a model that says what a task's id tells it to."""

    def __init__(
        self, *turns: str | Turn, agents: Sequence[str] = (), **more: tuple[str | Turn, ...]
    ) -> None:
        self._limits = Limits(shares=dict.fromkeys(agents, 0.5))
        self.opened: list[RunRequest] = []
        self.sent: list[str] = []
        self.asked: list[GenerationOptions] = []
        self._turns = {"": turns, **more}

    def _say(self, messages: Sequence[ChatMessage], options: GenerationOptions) -> str | Turn:
        self.asked.append(options)
        task = next(each.content for each in messages if each.role is Role.USER)
        chosen = next((each for name, each in self._turns.items() if name and name in task), None)
        turns = chosen or self._turns[""]
        spoken = sum(each.role is Role.ASSISTANT for each in messages)
        return turns[min(spoken, len(turns) - 1)]

    @asynccontextmanager
    async def open(self, request: RunRequest) -> AsyncIterator[Parts]:
        self.opened.append(request)

        async def send(arguments: dict[str, Any], context: CallContext) -> ToolResult:
            self.sent.append(arguments["id"])
            return ToolResult("Sent.")

        info = ToolInfo("send", "Sends.", ORDER, Effect.WRITE)
        catalog = await Catalog.open({"local": StaticToolset(((info, send),))})
        wanted = request.tools
        chosen = catalog.only(lambda each: wanted is None or each.name in wanted)
        yield Parts(
            {"main": ScriptedModel(self._say)},
            chosen,
            make_strategy(request.strategy),
            default_guard(),
            prompts,
            self._limits,
        )


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


class Keeping:
    """Does tasks, and keeps the record."""

    def __init__(self, execute: Execute = executed) -> None:
        self._execute = execute
        self.record: RunRecord | None = None

    async def __call__(self, tasks: Sequence[Task]) -> RunRecord:
        self.record = await self._execute(tasks)
        return self.record

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        assert self.record is not None
        return self.record.outcomes

    def scores(self, at: int = 0) -> dict[str, float | None]:
        return {score.name: score.value for score in self.outcomes[at].scores}


async def done(path: Path, house: House, **options: Any) -> Keeping:
    keeping = Keeping()
    open_parts: OpenParts = house.open
    await evaluate_agent_tasks(path, open_parts, execute=keeping, **options)
    return keeping


async def test_a_task_that_is_done(tmp_path: Path) -> None:
    kept = await done(write(tmp_path / "own.jsonl", SHIP), House(*SHIPS))
    scores = kept.scores()
    whole = {name for name, value in scores.items() if value == 1.0}
    assert whole == {
        "task success",
        "facts in answer",
        "state checks",
        "trajectory exact",
        "trajectory in order",
        "trajectory any order",
        "call precision",
        "call recall",
    }
    assert (scores["steps"], scores["tool calls"]) == (3, 2)
    (outcome,) = kept.outcomes
    state = outcome.state
    assert [(call.tool, call.arguments, call.outcome) for call in state.calls] == [
        ("get_order", {"id": "17"}, "ok"),
        ("set_status", {"id": "17", "status": "shipped"}, "ok"),
    ]
    assert (state.output, state.claims, state.steps) == ("Ada gets it.", ["Ada gets it."], 3)
    assert state.data["world"] == {"orders": {"17": {"status": "shipped", "to": "Ada"}}}
    assert state.data["evidence"][0]["claim"] == 0
    assert "Ada" in state.data["evidence"][0]["quote"]
    assert "seconds" not in state.data["spent"]
    assert state.usage.prompt_tokens == sum(each[0] for each in state.data["usages"])
    assert scores["tokens"] == sum(map(sum, state.data["usages"]))
    # The task itself is as it was.
    assert state.sample.data["state"] == SHIP["state"]


async def test_ways_to_go_wrong(tmp_path: Path) -> None:
    said = {
        "silent": (SHIPS[0], final("Somebody gets it.", 1)),
        "lost": (act("get_order", id="9"), final("Ada gets it.")),
        "endless": (SHIPS[0], act("get_order", id="17")),
        "away": (Turn(raises=ModelUnavailable("gone")),),
        "unknown": (act("no_such_tool"), *SHIPS[1:]),
    }
    rows = [SHIP | {"id": name, "task": f"{name}: {SHIP['task']}"} for name in said]
    house = House(**said)
    kept = await done(write(tmp_path / "own.jsonl", *rows), house, budget=Budget(steps=4))
    found = {
        outcome.state.sample.id: (outcome.failed, kept.scores(at).get("task success"))
        for at, outcome in enumerate(kept.outcomes)
    }
    assert found.pop("away") == ("model_unavailable", None)
    # A step that names no tool is no call; the run got over it.
    assert found.pop("unknown") == ("", 1.0)
    assert set(found.values()) == {("", 0.0)}
    by_id = {each.state.sample.id: each for each in kept.outcomes}
    assert "gone" in by_id["away"].detail
    assert by_id["endless"].state.data["status"] == "exhausted"
    assert [call.outcome for call in by_id["lost"].state.calls] == ["error"]
    assert [call.tool for call in by_id["unknown"].state.calls] == ["set_status"]
    assert by_id["silent"].state.data["world"] == SHIP["state"]
    assert kept.record is not None
    report = report_of(kept.record).tasks[0]
    assert report.failed == {"model_unavailable": 1}
    success = report.measure("task success")
    assert success is not None
    assert success.estimate is not None
    assert success.estimate.n == 4


@pytest.mark.parametrize(("approve", "sent"), [([], []), (["send"], ["17"])])
async def test_a_tool_of_the_platform_acts_only_if_the_task_approves_it(
    tmp_path: Path, approve: list[str], sent: list[str]
) -> None:
    """Even after text of another tool was read, which always makes it wait."""
    row = SHIP | {"tools": [*SHIP["tools"], "send"], "approve": approve}
    house = House(SHIPS[0], act("send", id="17"), *SHIPS[1:])
    kept = await done(write(tmp_path / "own.jsonl", row), house)
    assert house.sent == sent
    (outcome,) = kept.outcomes
    assert kept.scores()["task success"] == 1.0
    made = [call.tool for call in outcome.state.calls]
    assert made == ["get_order", *(["send"] if approve else []), "set_status"]
    assert outcome.state.data["asked"] == ["send", "set_status"]
    assert outcome.state.data["refused"] == (0 if approve else 1)


async def test_tools_that_nobody_knows_and_names_that_are_taken_are_counted(tmp_path: Path) -> None:
    taken = SHIP | {"id": "taken", "tools": [{"name": "send", "parameters": ORDER}, "send"],
                    "expect": {"answer": ["x"]}}  # fmt: skip
    unknown = SHIP | {"id": "unknown", "tools": [*SHIP["tools"], "serach"]}
    path = write(tmp_path / "own.jsonl", SHIP, taken, unknown, SHIP)
    kept = await done(path, House(*SHIPS))
    assert kept.record is not None
    (header,) = kept.record.header.tasks
    assert (header.samples, len(kept.outcomes)) == (1, 1)
    assert sorted(problem.reason for problem in header.problems) == [
        "a tool with the name of one of the platform's",
        "an id that another sample has",
        "an unknown tool: 'serach'",
    ]


async def test_other_agents_are_no_tools_here(tmp_path: Path) -> None:
    """Their runs belong to a run that is stored, and these are not."""
    everything = SHIP | {"tools": [*SHIP["tools"], "*"], "approve": []}
    named = SHIP | {"id": "named", "tools": [*SHIP["tools"], "send"]}
    house = House(act("send", id="17"), *SHIPS, agents=("send",))
    with pytest.raises(DatasetError, match="unknown tool: 'send'"):
        await done(write(tmp_path / "own.jsonl", everything, named), house)
    # A pattern that fits nothing else is unknown too; without it the task is done.
    kept = await done(write(tmp_path / "own.jsonl", SHIP), House(*SHIPS, agents=("send",)))
    assert kept.scores()["task success"] == 1.0


async def test_without_tools_of_the_platform_none_are_asked_for(tmp_path: Path) -> None:
    house = House(*SHIPS)
    await done(write(tmp_path / "own.jsonl", SHIP), house)
    assert [request.tools for request in house.opened] == [[], []]


async def test_attempts_are_sampled_with_seeds_of_their_own(tmp_path: Path) -> None:
    path = write(tmp_path / "own.jsonl", SHIP)
    seeds: list[list[int | None]] = []
    for _ in range(2):
        house = House(*SHIPS)
        kept = await done(path, house, repeats=3, temperature=0.7)
        assert {options.temperature for options in house.asked} == {0.7}
        seeds.append([options.seed for options in house.asked])
    assert seeds[0] == seeds[1]
    assert len(set(seeds[0])) == 9
    assert kept.record is not None
    report = report_of(kept.record).tasks[0]
    for name in ("pass@3", "pass^3"):
        found = report.measure(name)
        assert found is not None
        assert found.estimate is not None
        assert found.estimate.mean == 1.0
    greedy = House(*SHIPS)
    await done(path, greedy)
    assert {options.temperature for options in greedy.asked} == {0.0}


async def test_passes_are_told_by_strategy(tmp_path: Path) -> None:
    path = write(tmp_path / "own.jsonl", SHIP)
    report = await evaluate_agent_tasks(
        path, House(*SHIPS).open, strategies=("react", "rag"), repeats=2
    )
    rows = report.to_dict()["passes"]
    assert [(row["system"], row["k"]) for row in rows] == [
        ("react", 1), ("react", 2), ("rag", 1), ("rag", 2),
    ]  # fmt: skip
    assert [row["pass^k"] for row in rows[:2]] == [1.0, 1.0]


async def test_a_sample_names_its_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    from opentelemetry import trace
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    kept = await done(write(tmp_path / "own.jsonl", SHIP), House(*SHIPS))
    (outcome,) = kept.outcomes
    spans = exporter.get_finished_spans()
    assert {f"{span.context.trace_id:032x}" for span in spans} == {outcome.state.trace}
    names = [span.name for span in spans]
    assert names.count("execute_tool set_status") == 1
    assert names.count("eval sample") == 1
