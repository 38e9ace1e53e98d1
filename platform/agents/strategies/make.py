"""Strategies by the names that people choose them by."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from rostra.agents.errors import UnknownStrategy
from rostra.agents.strategies.agentic_rag import AgenticRAG
from rostra.agents.strategies.plan_execute import PlanExecute
from rostra.agents.strategies.react import ReAct
from rostra.agents.strategies.rewoo import ReWOO
from rostra.agents.strategies.strategy import Strategy
from rostra.agents.strategies.toolbox import Chooser
from rostra.core import InvalidRequest


class StrategyOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a user can say of any strategy; what does not concern one is ignored by it.

    Attributes:
        native: the model calls tools in its own format instead of our JSON.
    """

    native: bool = False


def _react(options: StrategyOptions, chooser: Chooser | None, executor: str = "main") -> ReAct:
    return ReAct(native=options.native, chooser=chooser, model=executor)


_MAKERS: Mapping[str, Callable[[StrategyOptions, Chooser | None], Strategy]] = {
    "react": _react,
    "plan": lambda options, chooser: PlanExecute(executor=_react(options, chooser, "executor")),
    "rewoo": lambda options, chooser: ReWOO(chooser=chooser),
    "rag": lambda options, chooser: AgenticRAG(react=_react(options, chooser)),
}
STRATEGIES = tuple(_MAKERS)


def make_strategy(
    name: str, options: Mapping[str, Any] | None = None, *, chooser: Chooser | None = None
) -> Strategy:
    """The strategy of a name.

    Args:
        options: fields of `StrategyOptions`.
        chooser: picks among more tools than a prompt holds.

    Raises:
        UnknownStrategy: there is none of this name.
        InvalidRequest: an option that there is not, or of a wrong kind.
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
    return make(read, chooser)
