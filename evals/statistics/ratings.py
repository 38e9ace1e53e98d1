"""Labels of several annotators as a table of codes.

What always holds: every item left in the table has at least two labels; those with fewer say
nothing about agreement.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.statistics.errors import StatisticsError
from evals.statistics.inputs import MAX_VALUES, Clusters, Floats, Integers, read_clusters

# A row an item, a label an annotator; None or NaN where there is none.
Ratings = Sequence[Sequence[Hashable | None]] | NDArray[np.generic]

MAX_LABELS = 200
MAX_ANNOTATORS = 1000


@dataclass(frozen=True, slots=True)
class Table:
    """The items that have at least two labels.

    Attributes:
        codes: [items, annotators], places in `labels`, -1 where a label is missing.
        labels: in the order of the categories, sorted, or as they first appeared.
        clusters: a code an item.
    """

    codes: Integers
    labels: tuple[Hashable, ...]
    clusters: Integers

    @property
    def items(self) -> int:
        """Rows."""
        return len(self.codes)

    @property
    def annotators(self) -> int:
        """Columns."""
        return int(self.codes.shape[1])

    def counts(self) -> Floats:
        """How often each label was given to each item; [items, labels].

        Raises:
            StatisticsError: if there are too many different labels for that.
        """
        if len(self.labels) > MAX_LABELS:
            raise StatisticsError(f"more than {MAX_LABELS} different labels", limit=MAX_LABELS)
        counted = np.zeros((self.items, len(self.labels)))
        rows, columns = np.nonzero(self.codes >= 0)
        np.add.at(counted, (rows, self.codes[rows, columns]), 1)
        return counted

    def numbers(self) -> Floats:
        """The labels themselves, NaN where missing; [items, annotators].

        Raises:
            StatisticsError: if a label is no finite number.
        """
        try:
            values = np.array([*self.labels, math.nan], dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise StatisticsError(f"labels are not all numbers: {error}") from error
        if not np.all(np.abs(values[:-1]) <= 1e100):
            raise StatisticsError("labels are not all finite numbers up to 1e100")
        return values[self.codes]


def read_ratings(
    ratings: Ratings,
    clusters: Clusters | None = None,
    *,
    categories: Sequence[Hashable] | None = None,
    ordered: bool = False,
) -> Table:
    """The table of the ratings.

    Args:
        categories: all labels there are, in their order; without, those seen.
        ordered: sort the labels seen; they must be numbers then.

    Raises:
        StatisticsError: for rows of different lengths, labels outside the categories or without
            an order, fewer than two annotators, or no item with two labels.
    """
    rows = ratings.tolist() if isinstance(ratings, np.ndarray) else ratings
    if not len(rows):
        raise StatisticsError("there are no ratings")
    if not all(isinstance(row, Sequence) for row in rows):
        raise StatisticsError("ratings are not rows of labels")
    width = len(rows[0])
    if any(len(row) != width for row in rows):
        raise StatisticsError("items have rows of different lengths; put None where a label misses")
    if not 2 <= width <= MAX_ANNOTATORS:
        raise StatisticsError(f"there are {width} annotators, not 2 to {MAX_ANNOTATORS}")
    if width * len(rows) > MAX_VALUES:
        raise StatisticsError(f"there are more than {MAX_VALUES} ratings", limit=MAX_VALUES)
    labels = _labels(rows, categories, ordered)
    places = {label: place for place, label in enumerate(labels)}
    try:
        codes = np.array(
            [[-1 if _missing(label) else places[label] for label in row] for row in rows],
            dtype=np.int64,
        )
    except (KeyError, TypeError) as error:
        raise StatisticsError(f"a label is not among the categories: {error}") from error
    kept = np.count_nonzero(codes >= 0, axis=1) >= 2
    if not kept.any():
        raise StatisticsError("no item has two labels")
    return Table(codes[kept], labels, read_clusters(clusters, len(rows)).codes[kept])


def _labels(
    rows: Sequence[Sequence[Hashable | None]],
    categories: Sequence[Hashable] | None,
    ordered: bool,
) -> tuple[Hashable, ...]:
    if categories is not None:
        if len(set(categories)) != len(categories):
            raise StatisticsError("a category is named twice")
        return tuple(categories)
    try:
        seen = dict.fromkeys(label for row in rows for label in row if not _missing(label))
    except TypeError as error:
        raise StatisticsError(f"a label cannot be compared: {error}") from error
    if not ordered:
        return tuple(seen)
    numbers = [label for label in seen if isinstance(label, int | float)]
    if len(numbers) != len(seen):
        raise StatisticsError("labels that are no numbers have an order only with `categories`")
    return tuple(sorted(numbers))


def _missing(label: Hashable | None) -> bool:
    return label is None or (isinstance(label, float) and math.isnan(label))
