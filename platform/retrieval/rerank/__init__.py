"""Reranking: the best hits are read again, more closely, and ordered anew.

What always holds: reranking reorders the hits it is given and never adds or drops one.
"""

from rostra.retrieval.rerank.cross import CrossEncoderReranker, PairBatches, load_reranker
from rostra.retrieval.rerank.late import (
    LateInteraction,
    LateReranker,
    late_interaction,
    store_tokens,
)
from rostra.retrieval.rerank.order import Reranked, mixed_scores, reordered, rerank_hits
from rostra.retrieval.rerank.protocol import Reranker, Submits
from rostra.retrieval.rerank.stored import TokenManifest

__all__ = [
    "CrossEncoderReranker",
    "LateInteraction",
    "LateReranker",
    "PairBatches",
    "Reranked",
    "Reranker",
    "Submits",
    "TokenManifest",
    "late_interaction",
    "load_reranker",
    "mixed_scores",
    "reordered",
    "rerank_hits",
    "store_tokens",
]
