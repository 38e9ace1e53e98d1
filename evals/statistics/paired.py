"""Two systems on the same samples: is one better, and by how much?

Everything looks at the differences `a - b`, sample by sample, so what makes a sample hard for both
drops out. Where samples come in clusters the sums of whole clusters are compared.

What always holds: `difference` is the mean of `a - b`; p-values are two-sided, at most 1, and never
0 by simulation. Swapping a and b turns the sign and keeps the p-value (the bootstrap: up to the
noise of simulation), and the order of samples and the names of clusters make no difference.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from evals.statistics.errors import StatisticsError
from evals.statistics.estimate import Interval, clustered_error, exact_mean, t_quantile
from evals.statistics.inputs import (
    Clusters,
    Floats,
    Grouping,
    check_level,
    check_resamples,
    generator,
    read_clusters,
    read_numbers,
    read_outcomes,
)
from evals.statistics.resampling import bootstrap, divide, draw_counts, mean_of

_CELLS = 4_000_000  # of the matrix of signs that is held at once
_ROUNDING = 1e-12  # sums that differ by less, relative to what was summed, count as equal


@dataclass(frozen=True, slots=True)
class PairedResult:
    """What a paired comparison found.

    Attributes:
        difference: mean of `a - b`, in the unit of the values.
        interval: of the true difference; None where the method gives none or the data say nothing.
        p_value: two-sided, of no difference; None where the data say nothing.
        n: samples.
        wins: samples where a is greater; `losses` where b is, `ties` where neither.
        clusters: independent groups of samples.
    """

    difference: float
    interval: Interval | None
    p_value: float | None
    n: int
    wins: int
    losses: int
    ties: int
    method: str
    clusters: int


def paired_randomisation(
    a: ArrayLike,
    b: ArrayLike,
    clusters: Clusters | None = None,
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int,
) -> PairedResult:
    """The randomisation test (Fisher, 1935): if a and b are alike, swapping them changes nothing.

    Signs of whole clusters are flipped; all ways are tried where they are at most `resamples`,
    otherwise that many at random, of which the observed one is counted too (Phipson and Smyth,
    2010). The interval holds the differences that the test would not reject: its ends are means of
    random halves of the clusters (Hartigan's typical values, 1969).

    Returns:
        No interval where there are too few clusters for the level, under six at 95 %.

    Raises:
        StatisticsError: for values that are not finite numbers, or of different numbers.
    """
    check_level(level)
    check_resamples(resamples)
    differences, groups = _read(a, b, clusters)
    sums, sizes = groups.sums(differences), groups.sizes()
    order = np.lexsort((sums, sizes, np.abs(sums)))
    sums, sizes = sums[order], sizes[order]
    magnitudes = np.abs(sums)
    total = float(magnitudes.sum())
    bar = abs(math.fsum(sums.tolist())) - _ROUNDING * total
    exact = groups.count < int(resamples).bit_length()  # 2**count <= resamples
    flips = (
        _all_flips(groups.count)
        if exact
        else _random_flips(generator(seed), groups.count, resamples)
    )
    as_far = ways = 0
    means = []
    for flipped in flips:
        as_far += int(np.count_nonzero(np.abs(total - 2 * (flipped @ magnitudes)) >= bar))
        ways += len(flipped)
        # Flipping a cluster of a shifted sample is as likely as not while the mean of the
        # flipped ones is beyond the shift.
        drawn = divide(flipped @ sums, flipped @ sizes)
        means.append(drawn[np.isfinite(drawn)])
    p_value = as_far / ways if exact else (as_far + 1) / (ways + 1)
    interval = _between(np.sort(np.concatenate(means)), level)
    method = "exact randomisation" if exact else "randomisation"
    return _result(differences, groups, interval, p_value, method)


def paired_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    clusters: Clusters | None = None,
    *,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int,
) -> PairedResult:
    """The bootstrap of the difference over whole clusters (Efron and Tibshirani, 1993, chapter 16).

    The interval is BCa's. The p-value is the share of resamples whose difference is as far from
    the observed one as that is from 0. With few clusters, under thirty or so, it is too bold:
    prefer `paired_randomisation`.

    Raises:
        StatisticsError: as `paired_randomisation`.
    """
    differences, groups = _read(a, b, clusters)
    estimate = bootstrap(
        differences, mean_of, groups.codes, resamples=resamples, level=level, seed=seed
    )
    mean = exact_mean(differences)
    p_value = None if differences.any() else 1.0
    if estimate.interval is not None:
        sums, sizes = groups.sums(differences), groups.sizes()
        order = np.lexsort((sums, sizes, np.abs(sums)))
        clustered = Grouping(np.arange(groups.count, dtype=np.int64), groups.count)
        as_far, bar = 0, abs(mean) - _ROUNDING * float(np.mean(np.abs(differences)))
        for counts in draw_counts(generator(seed), clustered, resamples):
            drawn = (counts @ sums[order]) / (counts @ sizes[order])
            as_far += int(np.count_nonzero(np.abs(drawn - mean) >= bar))
        p_value = (as_far + 1) / (resamples + 1)
    return _result(differences, groups, estimate.interval, p_value, "bootstrap")


def paired_t(
    a: ArrayLike, b: ArrayLike, clusters: Clusters | None = None, *, level: float = 0.95
) -> PairedResult:
    """Student's paired test with clustered standard errors, as in `mean_estimate`.

    Returns:
        Neither interval nor p-value where all clusters differ by the same, unless by nothing: then
        the p-value is 1.

    Raises:
        StatisticsError: as `paired_randomisation`.
    """
    check_level(level)
    differences, groups = _read(a, b, clusters)
    mean = exact_mean(differences)
    error = clustered_error(differences, groups, mean)
    interval = None
    p_value = None if differences.any() else 1.0
    if error is not None:
        reach = t_quantile(level, groups.count - 1) * error
        interval = Interval(mean - reach, mean + reach, level)
        p_value = float(2 * special.stdtr(groups.count - 1, -abs(mean) / error))
    return _result(differences, groups, interval, p_value, "t")


def mcnemar_exact(a: ArrayLike, b: ArrayLike, *, level: float = 0.95) -> PairedResult:
    """McNemar's test (1947) of right and wrong answers, exact: a coin toss a discordant sample.

    The interval of the difference of shares is Wald's after half a sample more in each of the four
    cells (Agresti and Min, 2005); close to significance it may disagree with the exact p-value,
    which is the more cautious one. For independent samples only.

    Raises:
        StatisticsError: as `paired_randomisation`, and for values other than 0 and 1.
    """
    check_level(level)
    differences, groups = _read(read_outcomes(a, "a"), read_outcomes(b, "b"), None)
    n = differences.size
    gap, discordant = float(differences.sum()), float(np.abs(differences).sum())
    centre = gap / (n + 2)
    reach = float(special.ndtri(0.5 + level / 2))
    reach *= math.sqrt(discordant + 1 - gap**2 / (n + 2)) / (n + 2)
    interval = Interval(max(-1.0, centre - reach), min(1.0, centre + reach), level)
    return _result(differences, groups, interval, _coin_toss(differences), "exact McNemar")


def sign_test(a: ArrayLike, b: ArrayLike) -> PairedResult:
    """The sign test: does a win as often as b, ties left out? For independent samples only.

    Returns:
        No interval: the test says nothing on the size of the difference.

    Raises:
        StatisticsError: as `paired_randomisation`.
    """
    differences, groups = _read(a, b, None)
    return _result(differences, groups, None, _coin_toss(differences), "sign")


def wilcoxon_test(a: ArrayLike, b: ArrayLike) -> PairedResult:
    """Wilcoxon's signed-rank test (1945), ties left out, as in `scipy.stats.wilcoxon`.

    For independent samples only.

    Returns:
        No interval: the test is about ranks, not about the mean.

    Raises:
        StatisticsError: as `paired_randomisation`.
    """
    differences, groups = _read(a, b, None)
    p_value = 1.0
    if differences.any():
        from scipy import stats  # half a second, for those alone who ask for it

        p_value = min(1.0, float(stats.wilcoxon(differences[differences != 0]).pvalue))
    return _result(differences, groups, None, p_value, "Wilcoxon")


def _read(a: ArrayLike, b: ArrayLike, clusters: Clusters | None) -> tuple[Floats, Grouping]:
    first, second = read_numbers(a, "a"), read_numbers(b, "b")
    if first.size != second.size:
        raise StatisticsError(f"a has {first.size} values, b {second.size}: they must be paired")
    return first - second, read_clusters(clusters, first.size)


def _result(
    differences: Floats,
    groups: Grouping,
    interval: Interval | None,
    p_value: float | None,
    method: str,
) -> PairedResult:
    return PairedResult(
        difference=exact_mean(differences),
        interval=interval,
        p_value=p_value,
        n=differences.size,
        wins=int(np.count_nonzero(differences > 0)),
        losses=int(np.count_nonzero(differences < 0)),
        ties=int(np.count_nonzero(differences == 0)),
        method=method,
        clusters=groups.count,
    )


def _coin_toss(differences: Floats) -> float:
    wins, losses = np.count_nonzero(differences > 0), np.count_nonzero(differences < 0)
    if wins + losses == 0:
        return 1.0
    from scipy import stats  # half a second, for those alone who ask for it

    return float(stats.binomtest(wins, wins + losses).pvalue)


def _all_flips(count: int) -> Iterator[Floats]:
    ways = np.arange(2**count)
    yield (ways[:, None] >> np.arange(count) & 1).astype(np.float64)


def _random_flips(rng: np.random.Generator, count: int, resamples: int) -> Iterator[Floats]:
    """Rows of 0 and 1, in several parts."""
    rows = max(1, _CELLS // count)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        packed = rng.integers(256, size=(size, -(-count // 8)), dtype=np.uint8)
        yield np.unpackbits(packed, axis=1, count=count).astype(np.float64)


def _between(means: Floats, level: float) -> Interval | None:
    """Between which of the sorted typical values the true one lies; each gap is as likely."""
    rank = math.floor((means.size + 1) * (1 - level) / 2 + 1e-9)
    if rank < 1 or means[-1] - means[0] <= _ROUNDING * np.max(np.abs(means)):
        return None
    return Interval(float(means[rank - 1]), float(means[-rank]), level)
