"""The dense side: which chunks' vectors point where the query's does.

`DenseWriter` and `DenseReader` follow a collection as it changes, over vectors on disk and an index
of any kind.

What always holds: scores are inner products of unit vectors; a mask is honoured inside the search,
never after it; `scores` is exact for any position. Kinds differ in how they find candidates only.
"""

from rostra.retrieval.dense.finder import DenseOptions, FinderFailed
from rostra.retrieval.dense.live import MOST_FOUND, DenseReader, DenseWriter
from rostra.retrieval.dense.store import VectorStore, VectorView

__all__ = [
    "MOST_FOUND",
    "DenseOptions",
    "DenseReader",
    "DenseWriter",
    "FinderFailed",
    "VectorStore",
    "VectorView",
]
