"""The dense side: which chunks' vectors point where the query's does, by FAISS.

What always holds: scores are inner products of unit vectors; a mask is honoured inside the search,
never after it; `scores` is exact for any position. Implementations differ in how they find
candidates only. A GPU index is one more class of this protocol; mind that FAISS's GPU flat index
ignores selectors, so it must mask by other means.
"""

from pathlib import Path
from typing import Any, Literal, Protocol

import faiss
import numpy as np

from rostra.core import FloatMatrix, FloatVector
from rostra.retrieval.lexical import Mask, Positions, Scores

# Above this many vectors `auto` trades exactness for speed.
EXACT_LIMIT = 100_000
_HNSW_LINKS = 32
_HNSW_BUILD_WIDTH = 200
_HNSW_SEARCH_WIDTH = 256
# Fewer allowed vectors than this are all scored: quicker and exact.
_GATHER_LIMIT = 20_000

DenseKind = Literal["auto", "flat", "hnsw"]


class DenseIndex(Protocol):
    """Finds vectors, named by position, near a query."""

    def search(self, query: FloatVector, k: int, mask: Mask | None = None) -> Positions:
        """Up to k positions, best first.

        Args:
            query: float32 [dimensions], unit length.
            k: most positions.
            mask: bool [vectors]; False is never returned.
        """
        ...

    def scores(self, query: FloatVector, positions: Positions) -> Scores:
        """Inner products with the vectors at these positions, float64 [positions]."""
        ...

    @property
    def vectors(self) -> FloatMatrix:
        """All vectors, float32 [vectors, dimensions]."""
        ...

    def save(self, folder: Path) -> None:
        """Writes what `load_dense_index` needs beside the vectors themselves."""
        ...


class FlatIndex:
    """Exact search over every vector."""

    def __init__(self, vectors: FloatMatrix) -> None:
        self._index = faiss.IndexFlatIP(vectors.shape[1])
        self._index.add(np.ascontiguousarray(vectors))
        # FAISS keeps its own copy; look into it instead of keeping a second one.
        self._vectors = _stored(self._index)

    @property
    def vectors(self) -> FloatMatrix:
        return self._vectors

    def search(self, query: FloatVector, k: int, mask: Mask | None = None) -> Positions:
        if mask is not None and mask.sum() <= _GATHER_LIMIT:
            return _gather(self, query, k, mask)
        parameters = faiss.SearchParameters(sel=_selector(mask)) if mask is not None else None
        return _search(self._index, query, k, parameters)

    def scores(self, query: FloatVector, positions: Positions) -> Scores:
        return _products(self._vectors[positions], query)

    def save(self, folder: Path) -> None:
        pass  # the vectors are all there is


class HnswIndex:
    """Approximate search over a navigable small-world graph (Malkov & Yashunin 2016)."""

    def __init__(self, index: Any) -> None:
        self._index = index
        self._vectors = _stored(faiss.downcast_index(index.storage))

    @classmethod
    def build(cls, vectors: FloatMatrix) -> "HnswIndex":
        """Builds the graph; takes minutes for a million vectors."""
        index = faiss.IndexHNSWFlat(vectors.shape[1], _HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = _HNSW_BUILD_WIDTH
        index.add(np.ascontiguousarray(vectors))
        return cls(index)

    @classmethod
    def load(cls, folder: Path) -> "HnswIndex":
        """Reads what `save` wrote.

        Raises:
            RuntimeError: FAISS cannot read the file.
        """
        return cls(faiss.read_index(str(folder / "hnsw.faiss")))

    @property
    def vectors(self) -> FloatMatrix:
        return self._vectors

    def search(self, query: FloatVector, k: int, mask: Mask | None = None) -> Positions:
        if mask is not None and mask.sum() <= _GATHER_LIMIT:
            return _gather(self, query, k, mask)
        width = max(_HNSW_SEARCH_WIDTH, 2 * k)
        selector = _selector(mask) if mask is not None else None
        parameters = (
            faiss.SearchParametersHNSW(efSearch=width, sel=selector)
            if selector is not None
            else faiss.SearchParametersHNSW(efSearch=width)
        )
        return _search(self._index, query, k, parameters)

    def scores(self, query: FloatVector, positions: Positions) -> Scores:
        return _products(self._vectors[positions], query)

    def save(self, folder: Path) -> None:
        faiss.write_index(self._index, str(folder / "hnsw.faiss"))


def make_dense_index(vectors: FloatMatrix, kind: DenseKind) -> DenseIndex:
    """Builds the index that the setting asks for.

    Args:
        vectors: float32 [vectors, dimensions], unit length.
        kind: `auto` is exact up to `EXACT_LIMIT` vectors.
    """
    if picked_kind(len(vectors), kind) == "flat":
        return FlatIndex(vectors)
    return HnswIndex.build(vectors)


def load_dense_index(folder: Path, vectors: FloatMatrix, kind: DenseKind) -> DenseIndex:
    """The same from what `save` wrote, where that spares work."""
    if picked_kind(len(vectors), kind) == "flat" or not (folder / "hnsw.faiss").exists():
        return make_dense_index(vectors, kind)
    return HnswIndex.load(folder)


def picked_kind(count: int, kind: DenseKind) -> Literal["flat", "hnsw"]:
    """What `auto` means for this many vectors."""
    if kind == "auto":
        return "flat" if count <= EXACT_LIMIT else "hnsw"
    return kind


def _stored(flat: Any) -> FloatMatrix:
    if not flat.ntotal:
        return np.zeros((0, flat.d), np.float32)
    return np.asarray(faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d)).reshape(-1, flat.d)


def _products(vectors: FloatMatrix, query: FloatVector) -> Scores:
    # Not a matrix product: there a row's last bit can depend on how many rows stand beside it,
    # and equal vectors would no longer tie.
    return np.asarray(np.einsum("ij,j->i", vectors, query), np.float64)


def _selector(mask: Mask) -> Any:
    return faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))


def _search(index: Any, query: FloatVector, k: int, parameters: Any) -> Positions:
    wanted = min(k, index.ntotal)
    if not wanted:
        return np.zeros(0, np.int64)
    scores, positions = index.search(query[None, :], wanted, params=parameters)
    order = np.lexsort((positions[0], -scores[0]))  # FAISS leaves ties in any order
    best: Positions = positions[0][order]
    return best[best >= 0]


def _gather(index: DenseIndex, query: FloatVector, k: int, mask: Mask) -> Positions:
    positions = np.flatnonzero(mask)
    scores = index.scores(query, positions)
    best: Positions = positions[np.argsort(-scores, kind="stable")[:k]]
    return best
