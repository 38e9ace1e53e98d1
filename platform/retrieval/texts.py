"""Finds the best of a few texts in memory: facts about a user, descriptions of tools.

Not for collections: those have `Searcher`. BM25's idf says little of a handful of texts and even
turns negative, so a term weighs here what it weighs when evidence for an answer is judged.

What always holds: a text that shares no term with the query is found by its vector alone, and only
when that is close enough; ties fall by position.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from rostra.core import FloatMatrix, FloatVector
from rostra.retrieval.analysis import Analyzer, EnglishAnalyzer
from rostra.retrieval.fuse import convex
from rostra.retrieval.lexical import best_positions, term_weight

# Cosine of all-MiniLM-L6-v2 above which two short texts are usually about the same thing.
_CLOSE = 0.35
_DENSE_WEIGHT = 0.6


class TextIndex:
    """See this module.

    Args:
        texts: what is looked through; a result is a position in it.
        vectors: of the texts, unit length, float32 [texts, dimensions]; None leaves them out.
        analyzer: text to terms.
    """

    def __init__(
        self,
        texts: Sequence[str],
        vectors: FloatMatrix | None = None,
        analyzer: Analyzer | None = None,
    ) -> None:
        self._analyzer = analyzer or EnglishAnalyzer()
        self._size = len(texts)
        self._vectors = vectors
        self._postings: dict[str, list[int]] = defaultdict(list)
        for at, text in enumerate(texts):
            for term in dict.fromkeys(self._analyzer.terms(text)):
                self._postings[term].append(at)

    def best(
        self, query: str, k: int, vector: FloatVector | None = None, close: float = _CLOSE
    ) -> list[int]:
        """Positions of the k best texts for a query, best first.

        Args:
            query: in words.
            k: most positions.
            vector: the query's, when the texts have theirs.
            close: least cosine of a text that shares no term with the query.
        """
        lexical = np.full(self._size, np.nan)
        for term in dict.fromkeys(self._analyzer.terms(query)):
            rows = self._postings.get(term)
            if rows is not None:
                weight = term_weight(len(rows), self._size)
                lexical[rows] = np.nan_to_num(lexical[rows]) + weight
        if self._vectors is None or vector is None or not self._size:
            return [int(at) for at in best_positions(lexical, k)]
        dense = (self._vectors @ vector).astype(np.float64)
        allowed = ~np.isnan(lexical) | (dense >= close)
        fused = convex(dense, lexical, _DENSE_WEIGHT)
        return [int(at) for at in best_positions(fused, k, allowed)]
