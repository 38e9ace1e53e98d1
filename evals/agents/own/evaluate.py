"""Lets agents do tasks of one's own, and says how many they did.

What always holds: tools that a task makes are called without asking, since they act on its own
state alone; a tool of the platform that changes something is called only if the task approves it.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from evals.agents.executed import Execute, executed
from evals.agents.own.reading import asks_platform, read_agent_tasks
from evals.agents.own.world import MadeTool, World
from evals.agents.repeats import passes
from evals.agents.runs import Setting
from evals.agents.scorers.call_overlap import CallOverlap
from evals.agents.scorers.effort import Effort
from evals.agents.scorers.facts import FactRecall
from evals.agents.scorers.state_checks import StateChecks
from evals.agents.scorers.success import SUCCESS, TaskSuccess
from evals.agents.scorers.trajectory import TrajectoryMatch
from evals.agents.seeded import Seeded
from evals.agents.solver import AgentSolver, Assign, Assignment
from evals.core.log import RunRecord
from evals.core.runner import Task
from evals.core.samples import Sample
from evals.core.scores import Scorer
from rostra.agents import Budget, Catalog, Parts, PlannedCall, RunRequest
from rostra.core import ChatModel, ConfigError, InvalidRequest

OpenParts = Callable[[RunRequest], AbstractAsyncContextManager[Parts]]


@dataclass(frozen=True, slots=True)
class AgentTasksReport:
    """How often tasks were done, by strategy.

    Attributes:
        passes: a row for each strategy and number of attempts; see `evals.agents.repeats`.
    """

    passes: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, record: RunRecord) -> "AgentTasksReport":
        """The report of a run."""
        rows: list[dict[str, Any]] = []
        for number, header in enumerate(record.header.tasks):
            own = [outcome for outcome in record.outcomes if outcome.task == number]
            rows += [{"system": header.solver, **row} for row in passes(own, SUCCESS)]
        return cls(tuple(rows))

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {"passes": list(self.passes)}


async def evaluate_agent_tasks(
    path: Path,
    open_parts: OpenParts,
    *,
    budget: Budget | None = None,
    strategies: Sequence[str] = ("react",),
    repeats: int = 1,
    temperature: float = 0.0,
    execute: Execute = executed,
) -> AgentTasksReport:
    """Lets each strategy do each task of a file.

    Args:
        open_parts: of a request, the model, the platform's tools that it names, guard and limits;
            such as `Workshop.open`.
        budget: of a run, as far as its task says nothing else.
        repeats: attempts at each task.
        temperature: of the model; with 0 all attempts are alike.
        execute: does the tasks of the evaluation.

    Raises:
        DatasetError: no task of the file can be used.
        ModelUnavailable: no model is set.
    """
    most = budget or Budget()
    known, model = await _known(open_parts, most, everything=asks_platform(path))
    dataset = read_agent_tasks(path, known)
    scorers: list[Scorer] = [
        TaskSuccess(repeats),
        FactRecall(),
        StateChecks(),
        TrajectoryMatch("exact"),
        TrajectoryMatch("in order"),
        TrajectoryMatch("any order"),
        CallOverlap(),
        Effort(),
    ]
    made = []
    for name in strategies:
        config = {
            "strategy": name,
            "model": model,
            "temperature": temperature,
            "budget": msgspec.to_builtins(most),
        }
        solver = AgentSolver(name, _assign(open_parts, name, most, temperature), config)
        # An answer depends on documents and servers too, which no key of a cache knows.
        made.append(Task(dataset, solver, scorers, repeats=repeats, cached=False))
    return AgentTasksReport.of(await execute(made))


async def _known(
    open_parts: OpenParts, budget: Budget, *, everything: bool
) -> tuple[list[str], str]:
    """Names of the platform's tools that a task may have, and of its model."""
    request = RunRequest(
        task="Which tools are there?", tools=None if everything else [], budget=budget
    )
    async with open_parts(request) as parts:
        return [tool.name for tool in _usable(parts).tools], parts.models["main"].name


def _assign(open_parts: OpenParts, strategy: str, most: Budget, temperature: float) -> Assign:
    @asynccontextmanager
    async def assign(sample: Sample, seed: int) -> AsyncIterator[Assignment]:
        data: Mapping[str, Any] = sample.data
        tools = [msgspec.convert(row, MadeTool) for row in data["tools"]]
        world = World(data["state"], tools)
        request = RunRequest(
            task=sample.input,
            strategy=strategy,
            tools=data["patterns"],
            budget=msgspec.structs.replace(most, **data["budget"]),
            approve=data["approve"],
        )
        async with open_parts(request) as parts:
            catalog = await _with_made(parts, world, {tool.name for tool in tools})
            models: Mapping[str, ChatModel] = parts.models
            if temperature > 0:
                models = {role: Seeded(each, temperature, seed) for role, each in models.items()}
            own = {tool.name for tool in tools}

            def decide(call: PlannedCall, reason: str) -> str:
                allowed = call.tool in own or call.tool in request.approve
                return "approve" if allowed and reason == "approval" else "deny"

            given = Setting(replace(parts, models=models, tools=catalog), decide)
            yield Assignment(request, given, lambda: world.state)

    return assign


async def _with_made(parts: Parts, world: World, names: set[str]) -> Catalog:
    """The run's tools and those of the task.

    Raises:
        InvalidRequest: a tool of the task cannot be offered; it is no run of this task then.
    """
    usable = _usable(parts)
    taken = names & {tool.name for tool in usable.tools}
    own = await Catalog.open({"local": world.toolset()})
    if taken or own.problems:
        raise InvalidRequest(
            f"tools of the task cannot be used: {', '.join(sorted(taken)) or own.problems[0]}"
        )
    return usable.with_toolset(own.tools, world.toolset())


def _usable(parts: Parts) -> Catalog:
    """All tools but those that begin runs of their own, which belong to a run that is stored."""
    if not isinstance(parts.tools, Catalog):
        raise ConfigError("the tools of these parts are no catalog")
    return parts.tools.only(lambda tool: tool.name not in parts.limits.shares)
