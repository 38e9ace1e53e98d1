"""Where to cut a row of units so that parts are of about one size and end at good places.

Of all ways to cut, the one is taken with the smallest sum of size / aim + aim / size - 2 over its
parts, which is the same for half and for twice the aim, and of the prices of the places at which it
cuts: much as a paragraph is broken into lines (Knuth and Plass, "Breaking Paragraphs into Lines",
1981). It is found exactly, by dynamic programming.

What always holds: no part is larger than there is room, but one of a single unit; so every section
ends with a part of about the size of the others. Time is linear in the units while a bounded number
of them fits one part; see `grouped`.
"""

import math
from collections.abc import Sequence

# Units smaller than this part of the room are not cut apart from the next, so that a part has at
# most twice as many of them.
_FINEST = 32
Run = tuple[int, int]


def grouped(sizes: Sequence[int], room: int) -> list[Run]:
    """Neighbouring units put together to at most a 32nd of the room, as `[first, last)`."""
    limit = room // _FINEST
    runs: list[Run] = []
    size = 0
    for at, one in enumerate(sizes):
        if runs and size + one <= limit:
            runs[-1] = (runs[-1][0], at + 1)
            size += one
        else:
            runs.append((at, at + 1))
            size = one
    return runs


def best_runs(
    begins: Sequence[int],
    ends: Sequence[int],
    rooms: Sequence[int],
    prices: Sequence[float],
    aim: float,
) -> list[Run]:
    """The best parts, as `[first, last)` of their units.

    Args:
        begins: tokens before each unit.
        ends: tokens before the end of each unit.
        rooms: most tokens of a part that begins with each unit.
        prices: of a cut before each unit but the first, in the measure of the sizes' cost.
        aim: tokens that a part is to have.
    """
    count = len(begins)
    widest = max(rooms, default=0)
    # cost[i]: least cost of cutting the first i units; came[i]: where the last of those parts
    # begins.
    cost = [0.0] + [math.inf] * count
    came = [0] * (count + 1)
    for end in range(1, count + 1):
        for first in range(end - 1, -1, -1):
            size = ends[end - 1] - begins[first]
            if first < end - 1:
                if size > widest:
                    break
                if size > rooms[first]:
                    continue
            here = cost[first] + _distance(max(1, size), aim)
            if first:
                here += prices[first - 1]
            # Of equal costs the longer part stays.
            if here <= cost[end]:
                cost[end], came[end] = here, first
    runs: list[Run] = []
    end = count
    while end:
        runs.append((came[end], end))
        end = came[end]
    return runs[::-1]


def _distance(size: int, aim: float) -> float:
    return size / aim + aim / size - 2
