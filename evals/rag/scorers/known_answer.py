"""How like the answer is to the closest right one: word by word, or in words that they share."""

from collections.abc import Sequence
from typing import Any

from evals.core.measures import Measure
from evals.core.scores import Score
from evals.core.states import State
from evals.rag.text import normalize_answer, token_f1, words_of


class KnownAnswer:
    """The greatest likeness of an answer to one of the targets, after SQuAD's normalisation.

    An answer that says that there is none has 0; without a target there is no score.
    """

    name: str
    unit: str

    @property
    def measures(self) -> Sequence[Measure]:
        """One."""
        return (Measure(self.name, unit=self.unit),)

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        return {"normalisation": "SQuAD"}

    def likeness(self, answer: str, target: str) -> float:
        """0 to 1."""
        raise NotImplementedError

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`."""
        targets = state.sample.targets
        if not targets:
            return ()
        if state.abstained:
            return (Score(self.name, 0.0, why="said that there is no answer"),)
        return (Score(self.name, max(self.likeness(state.output, one) for one in targets)),)


class ExactMatch(KnownAnswer):
    """1 if the answer equals a target, else 0."""

    name = "exact match"
    unit = "share"

    def likeness(self, answer: str, target: str) -> float:
        """Whether they are equal."""
        return float(normalize_answer(answer) == normalize_answer(target))


class TokenF1(KnownAnswer):
    """F1 of the answer's words and the closest target's."""

    name = "token f1"
    unit = "score"

    def likeness(self, answer: str, target: str) -> float:
        """F1 of their words."""
        return token_f1(words_of(answer), words_of(target))
