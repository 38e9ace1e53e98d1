"""Loops that numpy cannot run in one pass, as machine code that releases the interpreter's lock.

Nothing here is compiled at import: each kernel is on its first call, and kept on disk beside its
source or in the user's cache folder where one of the two can be written. All kernels live in this
one module, since numba looks only at a kernel's own file to see whether its code is still good.

What always holds: array elements that come from files are never used as an index before they are
compared with the bounds of what they index, so that a damaged file gives wrong results, not faults.

Sources: Turtle and Flood, "Query evaluation: strategies and optimizations", IP&M 1995 (MaxScore);
Ding and Suel, "Faster top-k document retrieval using block-max indexes", SIGIR 2011; Chakrabarti,
Chaudhuri and Ganti, "Interval-based pruning for top-k processing over compressed lists", ICDE 2011.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Function = TypeVar("Function", bound=Callable[..., Any])

# Postings that share one bound. Kept in the files' format.
BLOCK = 128
# Rows that are pruned and scored together; their sums fit a core's own cache.
_WINDOW = 4096
# Bounds and sums are of the same numbers in other orders; they differ by less than this share.
_SLACK = 1e-12


def compiled(function: Function) -> Function:
    """Compiles on first call, and keeps the code where a folder for it can be written."""
    try:
        return cast("Function", numba.njit(nogil=True, cache=True)(function))
    except RuntimeError as error:  # numba's word for: no folder to write to
        if "cache" not in str(error):
            raise
        return cast("Function", numba.njit(nogil=True)(function))


# --- Terms --------------------------------------------------------------------------------------
@compiled
def _compare(
    left: Array, left_at: int, left_end: int, right: Array, right_at: int, right_end: int
) -> int:
    """-1, 0 or 1, as bytes compare."""
    while left_at < left_end and right_at < right_end:
        a, b = left[left_at], right[right_at]
        if a != b:
            return -1 if a < b else 1
        left_at += 1
        right_at += 1
    if left_at == left_end:
        return 0 if right_at == right_end else -1
    return 1


@compiled
def find_terms(text: Array, starts: Array, wanted: Array, wanted_starts: Array) -> Array:
    """Places of sorted terms among sorted terms, -1 where one is missing.

    Each search gallops on from where the one before it ended.
    """
    found = np.full(len(wanted_starts) - 1, -1, np.int64)
    terms = len(starts) - 1
    low = 0
    for at in range(len(found)):
        begin, end = wanted_starts[at], wanted_starts[at + 1]
        step = 1
        high = low
        while high < terms and (
            _compare(text, starts[high], starts[high + 1], wanted, begin, end) < 0
        ):
            low = high + 1
            high += step
            step *= 2
        high = min(high, terms)
        while low < high:
            middle = (low + high) // 2
            if _compare(text, starts[middle], starts[middle + 1], wanted, begin, end) < 0:
                low = middle + 1
            else:
                high = middle
        if low < terms and (
            _compare(text, starts[low], starts[low + 1], wanted, begin, end) == 0
        ):
            found[at] = low
    return found


@compiled
def join_terms(
    left: Array, left_starts: Array, right: Array, right_starts: Array
) -> tuple[Array, Array, int, int]:
    """Where each term of two sorted lists stands in their union; its terms and bytes."""
    lefts, rights = len(left_starts) - 1, len(right_starts) - 1
    left_map, right_map = np.empty(lefts, np.int32), np.empty(rights, np.int32)
    a = b = terms = octets = 0
    while a < lefts or b < rights:
        if a == lefts:
            order = 1
        elif b == rights:
            order = -1
        else:
            order = _compare(
                left, left_starts[a], left_starts[a + 1], right, right_starts[b], right_starts[b + 1]
            )
        if order <= 0:
            octets += left_starts[a + 1] - left_starts[a]
        else:
            octets += right_starts[b + 1] - right_starts[b]
        if order <= 0:
            left_map[a] = terms
            a += 1
        if order >= 0:
            right_map[b] = terms
            b += 1
        terms += 1
    return left_map, right_map, terms, octets


@compiled
def place_terms(starts: Array, places: Array, lengths: Array) -> None:
    """Writes the length of each term at its place in a union."""
    for at in range(len(starts) - 1):
        if places[at] >= 0:
            lengths[places[at]] = starts[at + 1] - starts[at]


@compiled
def copy_terms(text: Array, starts: Array, places: Array, out: Array, out_starts: Array) -> None:
    """Writes each term's bytes at its place in a union."""
    for at in range(len(starts) - 1):
        if places[at] < 0:
            continue
        to = out_starts[places[at]]
        for octet in range(starts[at], starts[at + 1]):
            out[to] = text[octet]
            to += 1


# --- Merging ------------------------------------------------------------------------------------
@compiled
def count_live(starts: Array, docs: Array, dead: Array, places: Array, frequencies: Array) -> None:
    """Adds the number of live postings of a segment's terms to `frequencies`."""
    rows = len(dead)
    for term in range(len(starts) - 1):
        live = 0
        for at in range(starts[term], starts[term + 1]):
            row = docs[at]
            if 0 <= row < rows and not dead[row]:
                live += 1
        frequencies[places[term]] += live


@compiled
def copy_live(
    starts: Array,
    docs: Array,
    tfs: Array,
    dead: Array,
    places: Array,
    first: int,
    cursor: Array,
    out_docs: Array,
    out_tfs: Array,
) -> None:
    """Appends the live postings of a segment's terms, its rows moved up by `first`.

    Args:
        cursor: int64 by term of the union, where its next posting goes; moved on.
    """
    rows, room = len(dead), len(out_docs)
    for term in range(len(starts) - 1):
        if places[term] < 0:
            continue
        to = cursor[places[term]]
        for at in range(starts[term], starts[term + 1]):
            row = docs[at]
            if 0 <= row < rows and not dead[row] and to < room:
                out_docs[to] = row + first
                out_tfs[to] = tfs[at]
                to += 1
        cursor[places[term]] = to


@compiled
def copy_rows(
    starts: Array, terms: Array, dead: Array, places: Array, at: int, out: Array, out_starts: Array
) -> int:
    """Appends the terms of a segment's live rows; dead ones become empty. Where it ended."""
    for row in range(len(starts) - 1):
        if not dead[row]:
            for entry in range(starts[row], starts[row + 1]):
                term = terms[entry]
                if 0 <= term < len(places) and at < len(out):
                    out[at] = places[term]
                    at += 1
        out_starts[row] = at
    return at


@compiled
def bound_blocks(
    starts: Array,
    blocks: Array,
    docs: Array,
    tfs: Array,
    lengths: Array,
    last: Array,
    most: Array,
    shortest: Array,
) -> None:
    """For every block of postings: its last row, its highest count, its shortest chunk."""
    rows = len(lengths)
    for term in range(len(starts) - 1):
        block = blocks[term]
        for begin in range(starts[term], starts[term + 1], BLOCK):
            end = min(begin + BLOCK, starts[term + 1])
            tf, length = 0, 2147483647
            for at in range(begin, end):
                tf = max(tf, int(tfs[at]))
                row = docs[at]
                if 0 <= row < rows:
                    length = min(length, int(lengths[row]))
            last[block] = docs[end - 1]
            most[block] = tf
            shortest[block] = length
            block += 1


# --- Searching ----------------------------------------------------------------------------------
@compiled
def _gain(
    weight: float,
    tf: float,
    length: float,
    plain: bool,
    k1: float,
    flat: float,
    slope: float,
    lift: float,
) -> float:
    """As `scoring.gains`, operation by operation."""
    shape = flat + slope * length
    if plain:
        return weight * (tf * (k1 + 1.0) / (tf + k1 * shape))
    spread = tf / shape + lift
    return weight * (tf * (k1 + 1.0) * spread / (k1 + spread))


@compiled
def _first_at_least(docs: Array, low: int, high: int, row: int) -> int:
    while low < high:
        middle = (low + high) >> 1
        if docs[middle] < row:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _worse(
    score: float, tie: int, position: int, than: float, than_tie: int, than_position: int
) -> bool:
    """Whether the first ranks behind the second."""
    if score != than:
        return score < than
    if tie != than_tie:
        return tie > than_tie
    return position > than_position


@compiled
def push(
    score: float,
    tie: int,
    position: int,
    scores: Array,
    ties: Array,
    positions: Array,
    size: int,
) -> int:
    """Puts one into a heap whose root ranks last, if it is full only past that one. Its new size."""
    room = len(scores)
    if size < room:
        at = size
        size += 1
        while at > 0:
            parent = (at - 1) >> 1
            if not _worse(score, tie, position, scores[parent], ties[parent], positions[parent]):
                break
            scores[at], ties[at], positions[at] = scores[parent], ties[parent], positions[parent]
            at = parent
    else:
        if not _worse(scores[0], ties[0], positions[0], score, tie, position):
            return size
        at = 0
        while True:
            child = 2 * at + 1
            if child >= size:
                break
            other = child + 1
            if other < size and _worse(
                scores[other], ties[other], positions[other],
                scores[child], ties[child], positions[child],
            ):  # fmt: skip
                child = other
            if not _worse(
                scores[child], ties[child], positions[child], score, tie, position
            ):
                break
            scores[at], ties[at], positions[at] = scores[child], ties[child], positions[child]
            at = child
    scores[at], ties[at], positions[at] = score, tie, position
    return size


@compiled
def _limit(scores: Array, size: int, seed: float) -> float:
    """What a chunk's sum must reach to matter, a little below the worst of the best so far."""
    worst = scores[0] if size == len(scores) else -np.inf
    worst = max(worst, seed)
    return worst - abs(worst) * _SLACK if worst > -np.inf else worst


@compiled
def search(
    docs: Array,
    tfs: Array,
    lengths: Array,
    begins: Array,
    ends: Array,
    block_begins: Array,
    block_ends: Array,
    block_last: Array,
    block_tf: Array,
    block_length: Array,
    weights: Array,
    base: float,
    plain: bool,
    k1: float,
    flat: float,
    slope: float,
    lift: float,
    dead: Array,
    mask: Array,
    tie: Array,
    first: int,
    seed: float,
    scores: Array,
    ties: Array,
    positions: Array,
    size: int,
) -> int:
    """Puts the best rows of one segment into the heap; exact, ties included.

    Rows go by windows. In each, a term's bound is the best gain that the blocks reaching into it
    allow. Terms whose bounds together cannot lift a row into the heap are only looked up for rows
    that another term brings up.

    Args:
        docs, tfs: int32 and uint8 or int32 [postings], rows and counts, by term, then by row.
        lengths: int32 [rows].
        begins, ends: int64 [terms], the postings of each term of the query.
        block_begins, block_ends: int64 [terms], its blocks.
        block_last, block_tf, block_length: int32 [blocks].
        weights: float64 [terms], all above 0; the order of terms is that of summing.
        base: what every row gets.
        plain, k1, flat, slope, lift: the form of BM25, see `_gain`.
        dead, mask: bool [rows], or empty: rows that must not, or alone may, be found.
        tie: uint64 [rows], or empty.
        first: the position of row 0.
        seed: a score that k rows are known to reach, or minus infinity.
        scores, ties, positions: [k], the heap.
        size: how much of it is filled.

    Returns:
        How much of the heap is filled now.
    """
    terms, rows = len(weights), len(lengths)
    block = block_begins.copy()
    upper = np.zeros(terms)
    order = np.zeros(terms, np.int64)
    low = begins.copy()
    high = begins.copy()
    # Sums within the window; all 0 between windows.
    sums = np.zeros(_WINDOW)
    for window in range(0, rows, _WINDOW):
        end = min(window + _WINDOW, rows)
        limit = _limit(scores, size, seed)
        together = 0.0
        for term in range(terms):
            at = block[term]
            stop = block_ends[term]
            while at < stop and block_last[at] < window:
                at += 1
            block[term] = at
            best = 0.0
            while at < stop:
                if docs[begins[term] + (at - block_begins[term]) * BLOCK] >= end:
                    break
                gain = _gain(
                    weights[term], block_tf[at], block_length[at], plain, k1, flat, slope, lift
                )
                best = max(best, gain)
                if block_last[at] >= end - 1:
                    break
                at += 1
            upper[term] = best
            together += best
            # By insertion: few terms.
            slot = term
            while slot > 0 and upper[order[slot - 1]] > best:
                order[slot] = order[slot - 1]
                slot -= 1
            order[slot] = term
        if together == 0.0 or base + together < limit:
            continue
        if len(mask) > 0:
            any_allowed = False
            for row in range(window, end):
                if mask[row]:
                    any_allowed = True
                    break
            if not any_allowed:
                continue
        for term in range(terms):
            begin = begins[term] + (block[term] - block_begins[term]) * BLOCK
            begin = max(low[term], min(begin, ends[term]))
            low[term] = _first_at_least(docs, begin, min(begin + BLOCK, ends[term]), window)
            top = low[term]
            step = BLOCK
            while top + step < ends[term] and docs[top + step] < end:
                top += step
                step *= 2
            high[term] = _first_at_least(docs, top, min(top + step, ends[term]), end)
        optional = 0
        rest = 0.0
        while optional < terms and base + rest + upper[order[optional]] < limit:
            rest += upper[order[optional]]
            optional += 1
        if optional == terms:
            continue
        for place in range(optional, terms):
            term = order[place]
            weight = weights[term]
            for at in range(low[term], high[term]):
                local = docs[at] - window
                if 0 <= local < _WINDOW:
                    row = min(window + local, rows - 1)
                    sums[local] += _gain(
                        weight, tfs[at], lengths[row], plain, k1, flat, slope, lift
                    )
        for place in range(optional, terms):
            term = order[place]
            for at in range(low[term], high[term]):
                local = docs[at] - window
                if not 0 <= local < _WINDOW:
                    continue
                total = sums[local]
                if total == 0.0:
                    continue
                sums[local] = 0.0
                total += base
                if total + rest < limit:
                    continue
                row = window + local
                if row >= rows:
                    continue
                if len(dead) > 0 and dead[row]:
                    continue
                if len(mask) > 0 and not mask[row]:
                    continue
                remaining = rest
                reaches = True
                for other in range(optional - 1, -1, -1):
                    looked = order[other]
                    found = _first_at_least(docs, low[looked], high[looked], row)
                    remaining -= upper[looked]
                    if found < high[looked] and docs[found] == row:
                        total += _gain(
                            weights[looked], tfs[found], lengths[row],
                            plain, k1, flat, slope, lift,
                        )  # fmt: skip
                    if total + remaining < limit:
                        reaches = False
                        break
                if not reaches:
                    continue
                # Once more in the order that all sums have.
                total = base
                for looked in range(terms):
                    found = _first_at_least(docs, low[looked], high[looked], row)
                    if found < high[looked] and docs[found] == row:
                        total += _gain(
                            weights[looked], tfs[found], lengths[row],
                            plain, k1, flat, slope, lift,
                        )  # fmt: skip
                size = push(
                    total, tie[row] if len(tie) > 0 else np.uint64(0), first + row,
                    scores, ties, positions, size,
                )  # fmt: skip
                limit = _limit(scores, size, seed)
    return size
