"""Equal numbers that stand together."""

import numpy as np

from rostra.retrieval.lexical.storage import Array


def counted(numbers: Array) -> tuple[Array, Array]:
    """The distinct numbers, rising, and how often each occurs.

    As numpy's `unique`, whose hashing is many times slower than sorting machine integers.
    """
    return counted_sorted(np.sort(numbers))


def counted_sorted(numbers: Array) -> tuple[Array, Array]:
    """The same of numbers that rise already."""
    if not len(numbers):
        return numbers, np.zeros(0, np.int64)
    heads = np.flatnonzero(np.concatenate([[True], numbers[1:] != numbers[:-1]]))
    return numbers[heads], np.diff(heads, append=len(numbers))


def spread(sizes: Array) -> Array:
    """int64 [n + 1], where pieces of these sizes start when they stand one after another."""
    starts = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    return starts


def gathered(starts: Array, rows: Array) -> tuple[Array, Array]:
    """Where the entries of some rows are, one row after another, and which of `rows` each is of.

    Args:
        starts: int64 [all rows + 1], where each row's entries start.
        rows: int64, which rows.
    """
    sizes = starts[rows + 1] - starts[rows]
    begins = spread(sizes)
    at = np.repeat(starts[rows] - begins[:-1], sizes) + np.arange(begins[-1])
    return at, np.repeat(np.arange(len(rows)), sizes)
