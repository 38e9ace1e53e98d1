"""How many samples a page has room for: of each list, and of all lists together.

What always holds: lists get their turns one after another, so that none is left empty for the sake
of another that is long; there is always room for one sample.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from markupsafe import escape

T = TypeVar("T")
V = TypeVar("V")

_MARKUP = 2000  # characters around a sample's own


@dataclass(frozen=True, slots=True)
class Room:
    """See this module.

    Attributes:
        each: samples of a list.
        in_all: samples.
        size: characters of the page.
    """

    each: int
    in_all: int
    size: int

    def fill(self, lists: Sequence[Sequence[T]], view: Callable[[T], V]) -> list[list[V]]:
        """The first items of each list, as they are to be shown, for as long as there is room.

        Args:
            view: of an item; anything that can be written as JSON.
        """
        shown: list[list[V]] = [[] for _ in lists]
        count = taken = 0
        longest = max(map(len, lists), default=0)
        for at in range(min(self.each, longest)):
            for items, found in zip(lists, shown, strict=True):
                if at >= len(items):
                    continue
                made = view(items[at])
                size = _size(made)
                if count and (count >= self.in_all or taken + size > self.size):
                    return shown
                found.append(made)
                count += 1
                taken += size
        return shown


USUAL = Room(each=100, in_all=300, size=3 << 20)
MOST_EACH = 10_000


def room_for(samples: int | None) -> Room:
    """Room for so many samples of each list, whatever comes of it within reason; None is usual."""
    return USUAL if samples is None else Room(min(samples, MOST_EACH), 20_000, 48 << 20)


def _size(value: Any) -> int:
    return _MARKUP + len(escape(msgspec.json.encode(value).decode()))
