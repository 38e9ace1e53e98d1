"""Exact search that looks at few vectors: int8 codes rule out what cannot be among the best.

What always holds: what is found has every row that is as good as the last of the best, so that
what is returned does not depend on the rotation, on when it was fitted, or on the order in which
rows came. Those only decide how much is looked at.
"""

import numpy as np

from rostra.core import FloatMatrix, FloatVector
from rostra.retrieval.dense.basis import fit_rotation
from rostra.retrieval.dense.bounded import FACTS, STEP, BoundedRows
from rostra.retrieval.dense.finder import Allowed
from rostra.retrieval.dense.packing import packed, unpacked
from rostra.retrieval.dense.rows import Octets
from rostra.retrieval.lexical import Positions

# What float32 sums of unit vectors can differ by, and more.
_ROUNDING = 1e-4
# Directions of a head, at most; half of the width where that is less.
_MOST_HEAD = 256
# With so many times the rows it was fitted for another rotation may rule out more.
_OUTGROWN = 4
# Rows that are looked at first, beside some for each that is wanted.
_SEEDS = 16
_SEEDS_EACH = 2
_FACT_BYTES = 4
_EVERYTHING = np.zeros(0, np.bool_)


class PrunedFinder:
    """See this module.

    Args:
        rotation: float32 [dimensions, dimensions], orthonormal rows, those in which rows vary most
            first.
        rows: how many it was fitted for.
    """

    exact = True

    def __init__(self, rotation: FloatMatrix, rows: int) -> None:
        from rostra.retrieval.dense.pruning import query_range

        width = len(rotation)
        self._rotation = np.ascontiguousarray(rotation, np.float32)
        self._rows = rows
        head = -(-min(_MOST_HEAD, -(-width // 2)) // STEP) * STEP
        self._directions = min(head, width)
        tail = width - self._directions
        self._ranges = np.array([query_range(self._directions), query_range(tail)])
        self._kept = BoundedRows.empty(head, tail)
        self._count = 0
        # How far a head's code is off, and a row's length, at most; what sums may differ by.
        self._limits = np.array([0.0, 0.0, _ROUNDING])

    @classmethod
    def train(cls, sample: FloatMatrix, rows: int) -> "PrunedFinder":
        """An empty one that will hold so many rows."""
        return cls(fit_rotation(sample), rows)

    @classmethod
    def load(cls, body: bytes) -> "PrunedFinder":
        """What `save` gave, still empty.

        Raises:
            ValueError, KeyError: it is something else.
        """
        saved = unpacked(body)
        return cls(np.asarray(saved["rotation"], np.float32), int(np.asarray(saved["rows"])))

    @property
    def count(self) -> int:
        return self._count

    @property
    def code_width(self) -> int:
        return self._kept.head + self._kept.tail + FACTS * _FACT_BYTES

    def encode(self, rows: FloatMatrix) -> Octets:
        from rostra.retrieval.dense.pruning import encode_rows

        heads = np.empty((len(rows), self._kept.head), np.int8)
        tails = np.empty((len(rows), self._kept.tail), np.int8)
        facts = np.empty((len(rows), FACTS), np.float32)
        turned = np.ascontiguousarray(rows @ self._rotation.T, np.float32)
        encode_rows(turned, self._directions, heads, tails, facts)
        return np.hstack([heads.view(np.uint8), tails.view(np.uint8), facts.view(np.uint8)])

    def add(self, rows: FloatMatrix | None, codes: Octets) -> None:
        if not len(codes):
            return
        facts = np.ascontiguousarray(codes[:, -FACTS * _FACT_BYTES :]).view(np.float32)
        # Never less than before, so that who searches now may use the new ones.
        longest = np.array([facts[:, 2].max(), facts[:, 5].max(), _ROUNDING])
        self._limits = np.maximum(self._limits, longest)
        numbers = codes.view(np.int8)
        heads, tails = numbers[:, : self._kept.head], numbers[:, self._kept.head :]
        stop = self._count + len(codes)
        self._kept = self._kept.with_room(self._count, stop)
        self._kept.write(self._count, heads, tails[:, : self._kept.tail], facts)
        self._count = stop

    def forget(self, positions: Positions) -> None:
        pass

    def find(self, query: FloatVector, width: int, allowed: Allowed) -> Positions:
        from rostra.retrieval.dense.pruning import prune

        kept = self._kept
        found: Positions = np.empty(allowed.total, np.int64)
        count = prune(
            self._rotation,
            self._directions,
            np.ascontiguousarray(query, np.float32),
            kept.blocks,
            kept.units,
            kept.rests,
            kept.tails,
            kept.facts,
            self._limits,
            self._ranges,
            _EVERYTHING if allowed.mask is None else allowed.mask,
            min(width, allowed.count),
            _SEEDS + _SEEDS_EACH * width,
            found,
        )
        return found[:count]

    def save(self) -> bytes:
        return packed(rotation=self._rotation, rows=self._rows)

    def worth_saving(self, saved: int) -> bool:
        return False

    def outgrown(self, count: int) -> bool:
        return count >= _OUTGROWN * max(self._rows, 1)
