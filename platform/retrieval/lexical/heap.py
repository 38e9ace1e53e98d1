"""The best rows so far, across segments, for the kernel that prunes by them."""

import numpy as np

from rostra.retrieval.lexical import search_kernels as kernels
from rostra.retrieval.lexical.scoring import Mask, Positions, Scores, Ties
from rostra.retrieval.lexical.segment import BLOCK, Ids, Segment
from rostra.retrieval.lexical.storage import Array


class Heap:
    """Keeps the `k` best rows that it is shown.

    Args:
        k: how many, at least 1.
        factors: float64 [counts, lengths], what a term's weight is multiplied with in a row where
            it occurs so often and that has so many terms.
        form: float64 [4], for counts and lengths that `factors` has not; see the kernel.
        base: what every row gets.
    """

    def __init__(self, k: int, factors: Array, form: Array, base: float) -> None:
        self._factors = factors
        self._form = form
        self._base = base
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
        try:
            scratch = segment.scratch.pop()
        except IndexError:
            scratch = (
                np.zeros(kernels.SPARSE_WINDOW, np.float64),
                np.zeros(kernels.SPARSE_WINDOW + 1, np.int32),
                np.zeros(kernels.SPARSE_WINDOW, np.bool_),
            )
        self._size = kernels.search(
            segment.docs,
            segment.tfs,
            segment.lengths,
            _fixed(segment.starts[terms]),
            _fixed(segment.starts[terms + 1]),
            _fixed(segment.blocks[terms]),
            _fixed(segment.blocks[terms + 1]),
            segment.block_last,
            segment.block_tf,
            segment.block_length,
            BLOCK,
            segment.frequent.table,
            _fixed(segment.frequent.slots(terms)),
            weights,
            self._factors,
            self._form,
            self._base,
            _fixed(np.zeros(0, np.bool_) if dead is None else dead),
            _fixed(np.zeros(0, np.bool_) if mask is None else mask),
            _fixed(np.zeros(0, np.uint64) if tie is None else tie),
            segment.first,
            self._scores,
            self._ties,
            self._positions,
            self._size,
            *scratch,
        )
        segment.scratch.append(scratch)


def _fixed(array: Array) -> Array:
    """The same, contiguous and not writable: kernels are compiled for such arrays alone."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
