"""The best rows so far, across segments, for the kernel that prunes by them."""

from collections.abc import Sequence

import numpy as np

from rostra.retrieval.lexical import kernels
from rostra.retrieval.lexical.scoring import Bm25, Mask, Positions, Scores, Ties, Variant
from rostra.retrieval.lexical.segment import Ids, Segment
from rostra.retrieval.lexical.storage import Array


class Heap:
    """Keeps the `k` best rows that it is shown.

    Args:
        k: how many, at least 1.
        model: the form of BM25.
        mean_length: of all live rows.
        base: what every row gets.
        seed: a score that `k` rows are known to reach, or minus infinity.
    """

    def __init__(self, k: int, model: Bm25, mean_length: float, base: float, seed: float) -> None:
        self._model = model
        self._slope = model.b / mean_length
        self._base = base
        self._seed = seed
        self._scores = np.zeros(k, np.float64)
        self._ties = np.zeros(k, np.uint64)
        self._positions = np.zeros(k, np.int64)
        self._size = 0

    @property
    def scores(self) -> Scores:
        """float64, of the rows it holds, in no order."""
        return self._scores[: self._size]

    @property
    def positions(self) -> Positions:
        """int64, of the same rows."""
        return self._positions[: self._size]

    def push(self, positions: Positions, scores: Scores, tie: Ties | None) -> None:
        """Shows it rows with their scores."""
        ties = np.zeros(len(positions), np.uint64) if tie is None else tie[positions]
        for score, key, position in zip(scores, ties, positions, strict=True):
            self._size = kernels.push(
                score, key, position, self._scores, self._ties, self._positions, self._size
            )

    def search(
        self,
        segment: Segment,
        terms: Ids,
        weights: Scores,
        dead: Mask | None,
        mask: Mask | None,
        tie: Ties | None,
    ) -> None:
        """Shows it every row of a segment that could be among the best.

        Args:
            segment: to search.
            terms: int64, places of the query's terms in it.
            weights: float64, of these terms, above 0.
            dead: bool [rows], rows that must not be found.
            mask: bool [rows], rows that alone may be found.
            tie: uint64 [rows].
        """
        self._size = kernels.search(
            segment.docs,
            segment.tfs,
            segment.lengths,
            *_fixed(
                segment.starts[terms],
                segment.starts[terms + 1],
                segment.blocks[terms],
                segment.blocks[terms + 1],
            ),
            segment.block_last,
            segment.block_tf,
            segment.block_length,
            weights,
            self._base,
            self._model.variant is not Variant.L,
            self._model.k1,
            1.0 - self._model.b,
            self._slope,
            self._model.lift,
            *_fixed(
                np.zeros(0, np.bool_) if dead is None else dead,
                np.zeros(0, np.bool_) if mask is None else mask,
                np.zeros(0, np.uint64) if tie is None else tie,
            ),
            segment.first,
            self._seed,
            self._scores,
            self._ties,
            self._positions,
            self._size,
        )


def _fixed(*arrays: Array) -> Sequence[Array]:
    """The same, contiguous and not writable: kernels are compiled for such arrays alone."""
    views = [np.ascontiguousarray(array).view() for array in arrays]
    for view in views:
        view.flags.writeable = False
    return views
