"""Which rows cannot be among the best, by what their codes say at most; in machine code.

Rows and query are rotated, which changes no inner product, so that what varies most comes first. A
row is kept as int8 numbers in two parts, a head x1 and a tail x2. By Cauchy and Schwarz

    q.x = q1.x1 + q2.x2 <= q1.code(x1) + |q1| |x1 - code(x1)| + |q2| |x2|,

which rules most rows out by their heads alone. For the others q.x is within
|q1| |x1 - code(x1)| + |q2| |x2 - code(x2)| of q1.code(x1) + q2.code(x2). (Partial distances to rule
rows out: Bei and Gray, "An improvement of the minimum distortion encoding algorithm for vector
quantization", IEEE Transactions on Communications 1985.)

What always holds: every row that is at least as good as the last of the best is among those found.
"""

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from rostra.retrieval.dense import blocks, bounded, kernels
from rostra.retrieval.dense.blocks import block_products
from rostra.retrieval.dense.bounded import LANES

Array = npt.NDArray[Any]

_compiled = partial(kernels.compiled, sources=(blocks.__file__, bounded.__file__))
# A largest number is found in one pass only where no NaN has to be looked out for.
_without_nan = partial(_compiled, assumed=("nnan", "nsz"))

# A sum of products of int8 numbers and of the query's must fit into 32 bits.
_MOST_SUM = 2**31 - 1
MOST_CODE = 127
_LOW = np.float32(-np.inf)


def query_range(dimensions: int) -> int:
    """The largest number that a query's coordinate may become."""
    return int(min(32_767, _MOST_SUM // (MOST_CODE * max(1, dimensions))))


@_compiled
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


@_compiled
def encode_rows(rows: Array, directions: int, heads: Array, tails: Array, facts: Array) -> None:
    """Codes of rows.

    Args:
        rows: float32 [rows, width], rotated.
        directions: of these, how many are the head.
        heads: int8 [rows, at least directions], written; zeros behind.
        tails: int8 [rows, width less directions], written.
        facts: float32 [rows, `FACTS`], as in `BoundedRows`, written.
    """
    for row in range(len(rows)):
        inside, outside = 0.0, 0.0
        for at in range(directions):
            inside += np.float64(rows[row, at]) ** 2
        for at in range(directions, rows.shape[1]):
            outside += np.float64(rows[row, at]) ** 2
        head, tail = rows[row, :directions], rows[row, directions:]
        heads[row, directions:] = 0
        facts[row, 0], facts[row, 2] = _in_numbers(head, MOST_CODE, heads[row, :directions])
        facts[row, 1] = np.sqrt(outside)
        facts[row, 3], facts[row, 4] = _in_numbers(tail, MOST_CODE, tails[row])
        facts[row, 5] = np.sqrt(inside + outside)


@_compiled
def _product(codes: Array, query: Array) -> Any:
    """Of int8 and int16 numbers, in 32 bits."""
    total = np.int32(0)
    for at in range(len(query)):
        total = np.int32(total + np.int64(query[at]) * np.int64(codes[at]))
    return total


@_compiled
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
    beyond: Any,
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
            upper[start + lane] = inside + beyond * rests[start + lane]
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


@_compiled
def prune(
    rotation: Array,
    directions: int,
    query: Array,
    heads: Array,
    units: Array,
    rests: Array,
    tails: Array,
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
        rotation: float32 [width, width], orthonormal rows.
        directions: of these, how many heads are made of.
        query: float32 [width].
        heads, units, rests, tails, facts: of `BoundedRows`, with room for whole blocks.
        limits: float64 [3]: how far a head's code is off, at most; the length of a row, at most;
            what sums may differ by for vectors of length 1.
        ranges: int64 [2], of the query's numbers, for heads and for tails.
        mask: bool [rows], or empty.
        wanted: how many are the best; at least 1, and no more than the mask lets through.
        seeds: how many are looked at first; at least `wanted`.
        found: int64 [rows], written.

    Returns:
        How many there are in `found`; in no order.
    """
    rows, width = len(found), len(query)
    turned = np.empty(width, np.float32)
    inside, outside = 0.0, 0.0
    for at in range(width):
        total = np.float32(0)
        for other in range(width):
            total += rotation[at, other] * query[other]
        turned[at] = total
        if at < directions:
            inside += np.float64(total) ** 2
        else:
            outside += np.float64(total) ** 2
    head_length, tail_length = np.float32(np.sqrt(inside)), np.float32(np.sqrt(outside))
    head_numbers = np.zeros(heads.shape[1] * 2, np.int16)
    tail_numbers = np.empty(width - directions, np.int16)
    head_unit, head_off = _in_numbers(turned[:directions], ranges[0], head_numbers[:directions])
    tail_unit, tail_off = _in_numbers(turned[directions:], ranges[1], tail_numbers)
    furthest, longest = limits[0], limits[1]
    slack = limits[2] * max(1.0, np.sqrt(inside + outside)) * max(1.0, longest)
    slack += (head_off + tail_off) * 2 * longest
    head_slack = np.float32(slack + head_length * furthest)
    tail_slack = np.float32(slack)

    tops = np.empty(-(-rows // LANES), np.float32)
    upper = np.empty(len(tops) * LANES, np.float32)
    bar = _bound_heads(
        heads, units, rests, head_numbers, head_unit, tail_length, mask, rows, seeds, upper, tops
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
                    found[looked] = row
                    most[looked] = upper[row] - tail_length * rests[row]
                    upper[row] = _LOW
                    looked += 1
        for at in range(first, looked):
            row = found[at]
            product = np.float32(_product(tails[row], tail_numbers)) * tail_unit
            score = most[at] + product * facts[row, 1]
            off = head_length * facts[row, 0] + tail_length * facts[row, 2] + tail_slack
            most[at] = score + off
            if score - off > best[0]:
                _lift(best, score - off)
    kept = 0
    for at in range(looked):
        if most[at] >= best[0]:
            found[kept] = found[at]
            kept += 1
    return kept
