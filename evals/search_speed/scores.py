"""BM25 as rank-bm25 has it, over numbered words, in the arrays that bm25s searches.

bm25s makes such arrays by itself from lists of tokens, which at a million texts are many gigabytes
of Python objects; here they are made of blocks of numbers. A test holds them against rank-bm25.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from evals.search_speed.texts import Tokens

K1, B, EPSILON = 1.5, 0.75, 0.25


@dataclass(slots=True)
class Postings:
    """Which texts have which words, how often; grows by blocks of texts.

    Attributes:
        vocabulary: how many words there are.
        rows: texts so far.
        tokens: their words.
    """

    vocabulary: int
    rows: int = 0
    tokens: int = 0
    _starts: list[npt.NDArray[np.int64]] = field(default_factory=list)
    _docs: list[npt.NDArray[np.int32]] = field(default_factory=list)
    _counts: list[npt.NDArray[np.uint8]] = field(default_factory=list)

    def add(self, texts: Tokens) -> None:
        """Takes texts, int32 [texts, words]; no word may stand in one more than 255 times."""
        count, width = texts.shape
        keys = texts.astype(np.int64) * count + np.arange(count)[:, None]
        found, counts = np.unique(keys, return_counts=True)
        words, docs = np.divmod(found, count)
        self._starts.append(np.searchsorted(words, np.arange(self.vocabulary + 1)))
        self._docs.append((docs + self.rows).astype(np.int32))
        self._counts.append(counts.astype(np.uint8))
        self.rows += count
        self.tokens += count * width

    def scored(self, width: int) -> tuple[npt.NDArray[np.float32], Tokens, npt.NDArray[np.int64]]:
        """BM25 of every posting, its text, and where each word's postings start.

        Args:
            width: words of every text.
        """
        frequencies = np.zeros(self.vocabulary, np.int64)
        for block in self._starts:
            frequencies += np.diff(block)
        starts = np.concatenate([[0], np.cumsum(frequencies)])
        data = np.empty(starts[-1], np.float32)
        docs = np.empty(starts[-1], np.int32)
        weights = idf(frequencies, self.rows)
        length = K1 * (1 - B + B * width / (self.tokens / max(1, self.rows)))
        free = starts[:-1].copy()
        for at in range(len(self._starts)):
            counted = np.diff(self._starts[at])
            # Where each posting of the block goes: behind what its word has from earlier blocks.
            offset = np.repeat(free - self._starts[at][:-1], counted)
            places = offset + np.arange(len(offset))
            counts = self._counts[at].astype(np.float64)
            gained = counts * (K1 + 1) / (counts + length)
            data[places] = np.repeat(weights, counted) * gained
            docs[places] = self._docs[at]
            free += counted
        return data, docs, starts


def idf(frequencies: npt.NDArray[np.int64], rows: int) -> npt.NDArray[np.float64]:
    """As rank-bm25's BM25Okapi: what is negative becomes a share of the mean."""
    weights: npt.NDArray[np.float64] = np.log(rows - frequencies + 0.5) - np.log(frequencies + 0.5)
    there = frequencies > 0
    if there.any():
        weights[there & (weights < 0)] = EPSILON * weights[there].mean()
    return weights
