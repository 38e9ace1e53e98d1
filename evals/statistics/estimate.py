"""A mean or a share with its error bar.

Samples that come in clusters (questions about one document, repeats of one prompt) carry less
than their number: cluster sums, not values, are what varies independently. Plain samples are
clusters of one.

What always holds: no field is NaN; where the data cannot say how much they vary (one value, one
cluster, no variation at all) there is no standard error and no interval, rather than one of width
zero. Neither the order of the values nor the names of the clusters make a difference.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from evals.statistics.inputs import (
    Clusters,
    Floats,
    Grouping,
    check_level,
    check_open_share,
    read_clusters,
    read_numbers,
    read_outcomes,
)


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval.

    Attributes:
        level: the share of such intervals that hold the true number, 0.95 as a rule.
    """

    low: float
    high: float
    level: float

    def contains(self, value: float) -> bool:
        """Is the value in it, ends included?"""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number computed from a sample, and how far to trust it.

    Attributes:
        mean: the mean, or whatever other statistic was asked for.
        interval: None where the sample is too small or too uniform to say.
        standard_error: None as `interval`, or where the method gives none.
        n: values.
        clusters: independent groups of them; `n` where each stands alone.
    """

    mean: float
    interval: Interval | None
    standard_error: float | None
    n: int
    clusters: int


def mean_estimate(
    values: ArrayLike, clusters: Clusters | None = None, *, level: float = 0.95
) -> Estimate:
    """The mean with its (clustered) standard error and t interval.

    The standard error sums residuals within clusters (Liang and Zeger, 1986), times
    `clusters / (clusters - 1)` under the root for small samples; t has `clusters - 1` degrees of
    freedom (Cameron and Miller, 2015). For language models see Miller, "Adding Error Bars to
    Evals" (2024). With one value a cluster it is the textbook interval.

    For shares near 0 or 1, and where all values may be equal, use `proportion_estimate`.

    Args:
        values: one a sample, of any unit.
        clusters: a label a value; values with equal labels may depend on each other.

    Raises:
        StatisticsError: for no values, values that are not finite, labels of another number.
    """
    check_level(level)
    array = read_numbers(values)
    groups = read_clusters(clusters, array.size)
    mean = exact_mean(array)
    error = clustered_error(array, groups, mean)
    interval = None
    if error is not None:
        reach = t_quantile(level, groups.count - 1) * error
        interval = Interval(mean - reach, mean + reach, level)
    return Estimate(mean, interval, error, array.size, groups.count)


def proportion_estimate(
    outcomes: ArrayLike, clusters: Clusters | None = None, *, level: float = 0.95
) -> Estimate:
    """A share of right outcomes with Wilson's score interval (1927), honest near 0 and 1.

    With clusters, n gives way to the effective number of samples, `p(1 - p) / variance` and at
    most n, and the normal quantile to that of t with `clusters - 1` degrees of freedom (Korn and
    Graubard, 1998; Dean and Pagano, 2015). Where all outcomes are equal nothing shows how alike
    the samples of a cluster are, so clusters count as one sample each.

    Returns:
        No interval for one cluster of several samples; no standard error where all are equal.

    Raises:
        StatisticsError: as `mean_estimate`, and for outcomes other than 0 and 1.
    """
    check_level(level)
    array = read_outcomes(outcomes)
    groups = read_clusters(clusters, array.size)
    n, share = array.size, exact_mean(array)
    error = clustered_error(array, groups, share)
    if groups.single:
        error = math.sqrt(share * (1 - share) / n) or None
        interval = wilson(share, n, float(special.ndtri(0.5 + level / 2)), level)
    elif groups.count == 1:
        interval = None
    else:
        if share in (0, 1):
            effective: float = groups.count
        elif error is None:  # every cluster has the same share: better than independent
            effective = n
        else:
            effective = min(n, share * (1 - share) / error**2)
        interval = wilson(share, effective, t_quantile(level, groups.count - 1), level)
    return Estimate(share, interval, error, n, groups.count)


def percentile_estimate(values: ArrayLike, percent: float, *, level: float = 0.95) -> Estimate:
    """A percentile, such as the p99 of latencies, between two order statistics.

    The interval is free of any assumption on the distribution (Hahn and Meeker, "Statistical
    Intervals", 1991): its ends are values of the sample, and it covers at least `level`, often
    more. There is none where the sample is too small to have a value beyond the percentile with
    enough certainty: at 95 %, p50 takes 6 values, p95 72 and p99 368. The values must be
    independent; for clusters use `bootstrap(values, percentile_of(percent), clusters, ...)`.
    Where many values are equal the interval may be that one value, and rightly.

    Args:
        percent: 0 to 100, both excluded.

    Raises:
        StatisticsError: as `mean_estimate`, and for a percentile out of range.
    """
    check_level(level)
    check_open_share(percent / 100, "percent / 100")
    array = np.sort(read_numbers(values))
    tail = (1 - level) / 2
    # How many values lie below the true percentile is binomial. Ranks count from 1:
    # P(at most `low - 1` below) <= tail, and P(at least `high` below) <= tail.
    low = binomial_quantile(tail, array.size, percent / 100)
    high = binomial_quantile(1 - tail, array.size, percent / 100) + 1
    interval = None
    if low >= 1 and high <= array.size:
        interval = Interval(float(array[low - 1]), float(array[high - 1]), level)
    return Estimate(
        float(np.quantile(array, percent / 100)), interval, None, array.size, array.size
    )


def exact_mean(values: Floats) -> float:
    """The mean, rounded once: independent of the order of the values."""
    return math.fsum(values.tolist()) / values.size


def clustered_error(values: Floats, groups: Grouping, mean: float) -> float | None:
    """The standard error of the mean; None where the sample shows no variation between clusters."""
    if groups.count == 1:
        return None
    residuals = values - mean
    sums = groups.sums(residuals)
    variance = math.fsum((sums**2).tolist()) / values.size**2
    error = math.sqrt(variance * groups.count / (groups.count - 1))
    # What is left of residuals that cancel is rounding, not variation.
    noise = 4 * np.finfo(np.float64).eps * float(np.max(np.abs(values)))
    return error if error > noise else None


def t_quantile(level: float, degrees: float) -> float:
    """How many standard errors a two-sided t interval reaches."""
    return float(special.stdtrit(degrees, 0.5 + level / 2))


def binomial_quantile(share: float, trials: int, chance: float) -> int:
    """The least number of successes that `share` of all series do not go beyond."""
    # As `scipy.stats.binom.ppf` has it, without the half second that importing it takes.
    # Where a sum is the share to the last digit, rounding must not decide.
    share *= 1 - 1e-12
    most = math.ceil(float(special.bdtrik(share, trials, chance)))
    fewer = max(most - 1, 0)
    return fewer if special.bdtr(fewer, trials, chance) >= share else most


def wilson(share: float, n: float, quantile: float, level: float) -> Interval:
    """Wilson's score interval of a share seen in `n` samples; n need not be whole."""
    squared = quantile**2
    centre = (share + squared / (2 * n)) / (1 + squared / n)
    reach = quantile * math.sqrt(share * (1 - share) / n + (squared / n / n) / 4)
    reach /= 1 + squared / n
    low = 0.0 if share == 0 else max(0.0, centre - reach)
    high = 1.0 if share == 1 else min(1.0, centre + reach)
    return Interval(low, high, level)
