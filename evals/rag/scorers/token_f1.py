"""Token F1: how many words the answer shares with the closest right one."""

from collections.abc import Sequence
from typing import Any

from evals.core.measures import Measure
from evals.core.scores import Score
from evals.core.states import State
from evals.rag.text import token_f1, words_of


class TokenF1:
    """F1 of the answer's words and the closest target's, after SQuAD's normalisation.

    An answer that says that there is none has 0; without a target there is no score.
    """

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
        targets = state.sample.targets
        if not targets:
            return ()
        if state.abstained:
            return (Score(self.name, 0.0, why="said that there is no answer"),)
        said = words_of(state.output)
        return (Score(self.name, max(token_f1(said, words_of(one)) for one in targets)),)
