"""Abstention: does the system say that there is no answer where there is none, and only there?

What always holds: each measure is a mean over the samples that it applies to, so precision has a
value only where the system abstained and recall only where nothing answers; their F1 is made of the
two means, in the report.
"""

from collections.abc import Sequence
from typing import Any

from evals.core.measures import Measure
from evals.core.scores import Score
from evals.core.states import State
from evals.rag.samples import is_answerable


class Abstention:
    """Precision and recall of `not found`, and how often the system was right to speak or not."""

    name = "abstention"

    @property
    def measures(self) -> Sequence[Measure]:
        """Three."""
        return (
            Measure("abstention precision", unit="share"),
            Measure("abstention recall", unit="share"),
            Measure("abstention accuracy", unit="share"),
        )

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        return {}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`."""
        is_right = state.abstained is not is_answerable(state.sample)
        scores = [Score("abstention accuracy", float(is_right))]
        if state.abstained:
            scores.append(Score("abstention precision", float(is_right)))
        if not is_answerable(state.sample):
            scores.append(Score("abstention recall", float(state.abstained)))
        return scores


def abstention_f1(precision: float | None, recall: float | None) -> float | None:
    """F1 of two means; None where one of them is missing, 0 if both are 0."""
    if precision is None or recall is None:
        return None
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
