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

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

from evals.agents.chains import Chain, chain_model, chain_tools, make_chains
from evals.agents.runs import RunLogged, Setting, local_tools, run_once
from rostra.agents import (
    Budget,
    Limits,
    ModelAnswered,
    ModelAsked,
    RunEnded,
    RunRequest,
    ToolStarted,
    make_strategy,
)

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


async def compare_strategies(
    chains: Sequence[Chain] | None = None,
    *,
    on_run: Callable[[int, int], None] = lambda done, total: None,
) -> StrategyReport:
    """Runs every strategy on every task.

    Args:
        chains: of at least two lengths; by default the twenty.
        on_run: called with the number done and the total.
    """
    tasks = make_chains() if chains is None else chains
    tools = await local_tools(chain_tools(tasks))
    report = StrategyReport()
    logs: dict[str, dict[int, list[RunLogged]]] = defaultdict(lambda: defaultdict(list))
    for name in COMPARED:
        for chain in tasks:
            setting = Setting({"main": chain_model()}, tools, make_strategy(name), limits=_LIMITS)
            request = RunRequest(task=chain.task, strategy=name, budget=_BUDGET)
            began = time.perf_counter()
            logged = await run_once(request, setting)
            seconds = time.perf_counter() - began
            report.rows.append(_row(name, chain, logged, seconds))
            logs[name][chain.length].append(logged)
            on_run(len(report.rows), len(COMPARED) * len(tasks))
    report.ratios = _ratios(report.rows, logs)
    return report


def _row(name: str, chain: Chain, logged: RunLogged, seconds: float) -> Row:
    last = logged.last
    answer = last.answer if isinstance(last, RunEnded) else None
    right = answer is not None and any(
        chain.value in claim.text and any(chain.value in cited.quote for cited in claim.evidence)
        for claim in answer.claims
    )
    return Row(
        name,
        chain.length,
        len(logged.of(ModelAsked)),
        sum(_tokens(logged)),
        len(logged.of(ToolStarted)),
        seconds,
        right,
    )


def _tokens(logged: RunLogged) -> list[int]:
    answers = logged.of(ModelAnswered)
    return [each.usage.prompt_tokens + each.usage.completion_tokens for each in answers]


def _ratios(
    rows: Sequence[Row], logs: Mapping[str, Mapping[int, Sequence[RunLogged]]]
) -> list[Ratio]:
    names = list(dict.fromkeys(row.strategy for row in rows))
    lengths = sorted({row.length for row in rows})
    means = {
        (name, length): mean(
            row.tokens for row in rows if row.strategy == name and row.length == length
        )
        for name in names
        for length in lengths
    }
    react, *others = names
    quadratic = react_form(logs[react][lengths[0]][0])
    found = []
    for other in others:
        linear = _line(lengths[:2], [means[other, length] for length in lengths[:2]])
        for length in lengths:
            closed = quadratic(length) / linear(length)
            found.append(Ratio(length, other, means[react, length], means[other, length], closed))
    return found


def react_form(logged: RunLogged) -> Callable[[int], float]:
    """ReAct's tokens by the number of calls, its constants read off one run."""
    usages = [each.usage for each in logged.of(ModelAnswered)]
    opening, step = usages[0].prompt_tokens, usages[0].completion_tokens
    growth = usages[1].prompt_tokens - opening  # A + O
    final = usages[-1].completion_tokens

    def tokens(calls: int) -> float:
        resent = growth * calls * (calls + 1) / 2
        return float((calls + 1) * opening + resent + calls * step + final)

    return tokens


def _line(lengths: Sequence[int], tokens: Sequence[float]) -> Callable[[int], float]:
    slope = (tokens[1] - tokens[0]) / (lengths[1] - lengths[0]) if len(lengths) > 1 else 0.0
    return lambda length: tokens[0] + slope * (length - lengths[0])
