"""Exact match: whether the answer is one of the right ones, word by word."""

from collections.abc import Sequence
from typing import Any

from evals.core.measures import Measure
from evals.core.scores import Score
from evals.core.states import State
from evals.rag.text import normalize_answer


class ExactMatch:
    """1 if the answer equals a target after SQuAD's normalisation, else 0.

    An answer that says that there is none is wrong; without a target there is no score.
    """

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
        targets = state.sample.targets
        if not targets:
            return ()
        said = normalize_answer(state.output)
        is_one = not state.abstained and any(said == normalize_answer(one) for one in targets)
        return (Score(self.name, float(is_one)),)
