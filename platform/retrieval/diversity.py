"""Hits that do not all say the same: maximal marginal relevance (Carbonell and Goldstein 1998).

What always holds: the order is one of the same hits; with a diversity of 0 it is that of their
relevance, ties included.
"""

import numpy as np
import numpy.typing as npt

from rostra.core import FloatMatrix
from rostra.retrieval.lexical import Scores


def diverse_order(
    relevance: Scores, vectors: FloatMatrix, diversity: float, most: int
) -> npt.NDArray[np.int64]:
    """Rows of the best `most`, best first; of equally good ones the earlier.

    Each next one has the greatest `(1 - diversity) * relevance - diversity * closeness`, closeness
    being its cosine with the closest of those taken before.

    Args:
        relevance: float64 [hits], on a scale from 0 to 1.
        vectors: float32 [hits, dimensions], unit length.
        diversity: 0 to 1.
        most: rows.
    """
    count = len(relevance)
    taken = np.zeros(min(most, count), np.int64)
    closeness = np.zeros(count)
    left = np.ones(count, np.bool_)
    for place in range(len(taken)):
        worth = (1 - diversity) * relevance - diversity * closeness
        row = int(np.argmax(np.where(left, worth, -np.inf)))
        taken[place] = row
        left[row] = False
        cosines = vectors.astype(np.float64) @ vectors[row].astype(np.float64)
        closeness = np.maximum(closeness, cosines) if place else cosines
    return taken
