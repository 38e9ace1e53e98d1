"""Search with query strategies, behind the face of `Searcher`.

What always holds: without strategies a search is the plain one; with them the question itself is
searched for first, so that a request that cannot be answered is refused before a model is asked,
and whatever the strategies come to, its result stands or takes part with most of the weight.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from rostra.core import (
    ChatMessage,
    ChatModel,
    ModelUnavailable,
    QueryStrategyName,
    Settings,
    normalize_text,
)
from rostra.retrieval.queries.expansion import (
    Asked,
    Budget,
    ExpansionReport,
    Query,
)
from rostra.retrieval.queries.merge import merge_hits
from rostra.retrieval.queries.running import STRATEGIES, run_strategies
from rostra.retrieval.request import SearchMode, SearchRequest, SearchResult
from rostra.retrieval.searcher import Searcher
from rostra.store import Database, Facet, get_collection, metadata_facets


@dataclass(frozen=True, slots=True)
class ExpandedResult(SearchResult):
    """What was found, and what was added to the question.

    A hit's `score` is that of the merged ranking; it has partial scores where the question itself
    found it. All else is as the question itself gave it.
    """

    expansion: ExpansionReport | None = None


def narrowed(request: SearchRequest, result: SearchResult) -> SearchRequest:
    """The request with the filters that its result was narrowed by, for what adds to the result."""
    report = result.expansion if isinstance(result, ExpandedResult) else None
    if report is None or report.filters_dropped:
        return request
    return replace(request, filters=dict(report.filters) | request.filters)


class ExpandedSearcher:
    """Searches with strategies. Safe to share between tasks.

    Args:
        searcher: of plain searches.
        passages: the same over a `PassageEmbedder`.
        database: whose metadata filters are taken from.
        settings: strategies by default, and budgets.
        model: asked for strategies; None where no generator is set.
    """

    def __init__(
        self,
        searcher: Searcher,
        passages: Searcher,
        database: Database,
        settings: Settings,
        model: ChatModel | None,
    ) -> None:
        self._searcher = searcher
        self._passages = passages
        self._database = database
        self._settings = settings
        self._model = model

    def by(self, model: ChatModel | None) -> "ExpandedSearcher":
        """The same with another model."""
        return ExpandedSearcher(
            self._searcher, self._passages, self._database, self._settings, model
        )

    def chosen(
        self, strategies: Sequence[QueryStrategyName] | None
    ) -> tuple[QueryStrategyName, ...]:
        """The strategies of a search, each once; None takes those of the settings.

        Raises:
            ModelUnavailable: there are some, and no generator.
        """
        given = self._settings.query_strategies if strategies is None else strategies
        names = tuple(dict.fromkeys(given))
        if names and self._model is None:
            raise ModelUnavailable(
                f"to search with {', '.join(names)} needs a generator, and none is set",
                hint="Set ROSTRA_MODEL, or ROSTRA_CHAT_URL and ROSTRA_CHAT_MODEL.",
            )
        return names

    async def search(
        self,
        request: SearchRequest,
        strategies: Sequence[QueryStrategyName] | None = None,
        *,
        question: str | None = None,
        turns: Sequence[ChatMessage] = (),
    ) -> SearchResult:
        """Finds the chunks that answer best; an `ExpandedResult` where there are strategies.

        Args:
            request: as of `Searcher.search`; its query takes part as it is.
            strategies: None takes those of the settings, none searches plainly.
            question: a follow-up as it was asked, where the query has more in it.
            turns: the conversation before it, oldest first.

        Raises:
            ModelUnavailable: there are strategies, and no generator.
            RostraError: whatever `Searcher.search` raises.
        """
        names = self.chosen(strategies)
        if not names or self._model is None:
            return await self._searcher.search(request)
        began = time.perf_counter()
        request = replace(request, query=normalize_text(request.query))
        # As deep as a reranker reads, so that what it puts first is the same as without strategies.
        depth = min(max(request.k, self._settings.rerank_candidates), self._settings.max_k)
        deep = replace(request, k=max(request.k, depth))
        self._searcher.check(request)
        plain = await self._searcher.search(deep)
        facets = await self._facets(request) if "filters" in names else []
        plan = await run_strategies(
            [STRATEGIES[name] for name in names],
            self._model,
            Asked(
                normalize_text(question or request.query),
                tuple(turns),
                tuple(facets),
                by_meaning=request.mode is not SearchMode.LEXICAL,
            ),
            request.query,
            Budget(
                self._settings.query_seconds,
                self._settings.query_tokens,
                self._settings.query_limit,
            ),
        )
        report, own, parts = plan.report, plain, [plain]
        if plan.filters:
            # Fields of its own only, see `_facets`: what was asked for still holds.
            narrow = replace(deep, filters=plan.filters | request.filters)
            own = await self._searcher.search(narrow)
            parts.append(own)
            if own.hits:
                deep = narrow
            else:
                report, own = replace(report, filters_dropped=True), plain
        others = [await self._further(deep, query) for query in plan.queries]
        parts += others
        if request.min_probability is not None:
            others = _without_unjudged(own, plan.queries, others)
        hits = merge_hits(
            own.hits,
            [one.hits for one in others],
            k=request.k,
            per_document=request.per_document,
        )
        timings = _summed(parts)
        timings["expand"] = round(report.seconds * 1000, 3)
        timings["total"] = round((time.perf_counter() - began) * 1000, 3)
        found = {one.name: getattr(own, one.name) for one in fields(SearchResult)}
        return ExpandedResult(**found | {"hits": hits, "timings_ms": timings, "expansion": report})

    async def _further(self, deep: SearchRequest, query: Query) -> SearchResult:
        # Not reranked: rerankers read for the question, and these hits were found by another.
        text = query.text[: self._settings.max_query_chars]
        request = replace(deep, query=text, rerank=False, operators=False)
        if query.is_passage:
            # One side alone does not say how likely a hit is; see `_without_unjudged`.
            return await self._passages.search(
                replace(request, mode=SearchMode.DENSE, min_probability=None)
            )
        return await self._searcher.search(request)

    async def _facets(self, request: SearchRequest) -> list[Facet]:
        """What the request can still be narrowed by: fields that it does not filter by itself."""
        async with self._database.read() as session:
            ids = [(await get_collection(session, name)).id for name in request.collections]
            facets = await metadata_facets(session, ids)
        return [facet for facet in facets if facet.field not in request.filters]


def _without_unjudged(
    own: SearchResult, queries: Sequence[Query], others: Sequence[SearchResult]
) -> list[SearchResult]:
    """What passages found only where a query in words found it too, and so judged it likely."""
    judged = {hit.chunk_id for hit in own.hits}
    for query, one in zip(queries, others, strict=True):
        if not query.is_passage:
            judged |= {hit.chunk_id for hit in one.hits}
    return [
        replace(one, hits=[hit for hit in one.hits if hit.chunk_id in judged]) for one in others
    ]


def _summed(parts: Sequence[SearchResult]) -> dict[str, float]:
    """Stages that ran for several queries add up."""
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part.timings_ms)
    return {stage: round(spent, 3) for stage, spent in total.items()}
