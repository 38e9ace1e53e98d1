"""Runs of a model that knows nothing: random weights behind the real engine and its grammars.

Such a model says whatever the grammar lets it, so a step that is not valid, a budget that is
overstepped or a run without an end is a defect of the platform and not of the model.

What always holds: the model samples at a high temperature, each question with a seed of its own, so
that runs differ; every answer is checked against the schema that it was held to, whatever a
strategy makes of it.

These runs are no run of the harness: what is counted are answers and ends of the platform, not
samples with a right answer, and the seeds go by the order of questions over all runs, so that one
of them cannot be done again alone.
"""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it ships no types

from evals.agents.runs import RunLogged, local_tools, run_once, setting
from evals.speed.checkpoints import write_random_checkpoint
from rostra.agents import (
    Budget,
    CallContext,
    Catalog,
    Decided,
    Effect,
    RunEnded,
    RunRequest,
    StaticToolset,
    Status,
    ToolInfo,
    ToolResult,
    make_strategy,
)
from rostra.core import (
    ChatEvent,
    ChatMessage,
    ChatModel,
    Delta,
    Finish,
    FinishReason,
    GenerationOptions,
    JsonSchema,
)
from rostra.serving import AsyncEngine, EngineChatModel, EngineConfig

_AT_ONCE = 32
# What a step is cut to; a random model has no reason to end before.
_MOST_TOKENS = 192
_TEMPERATURE = 8.0
_REFUSALS = ("That was no valid step.", "That cannot be used.")
_WORDS = ("alder", "basin", "cliff", "dune", "eddy", "fern", "gorge", "haven", "inlet", "kelp")


@dataclass(slots=True)
class RandomReport:
    """What went wrong in the runs of one strategy; all but `runs` and `steps` should be 0.

    Attributes:
        steps: answers of the model.
        invalid: answers against their schema, and those that the strategy refused.
        failed: runs that ended by an error of ours.
        past_budget: runs that used more than they may.
        ends: runs by how they ended.
        without_end: runs with no terminal event, or several, or events after it.
        examples: of what went wrong, the first.
    """

    strategy: str
    runs: int = 0
    steps: int = 0
    calls: int = 0
    invalid: int = 0
    failed: int = 0
    past_budget: int = 0
    without_end: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)

    @property
    def faults(self) -> int:
        return self.invalid + self.failed + self.past_budget + self.without_end

    def tell(self, what: str) -> None:
        """Keeps an example."""
        if len(self.examples) < 10:
            self.examples.append(what[:400])

    def to_dict(self) -> dict[str, Any]:
        return {
            "strategy": self.strategy,
            "runs": self.runs,
            "steps": self.steps,
            "calls": self.calls,
            "invalid_steps": self.invalid,
            "runs_failed": self.failed,
            "runs_past_budget": self.past_budget,
            "runs_without_one_end": self.without_end,
            "ends": self.ends,
            "examples": self.examples,
        }


class Heated:
    """A model that samples instead of taking the likeliest, and whose answers are checked.

    Args:
        model: asked in its place.
        seeds: of the requests, in the order in which they come.
        report: takes what is wrong with the answers.
    """

    def __init__(self, model: ChatModel, seeds: "count[int]", report: RandomReport) -> None:
        self._model = model
        self._seeds = seeds
        self._report = report

    @property
    def name(self) -> str:
        """The model's."""
        return self._model.name

    async def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncIterator[ChatEvent]:
        """See `ChatModel.stream`."""
        if any(refusal in messages[-1].content for refusal in _REFUSALS):
            self._report.invalid += 1
            self._report.tell(messages[-1].content[-300:])
        asked = replace(
            options,
            temperature=_TEMPERATURE,
            seed=next(self._seeds),
            max_tokens=min(options.max_tokens, _MOST_TOKENS),
        )
        parts: list[str] = []
        async for event in self._model.stream(messages, asked):
            if isinstance(event, Delta):
                parts.append(event.text)
            elif isinstance(event, Finish):
                self._check("".join(parts), asked, event)
            yield event

    async def count_tokens(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> int:
        """The model's own count."""
        counter = getattr(self._model, "count_tokens", None)
        return int(await counter(messages, options)) if counter is not None else 0

    def _check(self, text: str, options: GenerationOptions, finish: Finish) -> None:
        self._report.steps += 1
        wrong = wrong_answer(text, options)
        if wrong is None and finish.reason is FinishReason.LENGTH:
            wrong = "cut off"
        if wrong is not None:
            self._report.invalid += 1
            self._report.tell(f"{wrong}: {text}")


def wrong_answer(text: str, options: GenerationOptions) -> str | None:
    """What is wrong with an answer by the schema that it was held to; None if nothing."""
    if not isinstance(options.constraint, JsonSchema):
        return "a question without a schema"
    try:
        value = json.loads(text)
    except ValueError:
        return "no JSON"
    schema = json.loads(options.constraint.schema)
    error = next(iter(Draft202012Validator(schema).iter_errors(value)), None)
    return None if error is None else error.message[:200]


async def random_runs(
    model: ChatModel,
    name: str,
    runs: int,
    *,
    on_run: Callable[[int, int], None] = lambda done, total: None,
) -> RandomReport:
    """Runs of one strategy, some of which have budgets too small to finish.

    Args:
        model: constrained by schemas, as the engine is.
        name: of a strategy.
        runs: how many.
        on_run: called with the number done and the total.
    """
    report = RandomReport(name)
    heated = Heated(model, count(1), report)
    tools = await local_tools(_tools())
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> None:
        async with gate:
            await _one(number, name, heated, tools, report)
        on_run(report.runs, runs)

    async with asyncio.TaskGroup() as group:
        for number in range(runs):
            group.create_task(one(number))
    return report


async def _one(
    number: int, name: str, model: ChatModel, tools: Catalog, report: RandomReport
) -> None:
    task = f"Find out about {_WORDS[number % len(_WORDS)]} number {number}."
    request = RunRequest(task=task, strategy=name, budget=_budget(number))
    given = setting({"main": model}, tools, make_strategy(name))
    logged = await run_once(request, given, f"random-{number}")
    report.runs += 1
    judge_run(logged, request.budget, report)


def judge_run(logged: RunLogged, budget: Budget, report: RandomReport) -> None:
    """Counts what is wrong with a run by its log."""
    ends = logged.of(RunEnded)
    if len(ends) != 1 or not isinstance(logged.records[-1].event, RunEnded):
        report.without_end += 1
        report.tell(f"{len(ends)} ends, last {logged.records[-1].event!r}")
        return
    ended = ends[0]
    report.ends[str(ended.status)] = report.ends.get(str(ended.status), 0) + 1
    if ended.status is Status.FAILED:
        report.failed += 1
        report.tell(f"failed: {ended.error}")
    report.calls += ended.spent.calls
    for name in ("steps", "tokens", "calls", "cost"):
        most = getattr(budget, name)
        if most is not None and getattr(ended.spent, name) > most:
            report.past_budget += 1
            report.tell(f"{name}: {getattr(ended.spent, name)} of {most}")
            break
    for decided in logged.of(Decided):
        if decided.error is not None:
            report.invalid += 1
            report.tell(decided.error)


@asynccontextmanager
async def random_engine() -> AsyncIterator[ChatModel]:
    """An engine over a tiny random checkpoint, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="rostra-random-") as folder:
        path = write_random_checkpoint(
            Path(folder) / "random",
            hidden=64,
            layers=2,
            heads=4,
            kv_heads=2,
            intermediate=96,
            vocab_size=2000,
            max_context=16_384,
        )
        config = EngineConfig(
            dtype="float32", device="cpu", kv_memory_bytes=512 << 20, max_running=_AT_ONCE
        )
        async with AsyncEngine(path, config) as engine:
            yield EngineChatModel(engine)


def _budget(number: int) -> Budget:
    """Every fourth run can finish; the others run out of one thing or another."""
    match number % 4:
        case 0:
            return Budget(steps=12, calls=20)
        case 1:
            return Budget(steps=3, calls=20)
        case 2:
            return Budget(steps=12, calls=2)
    return Budget(steps=12, calls=20, tokens=4000)


def _tools() -> StaticToolset:
    async def search(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        at = sum(map(ord, arguments["query"][:200])) + arguments.get("page", 0)
        words = [_WORDS[(at + step) % len(_WORDS)] for step in range(8)]
        return ToolResult(f"The {words[0]} is {words[1]}. It has {at % 90} {words[2]}.")

    async def add(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        return ToolResult(f"The sum is {sum(arguments['numbers'])}.")

    about = {
        "query": {"type": "string", "minLength": 1, "maxLength": 40},
        "page": {"type": "integer", "minimum": 0, "maximum": 99},
        "kind": {"enum": ["short", "long"]},
    }
    numbers = {"numbers": {"type": "array", "items": {"type": "number"}, "maxItems": 4}}
    return StaticToolset(
        (
            (_info("search", "Says something about a thing.", about, ["query"]), search),
            (_info("add", "Adds numbers.", numbers, ["numbers"]), add),
        )
    )


def _info(
    name: str, description: str, properties: Mapping[str, Any], required: Sequence[str]
) -> ToolInfo:
    parameters = {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }
    return ToolInfo(name, description, parameters, Effect.READ)
