"""Outputs of models to tool tasks, scored sample by sample.

What always holds: an output is right or wrong; one that cannot be read is wrong, and so is a task
that a file of outputs leaves out. A model that could not be asked gave no output: its sample is
failed in the run, and counts as wrong in the rows by category, as the leaderboard counts it.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from evals.agents.executed import Execute, executed
from evals.core import states
from evals.core.log import RunRecord
from evals.core.measures import Measure
from evals.core.runner import Task
from evals.core.samples import Problem
from evals.core.scores import Score
from evals.core.states import State
from evals.tools.judging import judge_calls, judge_output
from evals.tools.reading import Call
from evals.tools.tasks import ToolTask, tool_datasets, tool_task

ACCURACY = "tool call accuracy"
_FORM = "form"  # of what a solver gives: calls, text, or none


@dataclass(slots=True)
class ToolScores:
    """How many outputs of a category are right, and what was wrong with the others."""

    category: str
    tasks: int = 0
    right: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def accuracy(self) -> float:
        """Share of the tasks that are right."""
        return self.right / self.tasks if self.tasks else 0.0

    def add(self, reason: str | None) -> None:
        """Counts a verdict of `judge_output`."""
        self.tasks += 1
        if reason is None:
            self.right += 1
        else:
            self.reasons[reason] += 1

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "category": self.category,
            "tasks": self.tasks,
            "right": self.right,
            "accuracy": round(self.accuracy, 4),
            "wrong_for": dict(self.reasons.most_common()),
        }


def with_output(state: State, output: str | Sequence[Call] | None) -> State:
    """A state with what a model said to its task: text, calls, or nothing at all."""
    if output is None:
        return msgspec.structs.replace(state, data={_FORM: "none"})
    if isinstance(output, str):
        return msgspec.structs.replace(state, output=output, data={_FORM: "text"})
    calls = [states.Call(call.name, dict(call.arguments)) for call in output]
    return msgspec.structs.replace(state, calls=calls, data={_FORM: "calls"})


class RecordedOutputs:
    """A solver that says what was recorded.

    Args:
        outputs: by task, text or, of a model that calls natively, its calls.
        name: of the system.
    """

    def __init__(self, outputs: Mapping[str, str | Sequence[Call]], name: str = "recorded") -> None:
        self._outputs = outputs
        self._name = name

    @property
    def name(self) -> str:
        """As it was given."""
        return self._name

    def config(self) -> dict[str, Any]:
        """What was recorded, as one digest."""
        told = {key: _plain(output) for key, output in self._outputs.items()}
        encoded = json.dumps(told, sort_keys=True, default=str).encode("utf-8", "surrogatepass")
        return {"outputs": hashlib.sha256(encoded).hexdigest()}

    async def __call__(self, state: State, seed: int) -> State:
        """What was recorded of a sample's task; nothing where nothing was."""
        return with_output(state, self._outputs.get(state.sample.id))


class ToolCallAccuracy:
    """Whether an output is the calls that its task asks for, by their syntax tree."""

    name = ACCURACY
    measures = (Measure(ACCURACY, unit="share"),)

    def config(self) -> dict[str, Any]:
        """Nothing can be chosen."""
        return {}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """1 or 0, and why: see `judge_calls`; `unparseable`; `no_output`."""
        reason = _verdict(tool_task(state.sample), state)
        return [Score(ACCURACY, float(reason is None), why=reason or "")]


async def score_outputs(
    tasks: Sequence[ToolTask],
    outputs: Mapping[str, str | Sequence[Call]],
    *,
    problems: Mapping[str, Sequence[Problem]] | None = None,
    execute: Execute = executed,
) -> list[ToolScores]:
    """Scores a model's outputs, one row a category; a task without an output is wrong.

    Args:
        outputs: see `RecordedOutputs`.
        problems: by category, lines of the set or of outputs that could not be used; the run
            keeps them.
        execute: does the tasks of the evaluation.
    """
    solver = RecordedOutputs(outputs)
    made = [
        Task(dataset, solver, (ToolCallAccuracy(),), cached=False)
        for dataset in tool_datasets(tasks, problems)
    ]
    return rows_of(await execute(made))


def rows_of(record: RunRecord) -> list[ToolScores]:
    """The rows of a run that has a task for each category."""
    rows = [ToolScores(header.dataset) for header in record.header.tasks]
    for outcome in record.outcomes:
        row = rows[outcome.task]
        if outcome.failed:
            row.add("no_output")
        for score in outcome.scores:
            if score.name == ACCURACY and score.value is not None:
                row.add(score.why or None)
    return rows


def _verdict(task: ToolTask, state: State) -> str | None:
    match state.data.get(_FORM):
        case "calls":
            return judge_calls(task, [Call(call.tool, call.arguments) for call in state.calls])
        case "none":
            return "no_output"
    return judge_output(task, state.output)


def _plain(output: str | Sequence[Call]) -> Any:
    if isinstance(output, str):
        return output
    return [[call.name, dict(call.arguments)] for call in output]
