"""Reads what callers hand in: plain sequences become arrays that every formula can take.

What always holds: arrays are not empty, hold finite numbers of a size whose square is finite too,
and have as many entries as their clusters have labels. So no formula behind this meets a NaN.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evals.statistics.errors import StatisticsError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Clusters = Sequence[Hashable] | NDArray[np.generic]

MAX_VALUES = 10_000_000
MAX_RESAMPLES = 1_000_000
MIN_RESAMPLES = 100
_LARGEST = 1e100  # so that sums of squares stay finite


def read_numbers(
    values: ArrayLike, name: str = "values", *, dimensions: tuple[int, ...] = (1,)
) -> Floats:
    """The values as float64.

    Raises:
        StatisticsError: if there are none or too many, or one is not a finite number.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StatisticsError(f"{name} are not all numbers: {error}") from error
    if array.ndim not in dimensions:
        allowed = " or ".join(map(str, dimensions))
        raise StatisticsError(f"{name} have {array.ndim} dimensions, not {allowed}")
    if not array.size:
        raise StatisticsError(f"{name} are empty")
    if array.size > MAX_VALUES:
        raise StatisticsError(f"{name} are more than {MAX_VALUES}", limit=MAX_VALUES)
    if not np.all(np.abs(array) <= _LARGEST):  # false for NaN, too
        raise StatisticsError(f"{name} are not all finite numbers up to {_LARGEST:g}")
    return array


def read_outcomes(values: ArrayLike, name: str = "outcomes") -> Floats:
    """Right or wrong, as 1.0 and 0.0.

    Raises:
        StatisticsError: if a value is something else.
    """
    array = read_numbers(values, name)
    if not np.all((array == 0) | (array == 1)):
        raise StatisticsError(f"{name} are not all 0 or 1")
    return array


@dataclass(frozen=True, slots=True)
class Grouping:
    """Which cluster each value is in.

    Attributes:
        codes: 0 ... count - 1, one a value.
        count: of clusters.
    """

    codes: Integers
    count: int

    @property
    def single(self) -> bool:
        """Is each value a cluster of its own?"""
        return self.count == self.codes.size

    def sums(self, values: Floats) -> Floats:
        """The sum of the values in each cluster."""
        if self.single:
            ordered = np.empty_like(values)
            ordered[self.codes] = values
            return ordered
        sums = np.bincount(self.codes, weights=values, minlength=self.count)
        return np.asarray(sums, dtype=np.float64)

    def sizes(self) -> Floats:
        """How many values each cluster has."""
        return np.bincount(self.codes, minlength=self.count).astype(np.float64)


def read_clusters(clusters: Clusters | None, count: int) -> Grouping:
    """The labels as codes in the order in which they first appear; None: each value on its own.

    Raises:
        StatisticsError: if there are not `count` labels or one is not hashable.
    """
    if clusters is None:
        return Grouping(np.arange(count, dtype=np.int64), count)
    if len(clusters) != count:
        raise StatisticsError(f"{count} values have {len(clusters)} cluster labels")
    labels = clusters.tolist() if isinstance(clusters, np.ndarray) else clusters
    seen: dict[Hashable, int] = {}
    try:
        codes = np.array([seen.setdefault(label, len(seen)) for label in labels], dtype=np.int64)
    except TypeError as error:
        raise StatisticsError(f"a cluster label cannot be compared: {error}") from error
    return Grouping(codes, len(seen))


def check_level(level: float) -> None:
    """Raises StatisticsError unless 0 < level < 1."""
    check_open_share(level, "level")


def check_open_share(value: float, name: str) -> None:
    """Raises StatisticsError unless 0 < value < 1."""
    if not 0 < value < 1:
        raise StatisticsError(f"{name} is {value}, not between 0 and 1")


def check_resamples(resamples: int) -> None:
    """Raises StatisticsError unless the number of resamples is one that can be used."""
    if not MIN_RESAMPLES <= resamples <= MAX_RESAMPLES:
        raise StatisticsError(
            f"resamples are {resamples}, not {MIN_RESAMPLES} to {MAX_RESAMPLES}",
            limit=MAX_RESAMPLES,
        )


def generator(seed: int) -> np.random.Generator:
    """A random generator; StatisticsError for a negative seed."""
    if seed < 0:
        raise StatisticsError(f"the seed is {seed}, not 0 or more")
    return np.random.default_rng(seed)
