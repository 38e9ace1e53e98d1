"""Exact match: whether the answer is one of the right ones, after SQuAD's normalisation."""

from collections.abc import Sequence
from typing import Any

from evals.core.measures import Measure
from evals.core.scores import Score
from evals.core.states import State
from evals.rag.scorers.closest_target import closest_target
from evals.rag.text import normalize_answer


class ExactMatch:
    """1 if the answer equals a target, else 0; see `closest_target`."""

    name = "exact match"

    @property
    def measures(self) -> Sequence[Measure]:
        """One."""
        return (Measure(self.name, unit="share"),)

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        return {"normalisation": "SQuAD"}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`."""
        return closest_target(self.name, state, _likeness)


def _likeness(answer: str, target: str) -> float:
    return float(normalize_answer(answer) == normalize_answer(target))
