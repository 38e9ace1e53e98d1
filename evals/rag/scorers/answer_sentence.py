"""Answer-sentence accuracy: whether the sentence chosen first is one that annotators chose."""

from collections.abc import Sequence
from typing import Any

from evals.core.measures import Measure
from evals.core.scores import Score
from evals.core.states import State
from evals.rag.samples import gold_sentences, is_answerable
from evals.solvers.ask import BEST


class AnswerSentence:
    """1 if the most telling citation covers a sentence of some annotation; `not found` has 0.

    Systems that do not say which citation that is, and questions without chosen sentences, get no
    score.
    """

    name = "answer sentence"

    @property
    def measures(self) -> Sequence[Measure]:
        """One."""
        return (Measure(self.name, unit="share"),)

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        return {}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`."""
        answers = gold_sentences(state.sample)
        if not answers or not is_answerable(state.sample) or BEST not in state.data:
            return ()
        told = {(str(document), int(at)) for document, at in state.data[BEST]}
        return (Score(self.name, float(any(told & answer for answer in answers))),)
