"""A navigable small-world graph over float16 vectors (Malkov and Yashunin, PAMI 2020)."""

from typing import Any

import faiss
import numpy as np

from rostra.core import FloatMatrix, FloatVector
from rostra.retrieval.dense.finder import Allowed
from rostra.retrieval.dense.rows import Octets
from rostra.retrieval.dense.selecting import selector
from rostra.retrieval.dense.sharing import ReadersWriter
from rostra.retrieval.lexical import Positions

_LINKS = 32
_BUILD_WIDTH = 200
_SEARCH_WIDTH = 256
# The graph is written again when it has grown by this share; what came since is added at the start.
_GROWN = 1.1


class HnswFinder:
    """Shortlists by walking a graph. Tombstones are walked over, never returned."""

    exact = False

    def __init__(self, index: Any) -> None:
        self._index = index
        self._turns = ReadersWriter()

    @classmethod
    def empty(cls, dimensions: int) -> "HnswFinder":
        """A graph of nothing."""
        index = faiss.IndexHNSWSQ(
            dimensions, faiss.ScalarQuantizer.QT_fp16, _LINKS, faiss.METRIC_INNER_PRODUCT
        )
        index.hnsw.efConstruction = _BUILD_WIDTH
        index.train(np.eye(2, dimensions, dtype=np.float32))  # float16 learns nothing from it
        return cls(index)

    @classmethod
    def load(cls, body: bytes) -> "HnswFinder":
        """What `save` gave.

        Raises:
            RuntimeError: it is something else.
        """
        return cls(faiss.deserialize_index(np.frombuffer(body, np.uint8)))

    @property
    def count(self) -> int:
        return int(self._index.ntotal)

    @property
    def code_width(self) -> int:
        return 0

    def encode(self, rows: FloatMatrix) -> Octets:
        return np.zeros((len(rows), 0), np.uint8)

    def add(self, rows: FloatMatrix | None, codes: Octets) -> None:
        if rows is None:
            raise ValueError("a graph is made of vectors, not of codes")
        with self._turns.writing():
            self._index.add(np.ascontiguousarray(rows))

    def forget(self, positions: Positions) -> None:
        pass

    def find(self, query: FloatVector, width: int, allowed: Allowed) -> Positions:
        parameters: dict[str, Any] = {"efSearch": max(_SEARCH_WIDTH, width)}
        with self._turns.reading():
            chosen = selector(allowed, self.count)
            if chosen is not None:
                parameters["sel"] = chosen
            _, found = self._index.search(
                query[None, :], width, params=faiss.SearchParametersHNSW(**parameters)
            )
        kept: Positions = found[0][found[0] >= 0]
        return kept

    def save(self) -> bytes:
        with self._turns.reading():
            body: bytes = faiss.serialize_index(self._index).tobytes()
            return body

    def worth_saving(self, saved: int) -> bool:
        return self.count > saved * _GROWN

    def outgrown(self, count: int) -> bool:
        return False
