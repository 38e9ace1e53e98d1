"""Long lists in pieces that every engine takes."""

from collections.abc import Sequence
from typing import TypeVar

from rostra.store.vectors import MOST_PARAMETERS

__all__ = ["MOST_PARAMETERS", "parts"]

_T = TypeVar("_T")


def parts(values: Sequence[_T], size: int) -> list[Sequence[_T]]:
    """The values in order, in pieces of at most `size`."""
    return [values[at : at + size] for at in range(0, len(values), size)]
