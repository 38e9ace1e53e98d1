"""Reranking: the best hits are read again, more closely, and ordered anew.

What always holds: reranking reorders the hits it is given and never adds or drops one.
"""

from rostra.retrieval.rerank.cross import CrossEncoderReranker, PairBatches, load_reranker
from rostra.retrieval.rerank.order import Reranked, reordered, rerank_hits
from rostra.retrieval.rerank.protocol import Reranker, Submits

__all__ = [
    "CrossEncoderReranker",
    "PairBatches",
    "Reranked",
    "Reranker",
    "Submits",
    "load_reranker",
    "reordered",
    "rerank_hits",
]
