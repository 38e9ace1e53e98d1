"""Search as a solver: a query in, documents out, each by its best chunk."""

from typing import Any

import msgspec

from evals.core.states import Passage, State
from evals.solvers.facts import search_facts
from rostra.retrieval import SearchMode, SearchRequest
from rostra.runtime import Runtime


class SearchSolver:
    """One mode of the platform's search over one collection.

    Args:
        runtime: of a workspace; see `open_workspace`.
        collection: searched in, by name.
        digest: of its documents.
        mode: which sides find candidates.
        rerank: read the best hits with the reranker.
        k: documents.
    """

    def __init__(
        self,
        runtime: Runtime,
        collection: str,
        digest: str,
        mode: SearchMode,
        *,
        rerank: bool = False,
        k: int = 100,
    ) -> None:
        self._searcher = runtime.searcher
        self._collection = collection
        self._mode = mode
        self._rerank = rerank
        self._k = k
        facts = search_facts(runtime, rerank=rerank)
        self._config = {"corpus": digest, "mode": str(mode), "rerank": rerank, "k": k} | facts

    @property
    def name(self) -> str:
        """The mode, or `reranked`."""
        return "reranked" if self._rerank else str(self._mode)

    def config(self) -> dict[str, Any]:
        """See `Solver.config`."""
        return self._config

    async def __call__(self, state: State, seed: int) -> State:
        """See `Solver`."""
        found = await self._searcher.search(
            SearchRequest(
                state.sample.input,
                (self._collection,),
                k=self._k,
                mode=self._mode,
                rerank=self._rerank,
                per_document=1,
            )
        )
        # Without texts: rankings are long, and measured by documents alone.
        passages = [Passage(hit.uri, score=hit.score) for hit in found.hits]
        return msgspec.structs.replace(state, passages=passages)
