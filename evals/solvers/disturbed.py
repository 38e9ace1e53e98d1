"""Search that puts what it found in another order, or adds passages that do not answer.

What always holds: nothing that plain search gives is lost, chance comes from the seed alone, and
passages keep their scores, so that only their order and their company change.
"""

import random
from collections.abc import Collection
from dataclasses import replace
from enum import StrEnum

from rostra.retrieval import Hit, Searcher, SearchRequest, SearchResult
from rostra.runtime import Runtime


class Disturbance(StrEnum):
    """What is done to the passages.

    DISTRACTORS adds as many again as there are, at random places: those that search ranks next and
    that are of no document with the answer.
    """

    DISTRACTORS = "+distractors"
    SHUFFLED = "shuffled"
    REVERSED = "reversed"


class DisturbedSearcher(Searcher):
    """See this module; for one question.

    Args:
        gold: documents with the answer, of which no distractor is taken.
    """

    def __init__(
        self, runtime: Runtime, disturbance: Disturbance, gold: Collection[str], seed: int
    ) -> None:
        super().__init__(
            runtime.database,
            runtime.indexes,
            runtime.embedder,
            runtime.settings,
            runtime.reranker,
        )
        self._disturbance = disturbance
        self._gold = frozenset(gold)
        self._random = random.Random(seed)
        self._most = runtime.settings.max_k

    async def search(self, request: SearchRequest) -> SearchResult:
        """As `Searcher.search`, disturbed."""
        found = await super().search(request)
        if self._disturbance is not Disturbance.DISTRACTORS:
            return replace(found, hits=self._reordered(found.hits))
        # More than are needed, as some of those that come next may be gold.
        further = await super().search(replace(request, k=min(self._most, 4 * request.k)))
        hits = list(found.hits)
        there = {hit.chunk_id for hit in hits}
        others = [
            hit for hit in further.hits if hit.chunk_id not in there and hit.uri not in self._gold
        ]
        for hit in others[: request.k]:
            hits.insert(self._random.randint(0, len(hits)), hit)
        return replace(found, hits=hits)

    def _reordered(self, hits: list[Hit]) -> list[Hit]:
        if self._disturbance is Disturbance.REVERSED:
            return hits[::-1]
        return self._random.sample(hits, len(hits))
