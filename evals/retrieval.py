"""Retrieval on judged sets: nDCG@10 and recall@100 of each search mode.

What always holds: documents are ranked by their best chunk; every judged query counts, one that
finds nothing as 0; metrics are computed by ir-measures, after trec_eval's definitions.
"""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from typing import Any

import ir_measures
from ir_measures import R, nDCG

from evals.beir import JudgedSet
from rostra.ingest import OnProgress, read_beir
from rostra.retrieval import SearchMode, SearchRequest
from rostra.runtime import Runtime

_DEPTH = 100
_MEASURES = {"ndcg@10": nDCG @ 10, "recall@100": R @ 100}


@dataclass(frozen=True, slots=True)
class RetrievalScores:
    """One row of the table: a search mode on a set, means over its queries."""

    dataset: str
    mode: str
    ndcg_10: float
    recall_100: float
    queries: int

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        row = asdict(self)
        return {
            "dataset": row["dataset"],
            "mode": row["mode"],
            "ndcg@10": round(self.ndcg_10, 4),
            "recall@100": round(self.recall_100, 4),
            "queries": self.queries,
        }


async def evaluate_retrieval(
    runtime: Runtime,
    judged: JudgedSet,
    *,
    on_ingest: OnProgress | None = None,
    on_query: Callable[[], None] = lambda: None,
) -> AsyncIterator[RetrievalScores]:
    """Ingests a set and scores each mode; `reranked` comes last, when a reranker is set.

    Args:
        runtime: of a workspace; see `open_workspace`.
        judged: queries and judgements.
        on_ingest: progress of the ingest.
        on_query: called after each query.

    Raises:
        PathNotFound: the set has no corpus.
    """
    collection = "set-" + re.sub(r"[^\w.-]", "-", judged.name)[:100]
    sources = list(read_beir(judged.folder, runtime.settings))
    await runtime.ingester.ingest(sources, collection, on_progress=on_ingest, delete_missing=("",))
    modes: list[tuple[str, SearchMode, bool]] = [
        (str(mode), mode, False)
        for mode in (SearchMode.DENSE, SearchMode.LEXICAL, SearchMode.HYBRID)
    ]
    if runtime.settings.reranker_model:
        modes.append(("reranked", SearchMode.HYBRID, True))
    for name, mode, rerank in modes:
        ranking: dict[str, dict[str, float]] = {}
        for query, text in judged.queries.items():
            ranking[query] = await _rank(runtime, collection, text, mode, rerank)
            on_query()
        means = ir_measures.calc_aggregate(list(_MEASURES.values()), judged.relevant, ranking)
        yield RetrievalScores(
            dataset=judged.name,
            mode=name,
            ndcg_10=float(means[_MEASURES["ndcg@10"]]),
            recall_100=float(means[_MEASURES["recall@100"]]),
            queries=len(judged.queries),
        )


async def _rank(
    runtime: Runtime, collection: str, text: str, mode: SearchMode, rerank: bool
) -> dict[str, float]:
    found = await runtime.searcher.search(
        SearchRequest(text, (collection,), k=_DEPTH, mode=mode, rerank=rerank, per_document=1)
    )
    # By place, not by score: the metrics' own tie-breaking must not reorder hits.
    return {hit.uri: float(-place) for place, hit in enumerate(found.hits)}
