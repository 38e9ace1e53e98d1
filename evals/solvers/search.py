"""Search as a solver: a query in, documents out, each by its best chunk."""

from typing import Any

import msgspec

from evals.core.states import Passage, State
from evals.solvers.facts import search_facts
from rostra.retrieval import Searcher, SearchMode, SearchRequest
from rostra.runtime import Runtime

_NO_HURRY = 600.0  # seconds


class SearchSolver:
    """One mode of the platform's search over one collection.

    Args:
        runtime: of a workspace; see `open_workspace`.
        collection: searched in, by name.
        digest: of its documents.
        mode: which sides find candidates.
        rerank: read the best hits with the reranker.
        k: documents.
        late: rerank with late interaction, and not with the reranker that is set.
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
        late: bool = False,
    ) -> None:
        self._searcher = runtime.searcher
        if late or rerank:
            # However long it takes: a measurement may not depend on how busy the machine is.
            update: dict[str, Any] = {"rerank_seconds": _NO_HURRY}
            if late:
                update["reranker"] = "late"
            self._searcher = Searcher(
                runtime.database,
                runtime.indexes,
                runtime.embedder,
                runtime.settings.model_copy(update=update),
                runtime.reranker,
                runtime.late,
            )
        self._collection = collection
        self._mode = mode
        self._rerank = rerank or late
        self._name = "late" if late else "reranked" if rerank else str(mode)
        self._k = k
        facts = search_facts(runtime, rerank=self._rerank)
        if late:
            facts |= {"reranker": "late"}
        self._config = {"corpus": digest, "mode": str(mode), "rerank": self._rerank, "k": k} | facts

    @property
    def name(self) -> str:
        """The mode, `reranked` by the reranker that is set, or `late`."""
        return self._name

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
