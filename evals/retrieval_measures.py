"""How good a ranking is: nDCG, recall, precision, MRR and MAP of each query, by ir-measures.

What always holds: documents are ranked by their best chunk, and by place, never by score; every
query with a ranking has all measures, one that finds nothing 0; the measures are trec_eval's, so
that precision at k divides by k, and recall by all that is judged relevant.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import ir_measures
from ir_measures import AP, RR, P, R, nDCG

from evals.beir import RELEVANT
from evals.core.measures import Measure
from evals.core.scores import Score
from evals.core.states import State

K = 10
DEPTH = 100


class RankingScorer:
    """See this module.

    Args:
        k: places that nDCG, precision and MRR look at.
        depth: places that recall and MAP look at.
    """

    name = "ranking"

    def __init__(self, k: int = K, depth: int = DEPTH) -> None:
        self._asked = {
            f"ndcg@{k}": nDCG @ k,
            f"recall@{depth}": R @ depth,
            f"precision@{k}": P @ k,
            f"mrr@{k}": RR @ k,
            f"map@{depth}": AP @ depth,
        }

    @property
    def measures(self) -> Sequence[Measure]:
        """Means over queries."""
        return tuple(Measure(name, unit="score") for name in self._asked)

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        return {"measures": {name: str(measure) for name, measure in self._asked.items()}}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer`."""
        ranking = [passage.document for passage in state.passages]
        values = self.values(state.sample.data[RELEVANT], ranking)
        return [Score(name, value) for name, value in values.items()]

    def values(self, relevant: Mapping[str, int], ranking: Sequence[str]) -> dict[str, float]:
        """The measures of one query.

        Args:
            relevant: relevance by document.
            ranking: documents, best first; of one that is there twice the first place counts.
        """
        placed = {document: -float(at) for at, document in enumerate(dict.fromkeys(ranking))}
        found = ir_measures.iter_calc(
            list(self._asked.values()), {"": dict(relevant)}, {"": placed}
        )
        by_measure = {metric.measure: float(metric.value) for metric in found}
        return {name: by_measure[measure] for name, measure in self._asked.items()}
