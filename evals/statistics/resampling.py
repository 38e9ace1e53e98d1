"""The bootstrap over whole clusters, for any statistic.

A resample is a row of counts: how often each value is in it. Statistics take the values and a
matrix of such rows and answer with one number a row, so thousands of resamples are a few array
operations, clusters of unequal size included.

What always holds: the same data and seed give the same result, whatever the order of the values
and the names of the clusters.
"""

import math
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from evals.statistics.errors import StatisticsError
from evals.statistics.estimate import Estimate, Interval, t_quantile
from evals.statistics.inputs import (
    Clusters,
    Floats,
    Grouping,
    Integers,
    check_level,
    check_open_share,
    check_resamples,
    generator,
    read_clusters,
    read_numbers,
)

# (values [n] or [n, features], counts [rows, n]) -> a number a row; NaN where it is undefined.
Statistic = Callable[[Floats, Integers], Floats]
Method = Literal["bca", "percentile"]

_CELLS = 2_000_000  # of the matrix of counts that is held at once
_BUNCHES = 1000  # of clusters, that the jackknife leaves out where there are many
_MOST_UNDEFINED = 0.1  # share of resamples without a value, beyond which there is no interval


def bootstrap(
    values: ArrayLike,
    statistic: Statistic,
    clusters: Clusters | None = None,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int,
    method: Method = "bca",
) -> Estimate:
    """A statistic with a bootstrap interval (Efron, 1979) over whole clusters.

    `bca` corrects the percentile interval for bias and skew (Efron, 1987), with the jackknife over
    clusters; it needs a smooth statistic. For percentiles take `percentile`. Both reach further
    into the tails by what t reaches beyond the normal distribution, without which intervals from
    few clusters are too narrow (Hesterberg, "What Teachers Should Know About the Bootstrap",
    2015). Under ten clusters or so they still are.

    Args:
        values: n numbers, or n rows of numbers that `statistic` knows how to read.
        statistic: `mean_of`, `ratio_of`, `percentile_of(...)`, `of_sample(...)`, or one's own.

    Returns:
        No interval and no standard error where all resamples agree, where there are fewer than two
        clusters, or where the statistic is undefined in more than a tenth of the resamples.

    Raises:
        StatisticsError: for values that are not finite numbers, parameters out of range, or a
            statistic that is undefined on the sample itself.
    """
    check_level(level)
    check_resamples(resamples)
    array = read_numbers(values, dimensions=(1, 2))
    groups = read_clusters(clusters, len(array))
    array, groups = _in_order(array, groups)
    n = len(array)
    whole = statistic(array, np.ones((1, n), dtype=np.int64))
    if whole.shape != (1,):
        raise StatisticsError(f"the statistic gave shape {whole.shape} for one resample, not (1,)")
    if not math.isfinite(observed := float(whole[0])):
        raise StatisticsError("the statistic is undefined on this sample")
    nothing = Estimate(observed, None, None, n, groups.count)
    if groups.count == 1:
        return nothing
    rng = generator(seed)
    drawn = np.concatenate(
        [statistic(array, counts) for counts in draw_counts(rng, groups, resamples)]
    )
    drawn = np.sort(drawn[np.isfinite(drawn)])
    if drawn.size < (1 - _MOST_UNDEFINED) * resamples or _same(drawn[0], drawn[-1]):
        return nothing
    reach = math.sqrt(groups.count / (groups.count - 1)) * t_quantile(level, groups.count - 1)
    ends = np.array([-reach, reach])
    if method == "bca":
        ends = _corrected(ends, drawn, observed, _jackknife(array, groups, statistic, rng))
    low, high = np.quantile(drawn, special.ndtr(ends), method="weibull")
    interval = Interval(float(low), float(high), level)
    return Estimate(observed, interval, float(np.std(drawn, ddof=1)), n, groups.count)


def mean_of(values: Floats, counts: Integers) -> Floats:
    """The mean of each resample."""
    means: Floats = counts @ values / counts.sum(axis=1)
    return means


def ratio_of(values: Floats, counts: Integers) -> Floats:
    """For rows (numerator, denominator): sum over sum."""
    sums = counts @ values
    return divide(sums[:, 0], sums[:, 1])


def percentile_of(percent: float) -> Statistic:
    """The percentile of each resample: the least value that `percent` of it do not exceed.

    Raises:
        StatisticsError: for a percentile that is not between 0 and 100.
    """
    check_open_share(percent / 100, "percent / 100")

    def percentile(values: Floats, counts: Integers) -> Floats:
        order = np.argsort(values, kind="stable")
        reached = np.cumsum(counts[:, order], axis=1)
        wanted = np.maximum(np.ceil(reached[:, -1] * (percent / 100) - 1e-9), 1)
        # `values` come sorted from `bootstrap`, but a caller may use the statistic on its own.
        picked: Floats = values[order][np.argmax(reached >= wanted[:, None], axis=1)]
        return picked

    return percentile


def of_sample(function: Callable[[Floats], float]) -> Statistic:
    """Makes a statistic of a function of a plain sample; slow, one call a resample."""

    def statistic(values: Floats, counts: Integers) -> Floats:
        rows = (function(np.repeat(values, row, axis=0)) for row in counts)
        return np.fromiter(rows, dtype=np.float64, count=len(counts))

    return statistic


def draw_counts(rng: np.random.Generator, groups: Grouping, resamples: int) -> Iterator[Integers]:
    """How often each value is in each resample of whole clusters; [rows, n], in several parts."""
    rows = max(1, _CELLS // groups.codes.size)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = rng.integers(groups.count, size=(size, groups.count))
        drawn += np.arange(size)[:, None] * groups.count
        counts = np.bincount(drawn.ravel(), minlength=size * groups.count)
        yield counts.reshape(size, groups.count)[:, groups.codes]


def divide(above: Floats, below: Floats) -> Floats:
    """Quotients, NaN (and no warning) where the denominator is 0."""
    undefined: Floats = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    return np.divide(above, below, out=undefined, where=below != 0)


def _in_order(values: Floats, groups: Grouping) -> tuple[Floats, Grouping]:
    """The same clusters, sorted by what is in them."""
    rows = values.reshape(len(values), -1)
    order = np.lexsort((*rows.T[::-1],))
    if groups.single:
        return values[order], read_clusters(None, len(values))
    codes, rows = groups.codes[order], rows[order]
    members = np.argsort(codes, kind="stable")  # cluster by cluster, each sorted
    starts = np.flatnonzero(np.diff(codes[members], prepend=-1))
    content = [part.tolist() for part in np.split(rows[members], starts[1:])]
    ranking = sorted(range(groups.count), key=content.__getitem__)
    place = np.empty(groups.count, dtype=np.int64)
    place[ranking] = np.arange(groups.count)
    final = np.argsort(place[codes], kind="stable")
    return values[order][final], Grouping(place[codes][final], groups.count)


def _jackknife(
    values: Floats, groups: Grouping, statistic: Statistic, rng: np.random.Generator
) -> Floats:
    """The statistic without each cluster in turn, or without each of many random bunches of them.

    The skew of bunches falls as their number does, so BCa's acceleration stays what it is.
    """
    codes, count = groups.codes, groups.count
    if count > 2 * _BUNCHES:
        codes, count = (rng.permutation(count) % _BUNCHES)[codes], _BUNCHES
    rows = max(1, _CELLS // codes.size)
    parts = []
    for start in range(0, count, rows):
        left_out = np.arange(start, min(start + rows, count))
        parts.append(statistic(values, (codes != left_out[:, None]).astype(np.int64)))
    found = np.concatenate(parts)
    return found[np.isfinite(found)]


def _corrected(ends: Floats, drawn: Floats, observed: float, jackknife: Floats) -> Floats:
    """BCa's ends, in standard deviations: shifted for the median's bias and stretched for skew.

    Where the observed value lies beyond all resamples, the bias is that of half a resample.
    """
    noise = 1e-12 * max(abs(drawn[0]), abs(drawn[-1]))
    below = np.count_nonzero(drawn < observed - noise)
    equal = np.count_nonzero(drawn <= observed + noise) - below
    share = np.clip((below + equal / 2) / drawn.size, 0.5 / drawn.size, 1 - 0.5 / drawn.size)
    bias = special.ndtri(share)
    deviations = jackknife.mean() - jackknife if jackknife.size else np.zeros(1)
    spread = np.sum(deviations**2)
    skew = np.sum(deviations**3) / (6 * spread**1.5) if spread > 0 else 0.0
    shifted = bias + ends
    # An acceleration so strong that the map folds over has no inverse: then bias alone.
    stretch = 1 - skew * shifted
    shifted = shifted / stretch if np.all(stretch > 0.1) else shifted
    corrected: Floats = bias + shifted
    return corrected


def _same(low: float, high: float) -> bool:
    """Is the difference rounding only?"""
    return bool(high - low <= 1e-12 * max(abs(low), abs(high)))
