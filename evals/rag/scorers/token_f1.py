"""Token F1: the words that the answer shares with the closest right one, as SQuAD counts them."""

from collections.abc import Sequence
from typing import Any

from evals.core.measures import Measure
from evals.core.scores import Score
from evals.core.states import State
from evals.rag.scorers.closest_target import closest_target
from evals.rag.text import token_f1, words_of


class TokenF1:
    """F1 of the answer's words and the closest target's; see `closest_target`."""

    name = "token f1"

    @property
    def measures(self) -> Sequence[Measure]:
        """One."""
        return (Measure(self.name, unit="score"),)

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        return {"normalisation": "SQuAD"}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`."""
        return closest_target(self.name, state, _likeness)


def _likeness(answer: str, target: str) -> float:
    return token_f1(words_of(answer), words_of(target))
