"""The best rows so far, for the kernel that prunes by them."""

import numpy as np

from rostra.retrieval.lexical import pruning_kernels as kernels
from rostra.retrieval.lexical.addresses import Addresses
from rostra.retrieval.lexical.scoring import Mask, Positions, Scores, Ties
from rostra.retrieval.lexical.segment import BLOCK, Ids
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
        parts: Addresses,
        places: Ids,
        slots: Ids,
        weights: Scores,
        mask: Mask | None,
        tie: Ties | None,
    ) -> None:
        """Shows it every row of some parts that could be among the best.

        Args:
            parts: where they are.
            places: int64 [parts, terms], of the query's terms, -1 for those that a part has not.
            slots: int64 [parts, terms], of their counts by row, -1 for those without.
            weights: float64 [terms], above 0.
            mask: bool [positions], rows that alone may be found.
            tie: uint64 [positions].
        """
        self._size = kernels.search(
            parts.table,
            parts.by_size,
            places,
            slots,
            BLOCK,
            weights,
            self._factors,
            self._form,
            self._base,
            _fixed(_NO_MASK if mask is None else mask),
            _fixed(_NO_TIES if tie is None else tie),
            self._scores,
            self._ties,
            self._positions,
            self._size,
            np.zeros(kernels.WINDOW),
        )


_NO_MASK = np.zeros(0, np.bool_)
_NO_TIES = np.zeros(0, np.uint64)


def _fixed(array: Array) -> Array:
    """The same, contiguous and not writable: kernels are compiled for such arrays alone."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
