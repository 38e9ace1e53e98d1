"""Makes one ranking of two.

What always holds: a candidate's fused score depends on the query's candidates alone; raising a
candidate's dense or lexical score never lowers its fused one. Fused scores order the hits of one
query and mean nothing across queries: normalising erases the level, so whether anything relevant
was found is decided on raw scores.
"""

import numpy as np

from rostra.core import FusionKind
from rostra.retrieval.lexical import Scores

# Relative to the greatest score.
_ROUNDING = 1e-12


def fuse(
    kind: FusionKind, dense: Scores, lexical: Scores, *, dense_weight: float, rrf_k: int
) -> Scores:
    """Fused scores, float64 [candidates].

    Args:
        kind: convex combination, sum of z-scores, or reciprocal rank fusion.
        dense: float64 [candidates], every candidate's, also of those only the other side found.
        lexical: the same; NaN where a candidate shares no term with the query.
        dense_weight: of the dense side, 0 to 1; the lexical side has the rest.
        rrf_k: rank constant.
    """
    if kind == "convex":
        return convex(dense, lexical, dense_weight)
    if kind == "zscore":
        return dense_weight * z_score(dense) + (1 - dense_weight) * z_score(lexical)
    return reciprocal_rank(dense, lexical, dense_weight, rrf_k)


# Under a name that is not this module's, for the face of the room.
fused_scores = fuse


def convex(dense: Scores, lexical: Scores, dense_weight: float) -> Scores:
    """Weighted sum of min-max normalised scores (Bruch, Gai & Ingber 2022)."""
    return dense_weight * min_max(dense) + (1 - dense_weight) * min_max(lexical)


def reciprocal_rank(dense: Scores, lexical: Scores, dense_weight: float, rrf_k: int) -> Scores:
    """Weighted sum of `1 / (rrf_k + rank)` (Cormack, Clarke & Buettcher 2009)."""
    return dense_weight * _reciprocal(dense, rrf_k) + (1 - dense_weight) * _reciprocal(
        lexical, rrf_k
    )


def min_max(scores: Scores) -> Scores:
    """Scores moved to 0..1; NaN becomes 0, and all others 1 when nothing tells them apart.

    A candidate without a score counts as 0 before normalising, or as the worst one where BM25 runs
    negative, as it does in collections of a handful of chunks.
    """
    scored = ~np.isnan(scores)
    if not scored.any():
        return np.zeros(len(scores))
    low = scores[scored].min()
    if not scored.all():
        low = min(low, 0.0)
    high = scores[scored].max()
    if high == low:
        return scored.astype(np.float64)
    return np.where(scored, (scores - low) / (high - low), 0.0)


def z_score(scores: Scores) -> Scores:
    """Scores in standard deviations from their mean; 0 for all when nothing tells them apart.

    A candidate without a score counts as 0 before normalising, or as the worst one where BM25 runs
    negative, as for `min_max`.
    """
    scored = ~np.isnan(scores)
    if not scored.any():
        return np.zeros(len(scores))
    filled = np.where(scored, scores, min(scores[scored].min(), 0.0))
    centred = filled - filled.mean()
    deviation = np.sqrt(np.mean(centred**2))
    # What rounding leaves of equal scores is no difference.
    if deviation <= _ROUNDING * np.abs(filled).max():
        return np.zeros(len(scores))
    return np.asarray(centred / deviation, np.float64)


def _reciprocal(scores: Scores, rrf_k: int) -> Scores:
    scored = ~np.isnan(scores)
    order = np.argsort(np.where(scored, -scores, np.inf), kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    return np.where(scored, 1 / (rrf_k + ranks), 0.0)
