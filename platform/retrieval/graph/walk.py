"""Personalised PageRank over a small neighbourhood: how near everything is to where one begins.

Source: Haveliwala, "Topic-sensitive PageRank", 2002; for retrieval over entities and passages,
Gutiérrez et al., "HippoRAG", 2024.

What always holds: scores are at least 0 and add up to 1; what cannot be reached has 0; equal
neighbourhoods give equal scores, whatever the order of their edges.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

FloatArray = npt.NDArray[np.float64]

DAMPING = 0.5
_TOLERANCE = 1e-10
_MOST_STEPS = 200


def personalised_pagerank(
    edges: Sequence[tuple[int, int, float]], restart: FloatArray, *, damping: float = DAMPING
) -> FloatArray:
    """Where a walker is in the long run, float64 [nodes].

    Args:
        edges: two nodes and a weight above 0; they lead both ways. Parallel ones add up.
        restart: float64 [nodes], at least 0, not all 0: where the walker begins again, by weight.
        damping: probability of a step, from 0 up to but not 1; otherwise it begins again. It also
            does where no edge leads on.
    """
    nodes = len(restart)
    start = restart / restart.sum()
    ordered = sorted(edges)
    one = np.fromiter((edge[0] for edge in ordered), np.int64, len(ordered))
    other = np.fromiter((edge[1] for edge in ordered), np.int64, len(ordered))
    weight = np.fromiter((edge[2] for edge in ordered), np.float64, len(ordered))
    both = sparse.coo_array(
        (np.tile(weight, 2), (np.concatenate([one, other]), np.concatenate([other, one]))),
        shape=(nodes, nodes),
    ).tocsr()
    leaving = np.asarray(both.sum(axis=1)).ravel()
    ends = leaving == 0
    share = np.divide(1.0, leaving, out=np.zeros(nodes), where=~ends)
    arriving = both.T.tocsr()
    score: FloatArray = start
    for _ in range(_MOST_STEPS):
        moved = arriving @ (score * share) + score[ends].sum() * start
        following: FloatArray = (1 - damping) * start + damping * moved
        if np.abs(following - score).sum() < _TOLERANCE:
            return following
        score = following
    return score
