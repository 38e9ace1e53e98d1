"""Strategies side by side on the same tasks: steps, model tokens, tool calls and wall time.

What a strategy pays for is what it sends again. With `n` calls, observations of `O` tokens, steps
of `A` and an opening prompt of `P`:

- ReAct asks n + 1 times and sends all that was said so far each time, so ask k holds P + k (A + O),
  k = 0 .. n. With the answer F, all tokens are (n + 1) P + (A + O) n (n + 1) / 2 + n A + F.
- ReWOO asks twice: for a plan of p + q n tokens, and for the answer from what all calls gave, each
  observation once with its goal, o. All tokens are P' + p + q n + S + o n + F.
- Plan-and-Execute asks for a plan, for each step three times (call, result, check), and for the
  answer; no ask holds more than one observation and the findings of the steps before that it
  needs. All tokens are linear in n, as of ReWOO.

So ReAct grows with n squared and the others with n; the ratio of ReAct to ReWOO tends to
(A + O) n / (2 (q + o)), and, of observations alone, is (n + 1) / 2. What always holds for the
predictions here: P, A, O, F, and the two coefficients of each linear form, are taken from the two
shortest lengths; the others are predicted.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

from evals.agents.chains import (
    Chain,
    chain_dataset,
    chain_model,
    chain_of,
    chain_tools,
    make_chains,
)
from evals.agents.executed import Execute, executed
from evals.agents.runs import local_tools, setting
from evals.agents.scorers.effort import Effort
from evals.agents.solver import AgentSolver, Assignment
from evals.core.log import Outcome, RunRecord
from evals.core.measures import Measure
from evals.core.runner import Task
from evals.core.samples import Sample
from evals.core.scores import Score
from evals.core.states import State
from rostra.agents import Budget, Limits, RunRequest, make_strategy

COMPARED = ("react", "plan", "rewoo")
_BUDGET = Budget(steps=100, calls=100)
_LIMITS = Limits(observation=10_000)


@dataclass(frozen=True, slots=True)
class Row:
    """A strategy on one task.

    Attributes:
        steps: questions to models.
        tokens: of models, prompts and answers.
        right: whether the answer holds the value and cites a sentence that does.
    """

    strategy: str
    length: int
    steps: int
    tokens: int
    calls: int
    seconds: float
    right: bool


@dataclass(frozen=True, slots=True)
class Ratio:
    """Tokens of ReAct over those of another strategy, at one length; means over its tasks.

    Attributes:
        closed: the ratio by the closed forms; measured where these take their coefficients.
    """

    length: int
    other: str
    react: float
    tokens: float
    closed: float

    @property
    def measured(self) -> float:
        return self.react / self.tokens


@dataclass(slots=True)
class StrategyReport:
    """All rows, and what follows from them."""

    rows: list[Row] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)

    @classmethod
    def of(cls, record: RunRecord) -> "StrategyReport":
        """The report of a run that has a task for each strategy; failed samples are left out."""
        names = [header.solver for header in record.header.tasks]
        done = [outcome for outcome in record.outcomes if not outcome.failed]
        rows = [_row(names[outcome.task], outcome) for outcome in done]
        shortest = min((row.length for row in rows), default=0)
        usages = next(
            (
                outcome.state.data["usages"]
                for row, outcome in zip(rows, done, strict=True)
                if (row.strategy, row.length) == (COMPARED[0], shortest)
            ),
            None,
        )
        return cls(rows, _ratios(rows, usages))

    def summary(self) -> list[dict[str, Any]]:
        """One line a strategy: sums over the tasks, and the mean of a task's wall time."""
        by_name: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            by_name[row.strategy].append(row)
        return [
            {
                "strategy": name,
                "tasks": len(rows),
                "right": sum(row.right for row in rows),
                "steps": sum(row.steps for row in rows),
                "tokens": sum(row.tokens for row in rows),
                "calls": sum(row.calls for row in rows),
                "ms_per_task": round(1000 * mean(row.seconds for row in rows), 2),
            }
            for name, rows in by_name.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "strategies": self.summary(),
            "ratios": [
                {
                    "length": each.length,
                    "other": each.other,
                    "react_tokens": round(each.react, 1),
                    "other_tokens": round(each.tokens, 1),
                    "ratio": round(each.measured, 3),
                    "closed_form": round(each.closed, 3),
                    "observations_alone": (each.length + 1) / 2,
                }
                for each in self.ratios
            ],
        }


class ChainAnswered:
    """Whether the answer has the value asked for, and cites a sentence that has it too."""

    name = "right"
    measures = (Measure("right", unit="share"),)

    def config(self) -> dict[str, Any]:
        """Nothing can be chosen."""
        return {}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """1 or 0."""
        (value,) = state.sample.targets
        right = any(
            value in state.claims[cited["claim"]] and value in cited["quote"]
            for cited in state.data["evidence"]
        )
        return [Score("right", float(right))]


async def compare_strategies(
    chains: Sequence[Chain] | None = None, *, execute: Execute = executed
) -> StrategyReport:
    """Runs every strategy on every task.

    Args:
        chains: by default the twenty; ratios need two lengths.
        execute: does the tasks of the evaluation. Wall times are only worth something where it
            does one sample after the other.
    """
    dataset = chain_dataset(make_chains() if chains is None else chains)
    scorers = (ChainAnswered(), Effort())
    # What is measured is this program; nothing of another version may come out of a cache.
    made = [Task(dataset, _solver(name), scorers, cached=False) for name in COMPARED]
    return StrategyReport.of(await execute(made))


def _solver(name: str) -> AgentSolver:
    @asynccontextmanager
    async def assign(sample: Sample, seed: int) -> AsyncIterator[Assignment]:
        tools = await local_tools(chain_tools([chain_of(sample)]))
        given = setting({"main": chain_model()}, tools, make_strategy(name), limits=_LIMITS)
        yield Assignment(RunRequest(task=sample.input, strategy=name, budget=_BUDGET), given)

    return AgentSolver(name, assign, {"strategy": name, "model": "script of chains"})


def _row(name: str, outcome: Outcome) -> Row:
    state = outcome.state
    scores = {score.name: score.value for score in outcome.scores}
    return Row(
        name,
        state.sample.data["length"],
        state.steps,
        state.usage.prompt_tokens + state.usage.completion_tokens,
        len(state.calls),
        outcome.seconds,
        scores.get("right") == 1.0,
    )


def _ratios(rows: Sequence[Row], usages: Sequence[Sequence[int]] | None) -> list[Ratio]:
    """Ratios at the lengths that every strategy has a task of.

    Args:
        usages: tokens of the questions and answers of one ReAct run of the shortest length.
    """
    by_place: dict[tuple[str, int], list[int]] = defaultdict(list)
    for row in rows:
        by_place[row.strategy, row.length].append(row.tokens)
    means = {place: mean(tokens) for place, tokens in by_place.items()}
    react, *others = COMPARED
    lengths = sorted({row.length for row in rows})
    lengths = [each for each in lengths if all((name, each) in means for name in COMPARED)]
    if not lengths or usages is None:
        return []
    quadratic = react_form(usages)
    found = []
    for other in others:
        linear = _line(lengths[:2], [means[other, length] for length in lengths[:2]])
        for length in lengths:
            closed = quadratic(length) / linear(length)
            found.append(Ratio(length, other, means[react, length], means[other, length], closed))
    return found


def react_form(usages: Sequence[Sequence[int]]) -> Callable[[int], float]:
    """ReAct's tokens by the number of calls, its constants read off one run.

    Args:
        usages: of that run, tokens of the prompt and of the answer of each question.
    """
    (opening, step), (second, _), *_ = usages
    growth = second - opening  # A + O
    final = usages[-1][1]

    def tokens(calls: int) -> float:
        resent = growth * calls * (calls + 1) / 2
        return float((calls + 1) * opening + resent + calls * step + final)

    return tokens


def _line(lengths: Sequence[int], tokens: Sequence[float]) -> Callable[[int], float]:
    slope = (tokens[1] - tokens[0]) / (lengths[1] - lengths[0]) if len(lengths) > 1 else 0.0
    return lambda length: tokens[0] + slope * (length - lengths[0])
