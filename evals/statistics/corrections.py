"""Several comparisons at once: p-values adjusted so that one threshold serves them all."""

import numpy as np
from numpy.typing import ArrayLike

from evals.statistics.errors import StatisticsError
from evals.statistics.inputs import Floats, read_numbers


def holm(p_values: ArrayLike) -> tuple[float, ...]:
    """Holm's step-down adjustment (1979): keeps the chance of any false discovery under alpha.

    Returns:
        In the order of the input; each at least as large as it was, and at most 1.

    Raises:
        StatisticsError: for no p-values, or one that is not between 0 and 1.
    """
    given = _read(p_values)
    order = np.argsort(given, kind="stable")
    stepped = given[order] * np.arange(given.size, 0, -1)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return tuple(adjusted.tolist())


def benjamini_hochberg(p_values: ArrayLike) -> tuple[float, ...]:
    """Benjamini and Hochberg's adjustment (1995): keeps the share of false discoveries under alpha.

    Returns:
        As `holm`; for comparisons that are independent or depend positively on each other.

    Raises:
        StatisticsError: as `holm`.
    """
    from scipy import stats  # half a second, for those alone who ask for it

    adjusted: list[float] = stats.false_discovery_control(_read(p_values), method="bh").tolist()
    return tuple(adjusted)


def _read(p_values: ArrayLike) -> Floats:
    given = read_numbers(p_values, "p_values")
    if np.any((given < 0) | (given > 1)):
        raise StatisticsError("p_values are not all between 0 and 1")
    return given
