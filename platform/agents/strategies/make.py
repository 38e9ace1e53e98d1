"""Strategies by the names that people choose them by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import msgspec

from rostra.agents.errors import UnknownStrategy
from rostra.agents.memory.short import Window
from rostra.agents.strategies.agentic_rag import AgenticRAG
from rostra.agents.strategies.plan_execute import PlanExecute
from rostra.agents.strategies.react import ReAct
from rostra.agents.strategies.rewoo import ReWOO
from rostra.agents.strategies.self_consistency import MOST_SAMPLES, SelfConsistent
from rostra.agents.strategies.steps import MOST_CALLS, LaidOut
from rostra.agents.strategies.strategy import Strategy
from rostra.agents.strategies.toolbox import Chooser
from rostra.core import InvalidRequest


class StrategyOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a user can say of any strategy; what does not concern one is ignored by it.

    Attributes:
        native: the model calls tools in its own format instead of our JSON.
        require_evidence: an answer may only claim what it cites a sentence for.
        samples: how many answers are drawn, side by side, of which most agree on the one that is
            given; they share the steps, and have only tools that read.
    """

    native: bool = False
    require_evidence: bool = False
    samples: Annotated[int, msgspec.Meta(ge=1, le=MOST_SAMPLES)] = 1


@dataclass(frozen=True, slots=True)
class Means:
    """What strategies work with, beside what users say.

    Attributes:
        chooser: picks among more tools than a prompt holds; None goes by shared words.
        window: how much of a long conversation stays; None is all of it.
        steps: of the run's budget: a strategy that knows its last step can answer in it.
        calls: in one step, side by side, at most.
        laid_out: how answers are, of a model that does not choose it.
    """

    chooser: Chooser | None = None
    window: Window | None = None
    steps: int = 20
    calls: int = MOST_CALLS
    laid_out: LaidOut | None = None


def _react(options: StrategyOptions, means: Means, most: int = 20, model: str = "main") -> ReAct:
    return ReAct(
        native=options.native,
        most_steps=min(most, means.steps),
        most_calls=means.calls,
        chooser=means.chooser,
        window=means.window,
        require_evidence=options.require_evidence,
        laid_out=means.laid_out,
        model=model,
    )


_MAKERS: Mapping[str, Callable[[StrategyOptions, Means], Strategy]] = {
    "react": lambda options, means: _react(options, means, means.steps),
    "plan": lambda options, means: PlanExecute(executor=_react(options, means, 6, "executor")),
    "rewoo": lambda options, means: ReWOO(
        chooser=means.chooser,
        window=means.window,
        require_evidence=options.require_evidence,
    ),
    "rag": lambda options, means: AgenticRAG(react=_react(options, means, 8), checker="judge"),
}
STRATEGIES = tuple(_MAKERS)


def make_strategy(
    name: str, options: Mapping[str, Any] | None = None, means: Means | None = None
) -> Strategy:
    """The strategy of a name.

    Args:
        options: fields of `StrategyOptions`.

    Raises:
        UnknownStrategy: there is none of this name.
        InvalidRequest: an option that there is not, or of a wrong kind; fewer steps than samples.
    """
    make = _MAKERS.get(name)
    if make is None:
        raise UnknownStrategy(
            f"there is no strategy {name!r}",
            hint=f"Strategies: {', '.join(STRATEGIES)}.",
            field="strategy",
        )
    try:
        read = msgspec.convert(dict(options or {}), StrategyOptions)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"options: {error}", field="options") from None
    means = means or Means()
    if read.samples == 1:
        return make(read, means)
    if means.steps < read.samples:
        raise InvalidRequest(
            f"options: {read.samples} samples need at least as many steps, not {means.steps}",
            field="options",
        )
    part = means.steps // read.samples
    return SelfConsistent(make(read, replace(means, steps=part)), read.samples, steps=part)


def several_samples(options: Mapping[str, Any]) -> bool:
    """Whether a strategy of these options draws more than one answer."""
    samples = options.get("samples", 1)
    return isinstance(samples, int) and samples > 1
