"""Passages in the order in which a model reads a long prompt best.

Models heed the beginning and the end of a prompt more than its middle ("lost in the middle", Liu et
al. 2024), so the best passages stand first and last and the worst in between.

What always holds: each item is there once; the best is first and, of several, the second best last.
"""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def outside_in(best_first: Sequence[T]) -> list[T]:
    """1, 2, 3, 4, 5 becomes 1, 3, 5, 4, 2."""
    return [*best_first[::2], *reversed(best_first[1::2])]
