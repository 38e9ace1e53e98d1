"""The best of many scores."""

import numpy as np

from rostra.retrieval.lexical.scoring import Mask, Positions, Scores, Ties


def ordered(scores: Scores, positions: Positions, tie: Ties | None) -> Positions:
    """The order that ranks: by score, best first, then by `tie`, then by position.

    Args:
        scores: float64 [n].
        positions: int64 [n], of what the scores are.
        tie: uint64 by position; None leaves ties to the positions.
    """
    if tie is None:
        return np.lexsort((positions, -scores))
    return np.lexsort((positions, tie[positions], -scores))


def best_positions(
    scores: Scores, k: int, mask: Mask | None = None, tie: Ties | None = None
) -> Positions:
    """Positions of the k best scores that are numbers, best first, ties by `tie`, then by position.

    Args:
        scores: float64 [chunks]; NaN is never returned.
        k: most positions.
        mask: bool [chunks]; False is never returned.
        tie: uint64 [chunks]; the smaller goes first among equals.
    """
    allowed = ~np.isnan(scores) if mask is None else ~np.isnan(scores) & mask
    positions = np.flatnonzero(allowed)
    values = scores[positions]
    if 0 < k < len(positions):
        # Everything at least as good as the k-th, so that ties at the edge fall by position.
        edge = np.partition(values, len(values) - k)[len(values) - k]
        keep = values >= edge
        positions, values = positions[keep], values[keep]
    best: Positions = positions[ordered(values, positions, tie)[:k]]
    return best
