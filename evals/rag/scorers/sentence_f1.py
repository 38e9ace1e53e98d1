"""Sentence F1: whether the sentences cited are those that annotators chose."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from evals.core.measures import Measure
from evals.core.scores import Score
from evals.core.states import State
from evals.rag.samples import SentenceId, gold_sentences, is_answerable


class SentenceF1:
    """F1 of the cited sentences and the closest annotation's.

    The system says which sentences it cites, those that its citations cover by more than half; one
    that does not, and a question without chosen sentences, get no score. `not found` has 0.
    """

    name = "sentence f1"

    @property
    def measures(self) -> Sequence[Measure]:
        """One."""
        return (Measure(self.name, unit="score"),)

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        return {}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`."""
        answers = gold_sentences(state.sample)
        if not answers or not is_answerable(state.sample) or "sentences" not in state.data:
            return ()
        cited = {(str(document), int(at)) for document, at in state.data["sentences"]}
        return (Score(self.name, sentence_f1(cited, answers)),)


def sentence_f1(
    predicted: Collection[SentenceId], answers: Iterable[Collection[SentenceId]]
) -> float:
    """F1 of a set of sentences against the closest annotation."""
    best = 0.0
    for answer in answers:
        shared = len(set(predicted) & set(answer))
        if shared:
            best = max(best, 2 * shared / (len(predicted) + len(answer)))
    return best
