"""The lexical side: which chunks share terms with the query, scored by BM25.

What always holds: scores equal rank-bm25's to 1e-9, whatever was added, removed and merged
before. To that end term frequencies are stored, never scores; idf, the number of chunks and their
mean length are computed from what is there now. Only chunks that share a term with the query are
ever returned, whatever the sign of their score.
"""

from rostra.retrieval.lexical.placing import TermSearch
from rostra.retrieval.lexical.query import (
    LexicalQuery,
    ParsedQuery,
    analyzed_query,
    parse_query,
)
from rostra.retrieval.lexical.reader import LexicalReader
from rostra.retrieval.lexical.scoring import (
    EPSILON,
    K1,
    B,
    Bm25,
    Mask,
    Positions,
    Scores,
    Statistics,
    Ties,
    Variant,
    term_weight,
)
from rostra.retrieval.lexical.storage import DamagedIndex
from rostra.retrieval.lexical.top import best_positions
from rostra.retrieval.lexical.writer import LexicalWriter

__all__ = [
    "EPSILON",
    "K1",
    "B",
    "Bm25",
    "DamagedIndex",
    "LexicalQuery",
    "LexicalReader",
    "LexicalWriter",
    "Mask",
    "ParsedQuery",
    "Positions",
    "Scores",
    "Statistics",
    "TermSearch",
    "Ties",
    "Variant",
    "analyzed_query",
    "best_positions",
    "parse_query",
    "term_weight",
]
