"""The dense side: which chunks' vectors point where the query's does.

Two ways stand here. `DenseWriter` and `DenseReader` follow a collection as it changes, over vectors
on disk and an index of any kind. `make_dense_index` builds an index of vectors in memory, whole,
for collections that are small or change as a whole.

What always holds: scores are inner products of unit vectors; a mask is honoured inside the search,
never after it; `scores` is exact for any position. Kinds differ in how they find candidates only.
"""

from rostra.retrieval.dense.finder import DenseOptions, FinderFailed, FinderKind
from rostra.retrieval.dense.live import MOST_FOUND, DenseReader, DenseWriter
from rostra.retrieval.dense.store import UnusableVector, VectorStore, VectorView
from rostra.retrieval.dense.whole import (
    EXACT_LIMIT,
    DenseIndex,
    DenseKind,
    FlatIndex,
    HnswIndex,
    load_dense_index,
    make_dense_index,
    picked_kind,
)

__all__ = [
    "EXACT_LIMIT",
    "MOST_FOUND",
    "DenseIndex",
    "DenseKind",
    "DenseOptions",
    "DenseReader",
    "DenseWriter",
    "FinderFailed",
    "FinderKind",
    "FlatIndex",
    "HnswIndex",
    "UnusableVector",
    "VectorStore",
    "VectorView",
    "load_dense_index",
    "make_dense_index",
    "picked_kind",
]
