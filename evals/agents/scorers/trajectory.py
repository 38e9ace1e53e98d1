"""Were the calls made that a sample expects, and in the order in which it expects them?

`exact`: these calls, in this order, and no others. `in order`: all of them in this order, others
between them allowed. `any order`: all of them, whatever else. A sample without expected calls has
no score; where no call at all is right, only `exact` has one, since anything contains nothing.
"""

from collections.abc import Sequence
from typing import Any, Literal

from evals.agents.matching import expected_calls, is_exactly, is_in_order, matched
from evals.core.measures import Measure
from evals.core.scores import Score
from evals.core.states import State

Order = Literal["exact", "in order", "any order"]


class TrajectoryMatch:
    """See this module."""

    def __init__(self, order: Order) -> None:
        self._order: Order = order
        self.name = f"trajectory {order}"
        self.measures = (Measure(self.name, unit="share"),)

    def config(self) -> dict[str, Any]:
        """Which order."""
        return {"order": self._order}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """1 or 0."""
        rows = state.sample.data.get("calls")
        if rows is None or (not rows and self._order != "exact"):
            return []
        gold = expected_calls(rows)
        match self._order:
            case "exact":
                right = is_exactly(state.calls, gold)
            case "in order":
                right = is_in_order(state.calls, gold)
            case "any order":
                right = matched(state.calls, gold) == len(gold)
        made = ", ".join(call.tool for call in state.calls)
        return [Score(self.name, float(right), why=f"made: {made or 'none'}")]
