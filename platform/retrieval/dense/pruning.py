"""Which rows cannot be among the best, by what their codes say at most; in machine code.

A row x is kept twice, in int8 numbers: a head, its coordinates in a basis of some directions, and
the whole of it. With P the basis (orthonormal rows), x1 = P x and x2 what the basis leaves out,

    q.x = q1.x1 + q2.x2 <= q1.code(x1) + |q1| |x1 - code(x1)| + |q2| |x2|,

which rules most rows out by their heads alone. The others are bounded by all their coordinates:
q.x is within |q| |x - code(x)| of q.code(x). (Cauchy and Schwarz; partial distances to rule rows
out: Bei and Gray, "An improvement of the minimum distortion encoding algorithm for vector
quantization", IEEE Transactions on Communications 1985.)

What always holds: every row that is at least as good as the last of the best is among those found.
"""

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from rostra.retrieval.dense.blocks import block_products
from rostra.retrieval.dense.bounded import LANES
from rostra.retrieval.dense.kernels import compiled

Array = npt.NDArray[Any]

# A largest number is found in one pass only where no NaN has to be looked out for.
_without_nan = partial(compiled, assumed=("nnan", "nsz"))

# A sum of products of int8 numbers and of the query's must fit into 32 bits.
_MOST_SUM = 2**31 - 1
MOST_CODE = 127
_LOW = np.float32(-np.inf)
# How far float32 sums can make what the basis leaves out of a row look shorter, squared.
_LEFT_OUT = 1e-5


def query_range(dimensions: int) -> int:
    """The largest number that a query's coordinate may become."""
    return int(min(32_767, _MOST_SUM // (MOST_CODE * max(1, dimensions))))


@compiled
def _in_numbers(values: Array, most: int, numbers: Array) -> tuple[Any, Any]:
    """Values as whole numbers; their unit, and how far all of them are off."""
    largest = np.float32(0)
    for at in range(len(values)):
        largest = max(largest, abs(values[at]))
    unit = np.float32(largest / np.float32(most))
    if unit <= 0:
        numbers[:] = 0
        return np.float32(0), np.float32(0)
    off = 0.0
    for at in range(len(values)):
        number = np.rint(values[at] / unit)
        numbers[at] = number
        missing = np.float64(values[at]) - np.float64(number) * np.float64(unit)
        off += missing * missing
    return unit, np.float32(np.sqrt(off))


@compiled
def encode_rows(rows: Array, parts: Array, heads: Array, wholes: Array, facts: Array) -> None:
    """Codes of rows.

    Args:
        rows: float32 [rows, width].
        parts: float32 [rows, directions], their coordinates in the basis.
        heads: int8 [rows, at least directions], written; zeros behind.
        wholes: int8 [rows, width], written.
        facts: float32 [rows, `FACTS`], as in `BoundedRows`, written.
    """
    directions = parts.shape[1]
    for row in range(len(rows)):
        length, inside = 0.0, 0.0
        for at in range(rows.shape[1]):
            length += np.float64(rows[row, at]) ** 2
        for at in range(directions):
            inside += np.float64(parts[row, at]) ** 2
        unit, off = _in_numbers(parts[row], MOST_CODE, heads[row, :directions])
        heads[row, directions:] = 0
        facts[row, 0] = unit
        facts[row, 1] = np.sqrt(max(0.0, length - inside) + _LEFT_OUT * length)
        facts[row, 2] = off
        unit, off = _in_numbers(rows[row], MOST_CODE, wholes[row])
        facts[row, 3] = unit
        facts[row, 4] = off
        facts[row, 5] = np.sqrt(length)


@compiled
def _product(codes: Array, query: Array) -> Any:
    """Of int8 and int16 numbers, in 32 bits."""
    total = np.int32(0)
    for at in range(len(query)):
        total = np.int32(total + np.int64(query[at]) * np.int64(codes[at]))
    return total


@compiled
def _lift(heap: Array, value: Any) -> None:
    """Puts a value in the place of a heap's smallest, which it exceeds."""
    at, count = 0, len(heap)
    while True:
        child = 2 * at + 1
        if child >= count:
            break
        if child + 1 < count and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= value:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = value


@_without_nan
def _bound_heads(
    heads: Array,
    units: Array,
    rests: Array,
    numbers: Array,
    unit: Any,
    outside: Any,
    mask: Array,
    rows: int,
    seeds: int,
    upper: Array,
    tops: Array,
) -> Any:
    """What every row's product can be by its head, less what is the same for all.

    Returns:
        A bar that about `seeds` rows reach, or minus infinity.
    """
    masked = len(mask) > 0
    heap = np.full(min(seeds, rows), _LOW, np.float32)
    products = np.empty(LANES, np.int32)
    width = len(numbers)
    for block in range(len(tops)):
        start = block * LANES
        if masked:
            some = 0
            for row in range(start, min(start + LANES, rows)):
                some += mask[row]
            if some == 0:
                upper[start : start + LANES] = _LOW
                tops[block] = _LOW
                continue
        block_products(
            np.uintp(heads.ctypes.data + block * LANES * width),
            np.uintp(numbers.ctypes.data),
            width,
            np.uintp(products.ctypes.data),
        )
        for lane in range(LANES):
            inside = np.float32(products[lane]) * unit * units[start + lane]
            upper[start + lane] = inside + outside * rests[start + lane]
        if masked or start + LANES > rows:
            for row in range(start, start + LANES):
                if row >= rows or (masked and not mask[row]):
                    upper[row] = _LOW
        top = _LOW
        for lane in range(LANES):
            top = max(top, upper[start + lane])
        tops[block] = top
        if top > heap[0]:
            for row in range(start, start + LANES):
                if upper[row] > heap[0]:
                    _lift(heap, upper[row])
    return heap[0]


@compiled
def prune(
    basis: Array,
    query: Array,
    heads: Array,
    units: Array,
    rests: Array,
    wholes: Array,
    facts: Array,
    limits: Array,
    ranges: Array,
    mask: Array,
    wanted: int,
    seeds: int,
    found: Array,
) -> int:
    """Positions that may be among the best.

    Args:
        basis: float32 [directions, width], orthonormal rows.
        query: float32 [width].
        heads, units, rests, wholes, facts: of `BoundedRows`, with room for whole blocks.
        limits: float64 [3]: how far a head's code is off, at most; the length of a row, at most;
            what sums may differ by.
        ranges: int64 [2], of the query's numbers, for heads and for whole rows.
        mask: bool [rows], or empty.
        wanted: how many are the best; at least 1, and no more than the mask lets through.
        seeds: how many are looked at first; at least `wanted`.
        found: int64 [rows], written.

    Returns:
        How many there are in `found`; in no order.
    """
    rows, width = len(found), len(query)
    directions = len(basis)
    part = np.empty(directions, np.float32)
    length, inside = 0.0, 0.0
    for at in range(width):
        length += np.float64(query[at]) ** 2
    for at in range(directions):
        total = np.float32(0)
        for other in range(width):
            total += basis[at, other] * query[other]
        part[at] = total
        inside += np.float64(total) ** 2
    outside = np.float32(np.sqrt(max(0.0, length - inside) + _LEFT_OUT * length))
    whole_length = np.float32(np.sqrt(length))
    short = np.zeros(heads.shape[1] * 2, np.int16)
    long = np.empty(width, np.int16)
    head_unit, head_off = _in_numbers(part, ranges[0], short[:directions])
    whole_unit, whole_off = _in_numbers(query, ranges[1], long)
    furthest, longest, slack = limits[0], limits[1], limits[2] * max(1.0, np.sqrt(length))
    head_slack = np.float32(slack + np.sqrt(inside) * furthest + head_off * (longest + furthest))
    whole_slack = np.float32(slack + whole_off * 2 * longest)

    tops = np.empty(-(-rows // LANES), np.float32)
    upper = np.empty(len(tops) * LANES, np.float32)
    bar = _bound_heads(
        heads, units, rests, short, head_unit, outside, mask, rows, seeds, upper, tops
    )
    best = np.full(wanted, _LOW, np.float32)
    most = np.empty(rows, np.float32)
    looked = 0
    for phase in range(2):
        # First the rows whose heads promise most, then those that these do not rule out.
        edge = bar if phase == 0 else best[0] - head_slack
        first = looked
        for block in range(len(tops)):
            if tops[block] < edge:
                continue
            start = block * LANES
            for row in range(start, start + LANES):
                if upper[row] >= edge and upper[row] > _LOW:
                    upper[row] = _LOW
                    found[looked] = row
                    looked += 1
        for at in range(first, looked):
            row = found[at]
            product = np.float32(_product(wholes[row], long)) * whole_unit
            score = product * facts[row, 0]
            off = whole_length * facts[row, 1] + whole_slack
            most[at] = score + off
            if score - off > best[0]:
                _lift(best, score - off)
    kept = 0
    for at in range(looked):
        if most[at] >= best[0]:
            found[kept] = found[at]
            kept += 1
    return kept
