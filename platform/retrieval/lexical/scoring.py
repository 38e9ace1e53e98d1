"""BM25 in its three forms, with the formulas of rank-bm25.

What always holds: a score is a sum over the query's terms in the order of the terms themselves, and
then what every row gets. Each gain is computed by the same operations wherever that is done (numpy,
kernels), so that two chunks with equal counts have bit-equal scores and only their `tie` decides
between them.

Sources: Trotman, Puurula and Burgess, "Improvements to BM25 and Language Models Examined", ADCS
2014; Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009; the
epsilon floor is rank-bm25's own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Ties = npt.NDArray[np.uint64]

K1, B, EPSILON = 1.5, 0.75, 0.25
# See `term_weight`.
_BACKGROUND = 100
# Counts and lengths up to which gains are looked up: half a core's cache.
_TABLE = (32, 1024)


class Variant(StrEnum):
    """Which BM25."""

    OKAPI = "okapi"
    PLUS = "plus"
    L = "l"


@dataclass(frozen=True, slots=True)
class Bm25:
    """A form of BM25 and its parameters; the defaults are rank-bm25's.

    Attributes:
        variant: which formula.
        k1: how slowly repeats of a term saturate, above 0.
        b: how much long chunks are held back, 0 to 1.
        epsilon: share of the mean idf that terms in most chunks get (Okapi).
        delta: least gain of a term that occurs (Plus 1, L 0.5); None is the variant's.
    """

    variant: Variant = Variant.OKAPI
    k1: float = K1
    b: float = B
    epsilon: float = EPSILON
    delta: float | None = None

    @property
    def lift(self) -> float:
        """`delta`, or the variant's own."""
        if self.delta is not None:
            return self.delta
        return {Variant.OKAPI: 0.0, Variant.PLUS: 1.0, Variant.L: 0.5}[self.variant]


@dataclass(frozen=True)
class Statistics:
    """What a collection's live chunks have in common; terms and chunks that are gone do not count.

    Attributes:
        chunks: how many there are.
        total_length: their terms, repeats counted.
        histogram: how many terms occur in exactly so many chunks, by that number.
    """

    chunks: int = 0
    total_length: int = 0
    histogram: Mapping[int, int] = field(default_factory=dict)

    @property
    def mean_length(self) -> float:
        """Terms in a chunk on average; 1 where there are none."""
        return self.total_length / self.chunks if self.total_length else 1.0

    @cached_property
    def mean_idf(self) -> float:
        """Mean over all terms of Okapi's idf, before its floor.

        One term per distinct frequency is computed, times how many have it.
        """
        if not self.histogram:
            return 0.0
        frequencies = np.fromiter(self.histogram.keys(), np.int64, len(self.histogram))
        terms = np.fromiter(self.histogram.values(), np.int64, len(self.histogram))
        return float((_raw_idf(frequencies, self.chunks) * terms).sum() / terms.sum())


def idf(model: Bm25, frequencies: npt.NDArray[np.int64], statistics: Statistics) -> Scores:
    """What each term of a query weighs; 0 for terms that occur nowhere.

    Args:
        model: the form of BM25.
        frequencies: int64 [terms], in how many live chunks each occurs.
        statistics: of the live chunks.
    """
    known = np.maximum(frequencies, 1).astype(np.float64)
    chunks = statistics.chunks
    match model.variant:
        case Variant.OKAPI:
            weights = _raw_idf(known, chunks)
            if (weights < 0).any():
                weights = np.where(weights < 0, model.epsilon * statistics.mean_idf, weights)
        case Variant.PLUS:
            weights = np.log((chunks + 1) / known)
        case Variant.L:
            weights = np.log(chunks + 1) - np.log(known + 0.5)
    return np.where(frequencies > 0, weights, 0.0)


def gains(
    model: Bm25,
    weight: float,
    counts: npt.NDArray[np.generic],
    lengths: npt.NDArray[np.generic],
    mean_length: float,
) -> Scores:
    """What one term adds to the score of chunks in which it occurs.

    Args:
        model: the form of BM25.
        weight: the term's idf, times its repeats in the query.
        counts: [chunks], how often it occurs in each, at least 1.
        lengths: [chunks], terms in each.
        mean_length: of all live chunks.
    """
    tf = counts.astype(np.float64)
    shape = (1.0 - model.b) + (model.b / mean_length) * lengths.astype(np.float64)
    if model.variant is Variant.L:
        spread = tf / shape + model.lift
        return weight * (tf * (model.k1 + 1.0) * spread / (model.k1 + spread))
    return weight * (tf * (model.k1 + 1.0) / (tf + model.k1 * shape))


def factor_table(model: Bm25, mean_length: float) -> tuple[Scores, Scores]:
    """What a kernel needs to compute `gains` of a weight.

    Returns:
        float64 [counts, lengths], the gains of a weight of 1 for usual counts and lengths, and
        float64 [4], k1, 1 - b, b / mean length, and delta where it is BM25L's, else NaN: BM25L's
        own may be 0.
    """
    counts = np.arange(_TABLE[0], dtype=np.float64)[:, None]
    lengths = np.arange(_TABLE[1], dtype=np.float64)[None, :]
    table = np.zeros(_TABLE, np.float64)
    # A count of 0 never occurs; with a length of 0 it would divide by 0 where b is 1.
    table[1:, 1:] = gains(model, 1.0, counts[1:], lengths[:, 1:], mean_length)
    lift = model.lift if model.variant is Variant.L else np.nan
    form = np.array([model.k1, 1.0 - model.b, model.b / mean_length, lift])
    table.flags.writeable = form.flags.writeable = False
    return table, form


def base_score(model: Bm25, weights: Scores) -> float:
    """What every chunk gets before any term is counted: Plus gives its lift to all of them."""
    return float(sum(weights.tolist()) * model.lift) if model.variant is Variant.PLUS else 0.0


def _raw_idf(frequencies: npt.NDArray[np.generic], chunks: int) -> Scores:
    known = frequencies.astype(np.float64)
    return np.asarray(np.log(chunks - known + 0.5) - np.log(known + 0.5), np.float64)


def term_weight(frequency: int, chunks: int) -> float:
    """How much a term of a question matters, always above 0.

    Its idf as if `_BACKGROUND` more chunks without it were there: in a collection of a few chunks
    their own frequencies say little, and a term that is found must not weigh next to nothing. A
    term that occurs nowhere weighs as much as one that occurs once.
    """
    known = max(1, frequency)
    return float(np.log1p((chunks + _BACKGROUND - known + 0.5) / (known + 0.5)))
