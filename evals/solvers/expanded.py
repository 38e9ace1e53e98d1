"""Search with query strategies as a solver: what asking in other words finds, and what it costs."""

from collections.abc import Sequence
from typing import Any

import msgspec

from evals.core.states import Passage, State
from evals.solvers.counted import CountedModel
from evals.solvers.facts import search_facts
from rostra.core import ModelUnavailable, QueryStrategyName
from rostra.retrieval import ExpandedResult, SearchRequest
from rostra.runtime import Runtime

OUTCOMES = "strategies"  # how each ended, in the state's data


class ExpandedSolver:
    """Hybrid search of one collection with some strategies.

    Args:
        runtime: of a workspace, with a generator.
        collection: searched in, by name.
        digest: of its documents.
        strategies: one or more.
        k: documents.

    Raises:
        ModelUnavailable: there is no generator.
    """

    def __init__(
        self,
        runtime: Runtime,
        collection: str,
        digest: str,
        strategies: Sequence[QueryStrategyName],
        *,
        k: int = 100,
    ) -> None:
        self._searcher = runtime.expanded
        self._strategies = runtime.expanded.chosen(strategies)
        if runtime.generator is None:
            raise ModelUnavailable("strategies need a generator, and none is set")
        self._model = runtime.generator
        self._collection = collection
        self._k = k
        budget = runtime.settings.model_dump(
            mode="json", include={"query_seconds", "query_tokens", "query_limit"}
        )
        self._config = {
            "corpus": digest,
            "mode": "hybrid",
            "k": k,
            "strategies": list(self._strategies),
            "generator": self._model.name,
            **budget,
            **search_facts(runtime, rerank=False),
        }

    @property
    def name(self) -> str:
        """`hybrid` and the strategies."""
        return "+".join(("hybrid", *self._strategies))

    def config(self) -> dict[str, Any]:
        """See `Solver.config`."""
        return self._config

    async def __call__(self, state: State, seed: int) -> State:
        """See `Solver`."""
        counted = CountedModel(self._model)
        found = await self._searcher.by(counted).search(
            SearchRequest(
                state.sample.input, (self._collection,), k=self._k, rerank=False, per_document=1
            ),
            self._strategies,
        )
        report = found.expansion if isinstance(found, ExpandedResult) else None
        outcomes = {one.name: str(one.outcome) for one in report.strategies} if report else {}
        # Without texts: rankings are long, and measured by documents alone.
        return msgspec.structs.replace(
            state,
            passages=[Passage(hit.uri, score=hit.score) for hit in found.hits],
            steps=counted.steps,
            usage=counted.usage,
            data={OUTCOMES: outcomes},
        )
