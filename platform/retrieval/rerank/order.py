"""Hits in the order that a reranker gives them.

What always holds: reranking reorders the hits it is given and never adds or drops one; when it is
not done in time the order stays as it was. A reranker of weight 1 decides alone and its scores are
the hits'; one of less counts beside the score that hits came with, each min-max normalised over
these hits, and then scores compare within one result only.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

import numpy as np

from rostra.core import get_logger
from rostra.retrieval.fuse import min_max
from rostra.retrieval.hits import Hit
from rostra.retrieval.index import searchable_text
from rostra.retrieval.lexical import Scores
from rostra.retrieval.rerank.protocol import Reranker, Submits

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reranked:
    """Hits after reranking.

    Attributes:
        hits: best first.
        done: whether they were reranked; False when time ran out.
    """

    hits: list[Hit]
    done: bool


async def rerank_hits(
    reranker: Reranker,
    query: str,
    hits: Sequence[Hit],
    *,
    seconds: float | None = None,
    weight: float = 1.0,
) -> Reranked:
    """Has a reranker read hits and orders them anew.

    Args:
        hits: best first.
        seconds: longest wait; None waits to the end.
        weight: of the reranker beside the hits' own scores, 0 to 1.
    """
    if not hits:
        return Reranked([], True)
    passages = [searchable_text(hit.context, hit.text) for hit in hits]
    waiting: asyncio.Future[Scores] | asyncio.Task[Scores]
    if isinstance(reranker, Submits):
        future: Future[Scores] = reranker.submit(query, passages)
        waiting = asyncio.wrap_future(future)
    else:
        waiting = asyncio.ensure_future(asyncio.to_thread(reranker.scores, query, passages))
    try:
        scores = await asyncio.wait_for(waiting, seconds)
    except TimeoutError:
        log.warning("reranking took too long: the fused order stands", seconds=seconds)
        return Reranked(list(hits), False)
    return Reranked(reordered(hits, scores, weight), True)


def reordered(hits: Sequence[Hit], scores: Scores, weight: float) -> list[Hit]:
    """Hits by a reranker's scores, float64 [hits], and their own; equal ones keep their order."""
    mixed = mixed_scores(np.array([hit.score for hit in hits]), scores, weight)
    return [
        replace(
            hits[row],
            score=float(mixed[row]),
            scores=replace(hits[row].scores, rerank=float(scores[row])),
        )
        for row in np.argsort(-mixed, kind="stable")
    ]


def mixed_scores(own: Scores, reranker: Scores, weight: float) -> Scores:
    """A reranker's scores with those that hits came with, float64 [hits]; see this module."""
    if weight >= 1:
        return reranker
    return weight * min_max(reranker) + (1 - weight) * min_max(own)
