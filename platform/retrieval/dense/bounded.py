"""Codes in memory that bound what a row's product with a query can be; see `pruning`.

Heads stand in blocks of sixteen rows, in each pair after pair of coordinates: two numbers of the
first row, two of the second, and so on, so that one step multiplies two coordinates of all sixteen.

What always holds: what was written never changes; who holds these arrays may read the rows that
were there, while others are written behind them.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from rostra.core import FloatMatrix, FloatVector

Int8s = npt.NDArray[np.int8]

# Rows of a block.
LANES = 16
# A head has a multiple of so many coordinates.
STEP = 8
# What is kept of a row beside its two codes, float32 each: the unit of its head's code, the length
# of its tail, how far the head's code is off; the unit of the tail's code, how far that is off; the
# row's length.
FACTS = 6
_FEWEST = 1024


@dataclass(frozen=True)
class BoundedRows:
    """Room for some rows.

    Attributes:
        blocks: int8 [blocks, head / 2, 16, 2].
        units: float32 [places], of heads' codes.
        rests: float32 [places], the lengths of tails.
        tails: int8 [places, width of a tail].
        facts: float32 [places, 3]: how far a head's code is off; a tail's unit, and how far its
            code is off.
    """

    blocks: Int8s
    units: FloatVector
    rests: FloatVector
    tails: Int8s
    facts: FloatMatrix

    @classmethod
    def empty(cls, head: int, tail: int, places: int = 0) -> Self:
        """Room for `places` rows, a multiple of `LANES`."""
        return cls(
            np.zeros((places // LANES, head // 2, LANES, 2), np.int8),
            np.zeros(places, np.float32),
            np.zeros(places, np.float32),
            np.zeros((places, tail), np.int8),
            np.zeros((places, 3), np.float32),
        )

    @property
    def head(self) -> int:
        """Coordinates of a head."""
        return 2 * int(self.blocks.shape[1])

    @property
    def tail(self) -> int:
        """Coordinates of a tail."""
        return int(self.tails.shape[1])

    def with_room(self, count: int, need: int) -> "BoundedRows":
        """This, or a copy of its first `count` rows with room for `need`."""
        places = len(self.units)
        if need <= places:
            return self
        wanted = max(need, places + places // 2, _FEWEST)
        grown = BoundedRows.empty(self.head, self.tail, -(-wanted // LANES) * LANES)
        for ours, theirs in zip(self._by_row(), grown._by_row(), strict=True):
            theirs[:count] = ours[:count]
        grown.blocks[: len(self.blocks)] = self.blocks
        return grown

    def write(self, first: int, heads: Int8s, tails: Int8s, facts: FloatMatrix) -> None:
        """Puts rows at their places.

        Args:
            first: position of the first one.
            heads: int8 [rows, head].
            tails: int8 [rows, tail].
            facts: float32 [rows, `FACTS`].
        """
        stop = first + len(facts)
        self.units[first:stop] = facts[:, 0]
        self.rests[first:stop] = facts[:, 1]
        self.tails[first:stop] = tails
        self.facts[first:stop] = facts[:, 2:5]
        pairs = heads.reshape(len(heads), self.head // 2, 2)
        # Up to the next block, whole blocks, and what is left.
        start = min(len(heads), -first % LANES)
        block = first // LANES
        if start:
            self.blocks[block, :, first % LANES : first % LANES + start] = pairs[:start].transpose(
                1, 0, 2
            )
            block += 1
        whole = (len(heads) - start) // LANES
        behind = start + whole * LANES
        full = pairs[start:behind].reshape(whole, LANES, self.head // 2, 2)
        self.blocks[block : block + whole] = full.transpose(0, 2, 1, 3)
        if behind < len(heads):
            left = pairs[behind:].transpose(1, 0, 2)
            self.blocks[block + whole, :, : len(heads) - behind] = left

    def _by_row(self) -> tuple[npt.NDArray[np.generic], ...]:
        return self.units, self.rests, self.tails, self.facts
