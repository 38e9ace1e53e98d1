"""How many samples show a difference of two points, and which difference do so many show?

One model serves all: the mean difference of two systems, each sample's difference with a variance
that falls with the correlation of the two (paired: both answer the same samples) and a design
effect that grows with clusters. Power is that of the two-sided t test of `paired_t`, or of two
independent means.

What always holds: power grows with samples and with the difference; the three functions agree:
`power_of(samples_needed(d)) >= power`, and one cluster fewer is too few.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy import optimize, special

from evals.statistics.errors import StatisticsError
from evals.statistics.inputs import check_open_share

MAX_SAMPLES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Design:
    """How samples are taken.

    Attributes:
        correlation: of the two systems' values on the same sample, -1 to 1; None where each system
            has samples of its own.
        cluster_size: samples a cluster, the same for all.
        intra_cluster: correlation of two samples of a cluster, 0 to 1: of their differences where
            samples are shared, of their values where they are not.
        alpha: chance of a false alarm, of the two-sided test.
    """

    correlation: float | None = None
    cluster_size: int = 1
    intra_cluster: float = 0.0
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if self.correlation is not None and not -1 <= self.correlation <= 1:
            raise StatisticsError(f"correlation is {self.correlation}, not between -1 and 1")
        if self.cluster_size < 1:
            raise StatisticsError(f"cluster_size is {self.cluster_size}, not 1 or more")
        if not 0 <= self.intra_cluster <= 1:
            raise StatisticsError(f"intra_cluster is {self.intra_cluster}, not between 0 and 1")
        check_open_share(self.alpha, "alpha")

    @property
    def effect(self) -> float:
        """Kish's design effect (1965): how much clusters multiply the variance of a mean."""
        return 1 + (self.cluster_size - 1) * self.intra_cluster

    def variance(self, first: float, second: float) -> float:
        """Of the difference of one sample (or of two, one each), from the two deviations."""
        shared = 2 * (self.correlation or 0.0) * first * second
        return max(0.0, first**2 + second**2 - shared) * self.effect


def samples_needed(
    difference: float, deviation: float, design: Design | None = None, *, power: float = 0.8
) -> int:
    """How many samples each system needs so that a test finds the difference.

    For many samples it is `(z(1 - alpha/2) + z(power))^2 * variance / difference^2` (Miller,
    "Adding Error Bars to Evals", 2024, section 5); for few the t distribution asks for more.

    Args:
        difference: of the true means, in the unit of the values; the sign does not matter.
        deviation: standard deviation of the values of a system.

    Returns:
        Whole clusters' worth of samples, at least two clusters.

    Raises:
        StatisticsError: for a difference of 0, a deviation that is negative, or if it takes more
            than `MAX_SAMPLES`.
    """
    design = design or Design()
    _check_deviation(deviation)
    return _least_samples(difference, design.variance(deviation, deviation), design, power)


def power_of(
    samples: int, difference: float, deviation: float, design: Design | None = None
) -> float:
    """The chance that a test on so many samples a system finds the difference.

    Raises:
        StatisticsError: for samples of fewer than two clusters, or a negative deviation.
    """
    design = design or Design()
    _check_deviation(deviation)
    return _power(samples, difference, design.variance(deviation, deviation), design)


def detectable_difference(
    samples: int, deviation: float, design: Design | None = None, *, power: float = 0.8
) -> float:
    """The least difference that so many samples a system show with the given power.

    Raises:
        StatisticsError: as `power_of`.
    """
    design = design or Design()
    _check_deviation(deviation)
    check_open_share(power, "power")
    variance = design.variance(deviation, deviation)
    if variance == 0:
        return 0.0
    unit = math.sqrt(variance / samples) if samples > 0 else 1.0

    def missing(errors: float) -> float:
        return _power(samples, errors * unit, variance, design) - power

    if missing(0.0) >= 0:  # power under alpha was asked for
        return 0.0
    return unit * _root(missing, 1.0)


def samples_needed_for_proportions(
    first: float, second: float, design: Design | None = None, *, power: float = 0.8
) -> int:
    """`samples_needed` for two shares of right answers, each with the variance `p (1 - p)`.

    Raises:
        StatisticsError: as `samples_needed`, for shares outside 0 to 1, or a correlation that
            two such shares cannot have.
    """
    design = design or Design()
    return _least_samples(second - first, _share_variance(first, second, design), design, power)


def power_of_proportions(
    samples: int, first: float, second: float, design: Design | None = None
) -> float:
    """`power_of` for two shares of right answers.

    Raises:
        StatisticsError: as `power_of` and `samples_needed_for_proportions`.
    """
    design = design or Design()
    return _power(samples, second - first, _share_variance(first, second, design), design)


def detectable_proportion(
    samples: int, baseline: float, design: Design | None = None, *, power: float = 0.8
) -> float | None:
    """The least share above the baseline that so many samples tell from it.

    Returns:
        None where not even the highest share that the correlation allows is told apart.

    Raises:
        StatisticsError: as `power_of_proportions`.
    """
    design = design or Design()
    check_open_share(power, "power")
    _check_share(baseline)
    low, high = baseline, _highest_share(baseline, design.correlation)

    def enough(share: float) -> bool:
        variance = _share_variance(baseline, share, design)
        return _power(samples, share - baseline, variance, design) >= power

    if high <= low or not enough(high):
        return None
    # Power grows with the share: its difference grows, and its variance shrinks or grows slower.
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _power(samples: int, difference: float, variance: float, design: Design) -> float:
    groups = samples / design.cluster_size
    if groups < 2:
        raise StatisticsError(f"{samples} samples are fewer than two clusters", samples=samples)
    if variance == 0:
        return 1.0 if difference else design.alpha
    degrees = groups - 1 if design.correlation is not None else 2 * (groups - 1)
    errors = abs(difference) / math.sqrt(variance / samples)
    bar = float(special.stdtrit(degrees, 1 - design.alpha / 2))
    if errors > 30 + 2 * bar:  # so far out the noncentral t is 1 to all digits, or not computable
        return 1.0
    found = float(special.nctdtr(degrees, -errors, -bar))
    if not math.isfinite(found):
        found = float(special.ndtr(errors - bar))
    if errors < 5:  # further out the wrong side is under 1e-8, and not always computable
        found += float(special.nctdtr(degrees, errors, -bar))
    return min(1.0, found)


def _least_samples(difference: float, variance: float, design: Design, power: float) -> int:
    check_open_share(power, "power")
    if not math.isfinite(difference) or difference == 0:
        raise StatisticsError(f"a difference of {difference} takes endless samples")
    size = design.cluster_size
    high = 2
    while _power(high * size, difference, variance, design) < power:
        high *= 2
        if high * size > MAX_SAMPLES:
            raise StatisticsError(f"it takes more than {MAX_SAMPLES} samples", limit=MAX_SAMPLES)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        if middle >= 2 and _power(middle * size, difference, variance, design) >= power:
            high = middle
        else:
            low = middle
    return high * size


def _share_variance(first: float, second: float, design: Design) -> float:
    _check_share(first)
    _check_share(second)
    spread = math.sqrt(first * (1 - first)), math.sqrt(second * (1 - second))
    if design.correlation is not None:
        both = first * second + design.correlation * spread[0] * spread[1]
        if not max(0.0, first + second - 1) - 1e-9 <= both <= min(first, second) + 1e-9:
            raise StatisticsError(
                f"shares of {first} and {second} cannot correlate by {design.correlation}"
            )
    return design.variance(*spread)


def _highest_share(baseline: float, correlation: float | None) -> float:
    """The highest second share that can have the correlation with the baseline."""
    if not correlation:
        return 1.0
    # At the bound one answer implies the other: then the odds of the two shares differ by the
    # factor correlation^2 (for a negative one: those of a right and of a wrong answer).
    implying = baseline if correlation > 0 else 1 - baseline
    if implying == 0:
        return 1.0
    return implying / (implying + (1 - implying) * correlation**2)


def _root(function: Callable[[float], float], start: float) -> float:
    high = start
    while function(high) < 0:
        high *= 2
    root: float = optimize.brentq(function, 0.0, high, xtol=1e-12, rtol=1e-12)
    return root


def _check_deviation(deviation: float) -> None:
    if not 0 <= deviation < math.inf:
        raise StatisticsError(f"deviation is {deviation}, not 0 or more")


def _check_share(share: float) -> None:
    if not 0 <= share <= 1:
        raise StatisticsError(f"a share is {share}, not between 0 and 1")
