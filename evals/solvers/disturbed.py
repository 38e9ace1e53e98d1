"""Search that puts what it found in another order, or adds passages that do not answer.

What always holds: nothing that plain search gives is lost, chance comes from the seed alone, and
passages keep their scores, so that only their order and their company change.
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any

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
        self._changed: dict[tuple[Any, ...], bool] = {}

    async def search(self, request: SearchRequest) -> SearchResult:
        """As `Searcher.search`, disturbed."""
        found = await super().search(request)
        if self._disturbance is not Disturbance.DISTRACTORS:
            hits = self._reordered(found.hits)
        else:
            hits = await self._with_others(request, found.hits)
        self._changed[_ids(hits)] = _ids(hits) != _ids(found.hits)
        return replace(found, hits=hits)

    def has_changed(self, hits: Sequence[Hit]) -> bool:
        """Whether hits that it gave are others than plain search's, or in another order.

        Chance may leave an order as it was, and there may be nothing to add.
        """
        return self._changed.get(_ids(hits), False)

    async def _with_others(self, request: SearchRequest, found: list[Hit]) -> list[Hit]:
        # More than are needed, as some of those that come next may be gold.
        further = await super().search(replace(request, k=min(self._most, 4 * request.k)))
        hits = list(found)
        there = {hit.chunk_id for hit in hits}
        others = [
            hit for hit in further.hits if hit.chunk_id not in there and hit.uri not in self._gold
        ]
        for hit in others[: request.k]:
            hits.insert(self._random.randint(0, len(hits)), hit)
        return hits

    def _reordered(self, hits: list[Hit]) -> list[Hit]:
        if self._disturbance is Disturbance.REVERSED:
            return hits[::-1]
        return self._random.sample(hits, len(hits))


def _ids(hits: Sequence[Hit]) -> tuple[Any, ...]:
    return tuple(hit.chunk_id for hit in hits)
