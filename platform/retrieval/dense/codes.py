"""Looking at all codes: int8 numbers or single bits. What is best by its code is rescored by
others.

What always holds: equal vectors have equal codes, and all codes as good as the last that gets in
get in, so that what is found does not depend on the order in which rows came.
"""

import numpy as np
import numpy.typing as npt

from rostra.core import FloatMatrix, FloatVector
from rostra.retrieval.dense.exact import shortlist
from rostra.retrieval.dense.finder import Allowed
from rostra.retrieval.dense.packing import packed, unpacked
from rostra.retrieval.dense.rows import Octets, pieces
from rostra.retrieval.lexical import Positions

_BLOCK = 1 << 15
# Bits tell so little that a longer shortlist is needed.
_BINARY_WIDTH = 4


class GrowingRows:
    """Rows in memory that are only added to; what was handed out stays as it was."""

    def __init__(self, width: int) -> None:
        self._rows = np.zeros((0, width), np.uint8)
        self.count = 0

    def add(self, rows: Octets) -> None:
        need = self.count + len(rows)
        if need > len(self._rows):
            grown = np.empty((max(need, 2 * len(self._rows), 1024), rows.shape[1]), np.uint8)
            grown[: self.count] = self._rows[: self.count]
            self._rows = grown
        self._rows[self.count : need] = rows
        self.count = need

    def first(self, count: int) -> Octets:
        """The first rows, not a copy."""
        return self._rows[:count]


class Int8Finder:
    """Every vector as int8 numbers, in units of its own."""

    exact = False

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        # A row's unit stands apart from its codes so that both are aligned.
        self._codes = GrowingRows(dimensions)
        self._scales = GrowingRows(4)

    @classmethod
    def load(cls, body: bytes) -> "Int8Finder":
        """What `save` gave, still empty."""
        return cls(int(np.asarray(unpacked(body)["dimensions"])))

    @property
    def count(self) -> int:
        return self._scales.count

    @property
    def code_width(self) -> int:
        return self._dimensions + 4

    def encode(self, rows: FloatMatrix) -> Octets:
        scales = np.abs(rows).max(axis=1, keepdims=True) / np.float32(127)
        codes = np.rint(rows / np.where(scales > 0, scales, 1)).astype(np.int8)
        return np.hstack([codes.view(np.uint8), scales.astype(np.float32).view(np.uint8)])

    def add(self, rows: FloatMatrix | None, codes: Octets) -> None:
        self._codes.add(codes[:, : self._dimensions])
        self._scales.add(codes[:, self._dimensions :])

    def forget(self, positions: Positions) -> None:
        pass

    def find(self, query: FloatVector, width: int, allowed: Allowed) -> Positions:
        from rostra.retrieval.dense.kernels import score_codes

        scores = np.empty(allowed.total, np.float32)
        codes = self._codes.first(allowed.total).view(np.int8)
        scales = self._scales.first(allowed.total).view(np.float32)[:, 0]
        mask = np.zeros(0, np.bool_) if allowed.mask is None else allowed.mask
        score_codes(codes, scales, np.asarray(query, np.float32), mask, scores)
        return shortlist(scores, width)

    def save(self) -> bytes:
        return packed(dimensions=self._dimensions)

    def worth_saving(self, saved: int) -> bool:
        return False

    def outgrown(self, count: int) -> bool:
        return False


class BinaryFinder:
    """Every vector as the signs of its coordinates, seen from the middle of a sample.

    Args:
        centre: float32 [dimensions], that middle.
    """

    exact = False

    def __init__(self, centre: FloatVector) -> None:
        self._centre = centre
        self._words = -(-len(centre) // 64)
        self._codes = GrowingRows(8 * self._words)

    @classmethod
    def train(cls, sample: FloatMatrix) -> "BinaryFinder":
        """An empty one."""
        return cls(sample.mean(axis=0, dtype=np.float64).astype(np.float32))

    @classmethod
    def load(cls, body: bytes) -> "BinaryFinder":
        """What `save` gave, still empty."""
        return cls(np.asarray(unpacked(body)["centre"], np.float32))

    @property
    def count(self) -> int:
        return self._codes.count

    @property
    def code_width(self) -> int:
        return 8 * self._words

    def encode(self, rows: FloatMatrix) -> Octets:
        codes = np.zeros((len(rows), self.code_width), np.uint8)
        bits = np.packbits(rows > self._centre, axis=1)
        codes[:, : bits.shape[1]] = bits
        return codes

    def add(self, rows: FloatMatrix | None, codes: Octets) -> None:
        self._codes.add(codes)

    def forget(self, positions: Positions) -> None:
        pass

    def find(self, query: FloatVector, width: int, allowed: Allowed) -> Positions:
        wanted = self.encode(query[None, :]).view(np.uint64)
        words: npt.NDArray[np.uint64] = self._codes.first(allowed.total).view(np.uint64)
        alike = np.empty(allowed.total, np.float32)
        for piece in pieces(allowed.total, _BLOCK):
            differing = np.bitwise_count(words[piece] ^ wanted)
            alike[piece] = -differing.sum(axis=1, dtype=np.int32).astype(np.float32)
        if allowed.mask is not None:
            alike[~allowed.mask] = -np.inf
        return shortlist(alike, width * _BINARY_WIDTH)

    def save(self) -> bytes:
        return packed(centre=self._centre)

    def worth_saving(self, saved: int) -> bool:
        return False

    def outgrown(self, count: int) -> bool:
        return False
