"""The lexical side: which chunks share terms with the query, scored by Okapi BM25.

What always holds: scores equal rank-bm25's `BM25Okapi` (k1 1.5, b 0.75, epsilon floor 0.25) to
1e-9, whatever was added and removed before. To that end an index stores term frequencies, never
scores; idf, the number of chunks and their mean length are computed from what is there now.
Only chunks that share a term with the query are ever returned, whatever the sign of their score.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
from rank_bm25 import BM25Okapi

Positions = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

K1, B, EPSILON = 1.5, 0.75, 0.25
# See `term_weight`.
_BACKGROUND = 100
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


@dataclass(frozen=True)
class TermCounts:
    """How often each term occurs in each chunk: one row a chunk, compressed.

    Attributes:
        vocabulary: the terms; a term's id is its place here.
        starts: int64 [chunks + 1]; row i is entries `starts[i]:starts[i + 1]`.
        terms: int32 [entries], term ids.
        counts: int32 [entries], occurrences, at least 1.
    """

    vocabulary: list[str]
    starts: npt.NDArray[np.int64]
    terms: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int32]

    @staticmethod
    def of(texts: Sequence[Sequence[str]]) -> "TermCounts":
        """Counts the terms of analysed texts."""
        ids: dict[str, int] = {}
        starts = np.zeros(len(texts) + 1, np.int64)
        terms: list[int] = []
        counts: list[int] = []
        for row, text in enumerate(texts):
            counted = Counter(text)
            terms += [ids.setdefault(term, len(ids)) for term in counted]
            counts += counted.values()
            starts[row + 1] = len(terms)
        return TermCounts(list(ids), starts, np.array(terms, np.int32), np.array(counts, np.int32))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, rows: Positions) -> "TermCounts":
        """The given rows, in the given order; the vocabulary stays."""
        sizes = np.diff(self.starts)[rows]
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        entries = np.repeat(self.starts[:-1][rows] - starts[:-1], sizes) + np.arange(starts[-1])
        return TermCounts(self.vocabulary, starts, self.terms[entries], self.counts[entries])

    def append(self, other: "TermCounts") -> "TermCounts":
        """These rows, then the other's."""
        ids = {term: at for at, term in enumerate(self.vocabulary)}
        mapping = np.array([ids.setdefault(term, len(ids)) for term in other.vocabulary], np.int32)
        return TermCounts(
            list(ids),
            np.concatenate([self.starts, other.starts[1:] + self.starts[-1]]),
            np.concatenate([self.terms, mapping[other.terms]]),
            np.concatenate([self.counts, other.counts]),
        )

    def compact(self) -> "TermCounts":
        """The same without terms that occur nowhere any more."""
        used, terms = np.unique(self.terms, return_inverse=True)
        vocabulary = [self.vocabulary[at] for at in used]
        return TermCounts(vocabulary, self.starts, terms.astype(np.int32), self.counts)

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """int64 [chunks], terms in each chunk, repeats counted."""
        totals = np.concatenate([[0], np.cumsum(self.counts, dtype=np.int64)])
        lengths: npt.NDArray[np.int64] = np.diff(totals[self.starts])
        return lengths

    def row(self, at: int) -> list[str]:
        """A chunk's terms, repeats together; their order in the text is not kept."""
        entries = slice(self.starts[at], self.starts[at + 1])
        repeated = np.repeat(self.terms[entries], self.counts[entries])
        return [self.vocabulary[term] for term in repeated]


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


def okapi_idf(frequencies: npt.NDArray[np.int64], chunks: int) -> Scores:
    """Inverse chunk frequencies, with rank-bm25's floor for terms in most chunks.

    Args:
        frequencies: int64 [terms], in how many chunks each term occurs, at least 1.
        chunks: how many chunks there are.
    """
    idf = np.log(chunks - frequencies + 0.5) - np.log(frequencies + 0.5)
    present = idf[frequencies > 0]
    if present.size:
        idf = np.where(idf < 0, EPSILON * present.mean(), idf)
    return np.asarray(idf, np.float64)


def term_weight(frequency: int, chunks: int) -> float:
    """How much a term of a question matters, always above 0.

    Its idf as if `_BACKGROUND` more chunks without it were there: in a collection of a few chunks
    their own frequencies say little, and a term that is found must not weigh next to nothing. A
    term that occurs nowhere weighs as much as one that occurs once.
    """
    known = max(1, frequency)
    return float(np.log1p((chunks + _BACKGROUND - known + 0.5) / (known + 0.5)))


def make_lexical_index(counts: TermCounts) -> LexicalIndex:
    """The index that suits the collection's size."""
    return RankBm25Index(counts) if len(counts) < TINY else PostingsIndex(counts)


def best_positions(scores: Scores, k: int, mask: Mask | None = None) -> Positions:
    """Positions of the k best scores that are numbers, best first, ties by position.

    Args:
        scores: float64 [chunks]; NaN is never returned.
        k: most positions.
        mask: bool [chunks]; False is never returned.
    """
    allowed = ~np.isnan(scores) if mask is None else ~np.isnan(scores) & mask
    positions = np.flatnonzero(allowed)
    values = scores[positions]
    if 0 < k < len(positions):
        # Everything at least as good as the k-th, so that ties at the edge fall by position.
        edge = np.partition(values, len(values) - k)[len(values) - k]
        keep = values >= edge
        positions, values = positions[keep], values[keep]
    best: Positions = positions[np.argsort(-values, kind="stable")][:k]
    return best
