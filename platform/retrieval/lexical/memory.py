"""BM25 over term counts that are wholly in memory; built anew whenever the counts change.

What always holds: scores equal rank-bm25's `BM25Okapi` (k1 1.5, b 0.75, epsilon floor
0.25) to 1e-9.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from rank_bm25 import BM25Okapi

from rostra.retrieval.lexical.counts import TermCounts
from rostra.retrieval.lexical.scoring import EPSILON, K1, B, Scores, okapi_idf

# Below this many chunks rank-bm25 itself answers.
TINY = 200


class LexicalIndex(Protocol):
    """Scores chunks, named by position, against query terms."""

    def scores(self, terms: Sequence[str]) -> Scores:
        """float64 [chunks]; NaN where a chunk shares no term with the query."""
        ...

    def frequency(self, term: str) -> int:
        """In how many chunks a term occurs."""
        ...


class PostingsIndex:
    """BM25 over postings in arrays: a query touches only the chunks of its terms."""

    def __init__(self, counts: TermCounts) -> None:
        self._ids = {term: at for at, term in enumerate(counts.vocabulary)}
        self._chunks = len(counts)
        order = np.argsort(counts.terms, kind="stable")
        rows = np.repeat(np.arange(len(counts), dtype=np.int32), np.diff(counts.starts))
        self._rows = rows[order]
        self._counts = counts.counts[order].astype(np.float64)
        frequencies = np.bincount(counts.terms, minlength=len(counts.vocabulary))
        self._starts = np.concatenate([[0], np.cumsum(frequencies)])
        self._idf = okapi_idf(frequencies, len(counts))
        mean = counts.lengths.mean() if len(counts) else 1.0
        self._norms = K1 * (1 - B + B * counts.lengths / (mean or 1.0))

    def scores(self, terms: Sequence[str]) -> Scores:
        total = np.zeros(self._chunks)
        touched = np.zeros(self._chunks, np.bool_)
        for term, repeats in Counter(terms).items():
            at = self._ids.get(term)
            if at is None:
                continue
            entries = slice(self._starts[at], self._starts[at + 1])
            rows, counts = self._rows[entries], self._counts[entries]
            gains = self._idf[at] * (counts * (K1 + 1) / (counts + self._norms[rows]))
            total[rows] += repeats * gains
            touched[rows] = True
        return np.where(touched, total, np.nan)

    def frequency(self, term: str) -> int:
        at = self._ids.get(term)
        return int(self._starts[at + 1] - self._starts[at]) if at is not None else 0


class RankBm25Index:
    """The same scores by rank-bm25 itself, for collections too small to need postings."""

    def __init__(self, counts: TermCounts) -> None:
        self._rows = [counts.row(at) for at in range(len(counts))]
        self._sets = [frozenset(row) for row in self._rows]
        self._model = (
            BM25Okapi(self._rows, k1=K1, b=B, epsilon=EPSILON) if any(self._rows) else None
        )

    def scores(self, terms: Sequence[str]) -> Scores:
        if self._model is None:
            return np.full(len(self._rows), np.nan)
        wanted = frozenset(terms)
        touched = [not wanted.isdisjoint(row) for row in self._sets]
        return np.where(touched, self._model.get_scores(list(terms)), np.nan)

    def frequency(self, term: str) -> int:
        return sum(term in row for row in self._sets)


def make_lexical_index(counts: TermCounts) -> LexicalIndex:
    """The index that suits the collection's size."""
    return RankBm25Index(counts) if len(counts) < TINY else PostingsIndex(counts)
