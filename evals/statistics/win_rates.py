"""How often one system is preferred to another, as it is and at equal length.

Preferences are shares: 1 the system was preferred, 0 the other was, 0.5 neither, or a judge's
probability in between.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from evals.statistics.errors import StatisticsError
from evals.statistics.estimate import (
    Estimate,
    Interval,
    mean_estimate,
    proportion_estimate,
    t_quantile,
)
from evals.statistics.inputs import (
    Clusters,
    Floats,
    Grouping,
    check_level,
    read_clusters,
    read_numbers,
)

_ROUNDS = 500  # of scoring; it takes about six
_CLOSE = 1e-13  # gain of likelihood under which it stops: a step of a millionth standard error
_FAIR = 0.3  # share of the gain that the slope promises; half is that of a perfect step
_LONGEST = 5.0  # step
_ALIKE = 1e-6  # range of scaled length differences under which they tell nothing apart


@dataclass(frozen=True, slots=True)
class LengthControlled:
    """A win rate with the judge's liking for length taken out.

    Attributes:
        win_rate: at equal length.
        raw: as it is.
        length_effect: logarithm of the odds that a far longer answer gains; positive where the
            judge prefers length, 0 where all answers are as long as their peers.
    """

    win_rate: Estimate
    raw: Estimate
    length_effect: float


def win_rate(
    preferences: ArrayLike, clusters: Clusters | None = None, *, level: float = 0.95
) -> Estimate:
    """The mean preference: `proportion_estimate` for wins and losses, `mean_estimate` otherwise.

    Raises:
        StatisticsError: for preferences outside 0 to 1, or as those two.
    """
    values = _read(preferences)
    if np.all((values == 0) | (values == 1)):
        return proportion_estimate(values, clusters, level=level)
    found = mean_estimate(values, clusters, level=level)
    if found.interval is None:
        return found
    low, high = max(0.0, found.interval.low), min(1.0, found.interval.high)
    interval = Interval(low, high, level)
    return Estimate(found.mean, interval, found.standard_error, found.n, found.clusters)


def length_controlled_win_rate(
    preferences: ArrayLike,
    length_differences: ArrayLike,
    clusters: Clusters | None = None,
    *,
    level: float = 0.95,
) -> LengthControlled:
    """The win rate that a logistic regression gives at equal length.

    After AlpacaEval 2 (Dubois et al., "Length-Controlled AlpacaEval", 2024): the log odds are an
    intercept and an effect times `tanh(difference / deviation of differences)`; the intercept
    is what is left at difference 0. Of that paper the difficulty of each instruction is left out.
    Fitted with Firth's penalty (1993), so that neither a system that always wins nor a judge that
    looks at length alone makes it infinite. The interval is the intercept's, by t, with the
    larger of the model's and the clustered robust variance.

    Args:
        length_differences: own length less the other's, in any unit, one a preference.

    Returns:
        No interval under three clusters.

    Raises:
        StatisticsError: as `win_rate`, for differences of another number, or if all differences
            are nearly the same but not 0: then nothing is known of equal length.
    """
    check_level(level)
    values = _read(preferences)
    differences = read_numbers(length_differences, "length_differences")
    if differences.size != values.size:
        raise StatisticsError(f"{values.size} preferences, {differences.size} length differences")
    groups = read_clusters(clusters, values.size)
    raw = win_rate(values, clusters, level=level)
    deviation = float(np.std(differences))
    if not differences.any():
        return LengthControlled(raw, raw, 0.0)
    scaled = np.tanh(differences / deviation) if deviation > 0 else np.ones(values.size)
    if np.ptp(scaled) < _ALIKE:
        raise StatisticsError("all length differences are alike, and far from 0")
    design = np.column_stack([np.ones(values.size), scaled])
    fitted, covariance = _firth(values, design)
    error = math.sqrt(max(covariance[0, 0], _robust(values, design, fitted, covariance, groups)))
    interval = None
    if groups.count >= 3:
        reach = t_quantile(level, groups.count - 2) * error
        low, high = special.expit(fitted[0] - reach), special.expit(fitted[0] + reach)
        interval = Interval(float(low), float(high), level)
    rate = float(special.expit(fitted[0]))
    controlled = Estimate(
        rate,
        interval,
        None if interval is None else error * rate * (1 - rate),
        values.size,
        groups.count,
    )
    return LengthControlled(controlled, raw, float(fitted[1]))


def _read(preferences: ArrayLike) -> Floats:
    values = read_numbers(preferences, "preferences")
    if np.any((values < 0) | (values > 1)):
        raise StatisticsError("preferences are not all between 0 and 1")
    return values


def _firth(values: Floats, design: Floats) -> tuple[Floats, Floats]:
    """Coefficients of a logistic regression under Jeffreys' prior, and their covariance.

    Scoring steps (Heinze and Schemper, 2002), halved until they climb enough (Armijo, 1966).
    """
    fitted = np.zeros(design.shape[1])
    height = _height(values, design, fitted)
    for _ in range(_ROUNDS):
        chances = special.expit(design @ fitted)
        weights = chances * (1 - chances)
        covariance: Floats = np.linalg.inv((design * weights[:, None]).T @ design)
        leverage = weights * np.einsum("ni,ij,nj->n", design, covariance, design)
        slope = design.T @ (values - chances + leverage * (0.5 - chances))
        step = covariance @ slope
        step /= max(1.0, float(np.max(np.abs(step))) / _LONGEST)
        while (gain := float(step @ slope)) > _CLOSE:
            climbed = _height(values, design, fitted + step)
            if climbed >= height + gain * _FAIR:
                break
            step /= 2
        else:
            break
        fitted, height = fitted + step, climbed
    return fitted, covariance


def _height(values: Floats, design: Floats, coefficients: Floats) -> float:
    """The log likelihood with Jeffreys' prior: the root of the information's determinant."""
    logits = design @ coefficients
    chances = special.expit(logits)
    information = (design * (chances * (1 - chances))[:, None]).T @ design
    likelihood = np.sum(values * logits - np.logaddexp(0, logits))
    return float(likelihood + np.linalg.slogdet(information)[1] / 2)


def _robust(
    values: Floats, design: Floats, fitted: Floats, covariance: Floats, groups: Grouping
) -> float:
    """The intercept's variance by clusters (Liang and Zeger, 1986); 0 for a single cluster."""
    if groups.count == 1:
        return 0.0
    surprise = values - special.expit(design @ fitted)
    pulls = np.column_stack([groups.sums(column * surprise) for column in design.T]) @ covariance
    return float(np.sum(pulls[:, 0] ** 2)) * groups.count / (groups.count - 1)
