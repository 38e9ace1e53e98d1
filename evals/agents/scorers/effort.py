"""What a run took: questions to models, calls of tools, tokens and cost."""

from collections.abc import Sequence
from typing import Any

from evals.core.measures import Better, Measure
from evals.core.scores import Score
from evals.core.states import State


class Effort:
    """See this module; less of each is better.

    Cost is in the currency of the model's prices, and has no score where the model has none.
    """

    name = "effort"
    measures = tuple(
        Measure(name, better=Better.LOWER) for name in ("steps", "tool calls", "tokens", "cost")
    )

    def config(self) -> dict[str, Any]:
        """Nothing can be chosen."""
        return {}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """All four, as far as they are known."""
        usage = state.usage
        guess = {"estimated": True} if usage.estimated else {}
        scores = [
            Score("steps", float(state.steps)),
            Score("tool calls", float(len(state.calls))),
            Score("tokens", float(usage.prompt_tokens + usage.completion_tokens), data=guess),
        ]
        if usage.cost:
            scores.append(Score("cost", usage.cost, data=guess))
        return scores
