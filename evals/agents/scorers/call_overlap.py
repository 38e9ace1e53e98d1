"""Precision and recall of the calls that were made against those that a sample expects.

Of calls and expected ones, the most that fit are paired. Precision is their share of the calls that
were made, and has no score where none was; recall is their share of those expected, and has none
where none is.
"""

from collections.abc import Sequence
from typing import Any

from evals.agents.matching import expected_calls, matched
from evals.core.measures import Measure
from evals.core.scores import Score
from evals.core.states import State


class CallOverlap:
    """See this module."""

    name = "calls"
    measures = (Measure("call precision", unit="share"), Measure("call recall", unit="share"))

    def config(self) -> dict[str, Any]:
        """Nothing can be chosen."""
        return {}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """Both, as far as they apply."""
        rows = state.sample.data.get("calls")
        if rows is None:
            return []
        both = matched(state.calls, expected_calls(rows))
        told = {"matched": both, "made": len(state.calls), "expected": len(rows)}
        scores = []
        if state.calls:
            scores.append(Score("call precision", both / len(state.calls), data=told))
        if rows:
            scores.append(Score("call recall", both / len(rows), data=told))
        return scores
