"""How often each term occurs in each chunk, in memory, one row a chunk."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rostra.retrieval.lexical.scoring import Positions


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
