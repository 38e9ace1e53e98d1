"""The best of all that are allowed, exactly, ties included.

Scores that rank are sums in one fixed order, so that equal vectors have equal ones. Those are slow
for all; a matrix product says first which rows can be among the best, with room for its rounding.
"""

import numpy as np

from rostra.core import FloatVector
from rostra.retrieval.dense.finder import Allowed
from rostra.retrieval.dense.store import BLOCK, VectorView
from rostra.retrieval.lexical import Positions, Scores, Ties

# How far the sums of unit vectors can differ between two orders of summing, and more.
_ROUNDING = 1e-4
# Fewer than this are all scored in the fixed order.
GATHER = 4096


def exact_search(
    view: VectorView, query: FloatVector, k: int, allowed: Allowed, tie: Ties | None = None
) -> tuple[Positions, Scores]:
    """The k best allowed positions, as `ranked` orders them, and their scores."""
    if allowed.count <= GATHER:
        return ranked(view, query, k, allowed.positions(), tie)
    rough = np.empty(allowed.total, np.float32)
    start = 0
    while start < allowed.total:
        stop = min(start + BLOCK, allowed.total)
        if allowed.mask is None or allowed.mask[start:stop].any():
            rough[start:stop] = view.block(start, stop) @ query
        start = stop
    view.scanned(allowed.total)
    if allowed.mask is not None:
        rough[~allowed.mask] = -np.inf
    edge = np.partition(rough, len(rough) - k)[len(rough) - k]
    room = np.float32(_ROUNDING * max(1.0, float(np.linalg.norm(query))))
    return ranked(view, query, k, np.flatnonzero(rough >= edge - room), tie)


def ranked(
    view: VectorView, query: FloatVector, k: int, positions: Positions, tie: Ties | None
) -> tuple[Positions, Scores]:
    """The k best of some positions, best first, then by `tie`, then by position; their scores."""
    scores = view.scores(query, positions)
    keys = (positions, -scores) if tie is None else (positions, tie[positions], -scores)
    order = np.lexsort(keys)[:k]
    return positions[order], scores[order]


def shortlist(rough: FloatVector, width: int) -> Positions:
    """Positions of the `width` best and of all that are as good as the last of them."""
    some = int(np.count_nonzero(rough > -np.inf))
    if some <= width:
        return np.flatnonzero(rough > -np.inf)
    edge = np.partition(rough, len(rough) - width)[len(rough) - width]
    return np.flatnonzero(rough >= edge)
