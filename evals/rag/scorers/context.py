"""Context precision and recall: whether what was found is what the answer stands in.

What always holds: documents count once, by their best passage. Without a gold document known there
is no score, and a question that nothing answers has none. Adding documents below never lowers
recall.
"""

from collections.abc import Collection, Sequence
from typing import Any

from evals.core.measures import Measure
from evals.core.scores import Score
from evals.core.states import State
from evals.rag.samples import gold_documents, is_answerable


class Context:
    """Precision weighted by rank, recall, and whether a gold document is found first.

    Precision is the mean of the precision at each place that has a gold document, 0 if none has:
    1 where all gold ones stand before all others. A system that does not search gets no score.
    """

    name = "context"

    @property
    def measures(self) -> Sequence[Measure]:
        """Three."""
        return (
            Measure("context precision", unit="share"),
            Measure("context recall", unit="share"),
            Measure("passage hit@1", unit="share"),
        )

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        return {}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`."""
        gold = gold_documents(state.sample)
        if not gold or not is_answerable(state.sample) or not searches(state):
            return ()
        found = list(dict.fromkeys(passage.document for passage in state.passages))
        return (
            Score("context precision", ranked_precision([one in gold for one in found])),
            Score("context recall", recall_at(found, gold, len(found))),
            Score("passage hit@1", float(bool(found) and found[0] in gold)),
        )


def searches(state: State) -> bool:
    """Whether the system is one that finds passages, also if it found none."""
    return bool(state.passages) or "mode" in state.data


def ranked_precision(useful: Sequence[bool]) -> float:
    """Mean of the precision at each useful place; 0 if there is none."""
    precisions = [sum(useful[:at]) / at for at, one in enumerate(useful, 1) if one]
    return sum(precisions) / len(precisions) if precisions else 0.0


def recall_at(found: Sequence[str], gold: Collection[str], k: int) -> float:
    """Share of gold documents among the first k."""
    return len(set(found[:k]) & set(gold)) / len(set(gold))
