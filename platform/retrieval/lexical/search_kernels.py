"""The kernel that finds the best rows of a segment without scoring them all; see `compiling`.

Sources: Turtle and Flood, "Query evaluation: strategies and optimizations", IP&M 1995 (MaxScore);
Ding and Suel, "Faster top-k document retrieval using block-max indexes", SIGIR 2011; Chakrabarti,
Chaudhuri and Ganti, "Interval-based pruning for top-k processing over compressed lists", ICDE 2011.
"""

from typing import Any

import numpy as np

from rostra.retrieval.lexical.compiling import compiled, inlined
from rostra.retrieval.lexical.storage import Array

# Rows that are pruned and scored together: their sums fit a core's first cache where most rows have
# a term of the query, its second one where few have.
_DENSE_WINDOW = 1 << 12
SPARSE_WINDOW = 1 << 15
# Bounds and sums are of the same numbers in other orders; they differ by less than this share.
_SLACK = 1e-12
# Postings that are added in the time that one row is searched for.
_SEARCH = 8
_NO_TIE: Any = np.uint64(0)


@inlined
def _first_at_least(docs: Array, low: int, high: int, row: int) -> int:
    while low < high:
        middle = (low + high) >> 1
        if docs[middle] < row:
            low = middle + 1
        else:
            high = middle
    return low


@inlined
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
    """Puts one into a heap whose root ranks last; a full one drops its root. Its new size."""
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
            if not _worse(scores[child], ties[child], positions[child], score, tie, position):
                break
            scores[at], ties[at], positions[at] = scores[child], ties[child], positions[child]
            at = child
    scores[at], ties[at], positions[at] = score, tie, position
    return size


@inlined
def _limit(scores: Array, size: int) -> Any:
    """What a row's score must reach to matter, a little below the worst of the best so far."""
    if size < len(scores):
        return -np.inf
    return scores[0] - abs(scores[0]) * _SLACK


@inlined
def _factor(factors: Array, form: Array, tf: int, length: int) -> Any:
    """What a term's weight is multiplied with, from the table or as `scoring.gains` has it."""
    if tf < factors.shape[0] and length < factors.shape[1]:
        return factors[tf, length]
    k1, flat, slope, lift = form[0], form[1], form[2], form[3]
    shape = flat + slope * length
    if lift == 0.0:
        return tf * (k1 + 1.0) / (tf + k1 * shape)
    spread = tf / shape + lift
    return tf * (k1 + 1.0) * spread / (k1 + spread)


@compiled
def _bound_terms(
    docs: Array,
    begins: Array,
    block_begins: Array,
    block_ends: Array,
    block_last: Array,
    block_tf: Array,
    block_length: Array,
    per_block: int,
    weights: Array,
    factors: Array,
    form: Array,
    window: int,
    end: int,
    block: Array,
    upper: Array,
    order: Array,
) -> float:
    """Bounds of each term's gain in a window, the lowest first in `order`; their sum."""
    together = 0.0
    for term in range(len(weights)):
        at = block[term]
        stop = block_ends[term]
        while at < stop and block_last[at] < window:
            at += 1
        block[term] = at
        best = 0.0
        while at < stop:
            # Only a block that ends beyond the window may begin there, too.
            beyond = block_last[at] >= end
            if beyond and docs[begins[term] + (at - block_begins[term]) * per_block] >= end:
                break
            best = max(best, _factor(factors, form, block_tf[at], block_length[at]))
            if block_last[at] >= end - 1:
                break
            at += 1
        best *= weights[term]
        upper[term] = best
        together += best
        # By insertion: there are few terms.
        slot = term
        while slot > 0 and upper[order[slot - 1]] > best:
            order[slot] = order[slot - 1]
            slot -= 1
        order[slot] = term
    return together


@inlined
def _count(docs: Array, tfs: Array, table: Array, slot: int, low: int, high: int, row: int) -> Any:
    """How often a term occurs in a row."""
    if slot >= 0:
        return table[slot, row]
    found = _first_at_least(docs, low, high, row)
    if found < high and docs[found] == row:
        return tfs[found]
    return np.uint8(0)


@compiled
def _add(
    docs: Array,
    tfs: Array,
    low: int,
    high: int,
    window: int,
    near: Array,
    weight: float,
    factors: Array,
    form: Array,
    sums: Array,
) -> None:
    """Adds a term's gains to the rows of a window."""
    width = len(near)
    for at in range(low, high):
        local = docs[at] - window
        if 0 <= local < width:
            sums[local] += weight * _factor(factors, form, tfs[at], near[local])


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
    per_block: int,
    table: Array,
    slots: Array,
    weights: Array,
    factors: Array,
    form: Array,
    base: float,
    dead: Array,
    mask: Array,
    tie: Array,
    first: int,
    scores: Array,
    ties: Array,
    positions: Array,
    size: int,
    sums: Array,
    rows_left: Array,
    exact: Array,
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
        per_block: postings in a block.
        table: uint8 [slots, rows], counts by row of frequent terms.
        slots: int64 [terms], the table's row of each term, or -1.
        weights: float64 [terms], all above 0; the order of terms is that of summing.
        factors: float64 [counts, lengths], what a term's weight is multiplied with.
        form: float64 [4], k1, 1 - b, b / mean length, and lift where it is BM25L's, else 0: where
            `factors` ends.
        base: what every row gets.
        dead, mask: bool [rows], or empty: rows that must not, or alone may, be found.
        tie: uint64 [rows], or empty.
        first: the position of row 0.
        scores, ties, positions: [k], the heap.
        size: how much of it is filled.
        sums: float64 [SPARSE_WINDOW], all 0, as they are left.
        rows_left: int32 [SPARSE_WINDOW + 1], for the kernel's own use, as `exact` is.
        exact: bool [SPARSE_WINDOW].

    Returns:
        How much of the heap is filled now.
    """
    terms, rows = len(weights), len(lengths)
    block = block_begins.copy()
    upper = np.zeros(terms)
    order = np.zeros(terms, np.int64)
    low = begins.copy()
    high = begins.copy()
    size_of_window = len(sums) if (ends - begins).sum() * 4 < rows else _DENSE_WINDOW
    essential = np.zeros(terms, np.bool_)
    for window in range(0, rows, size_of_window):
        end = min(window + size_of_window, rows)
        limit = _limit(scores, size)
        together = _bound_terms(
            docs, begins, block_begins, block_ends, block_last, block_tf, block_length, per_block,
            weights, factors, form, window, end, block, upper, order,
        )  # fmt: skip
        if together == 0.0 or base + together < limit:
            continue
        if len(mask) > 0 and not mask[window:end].any():
            continue
        optional = 0
        rest = 0.0
        while optional < terms and base + rest + upper[order[optional]] < limit:
            rest += upper[order[optional]]
            optional += 1
        if optional == terms:
            continue
        postings = 0
        for term in range(terms):
            begin = begins[term] + (block[term] - block_begins[term]) * per_block
            begin = max(low[term], min(begin, ends[term]))
            low[term] = _first_at_least(docs, begin, min(begin + per_block, ends[term]), window)
            top = low[term]
            step = per_block
            while top + step < ends[term] and docs[top + step] < end:
                top += step
                step *= 2
            high[term] = _first_at_least(docs, top, min(top + step, ends[term]), end)
        for place in range(optional, terms):
            postings += high[order[place]] - low[order[place]]
        scan = postings * 4 > end - window
        near = lengths[window:end]
        width = len(near)
        # In the order that all sums have, so that they are scores already where no more is added.
        essential[:] = False
        for place in range(optional, terms):
            essential[order[place]] = True
        for term in range(terms):
            if essential[term]:
                _add(
                    docs, tfs, low[term], high[term], window, near,
                    weights[term], factors, form, sums,
                )  # fmt: skip
        # Rows that can still make it.
        cut = limit - base - rest
        count = 0
        if scan:
            for local in range(width):
                if sums[local] >= cut and sums[local] > 0.0:
                    rows_left[count] = local
                    count += 1
        else:
            for place in range(optional, terms):
                term = order[place]
                for at in range(low[term], high[term]):
                    local = docs[at] - window
                    if 0 <= local < width and sums[local] >= cut and sums[local] > 0.0:
                        rows_left[count] = local
                        count += 1
                        # Found once: below every cut, whatever other terms bring it up again.
                        sums[local] = -sums[local]
            for number in range(count):
                sums[rows_left[number]] *= -1.0
        for number in range(count):
            exact[rows_left[number]] = True
        if len(dead) > 0 or len(mask) > 0:
            kept = 0
            for number in range(count):
                row = window + rows_left[number]
                if (len(dead) > 0 and dead[row]) or (len(mask) > 0 and not mask[row]):
                    continue
                rows_left[kept] = rows_left[number]
                kept += 1
            count = kept
        for place in range(optional - 1, -1, -1):
            if count == 0:
                break
            term = order[place]
            weight, slot, here = weights[term], slots[term], high[term] - low[term]
            if slot >= 0:
                for number in range(count):
                    local = rows_left[number]
                    tf = table[slot, window + local]
                    if tf > 0:
                        sums[local] += weight * _factor(factors, form, tf, near[local])
                        exact[local] = False
            elif count * _SEARCH > here:
                _add(docs, tfs, low[term], high[term], window, near, weight, factors, form, sums)
                scan = True
                for number in range(count):
                    exact[rows_left[number]] = False
            else:
                for number in range(count):
                    local = rows_left[number]
                    found = _first_at_least(docs, low[term], high[term], window + local)
                    if found < high[term] and docs[found] == window + local:
                        sums[local] += weight * _factor(factors, form, tfs[found], near[local])
                        exact[local] = False
            rest -= upper[term]
            cut = limit - base - rest
            kept = 0
            for number in range(count):
                rows_left[kept] = rows_left[number]
                kept += sums[rows_left[number]] >= cut
            count = kept
        for number in range(count):
            local = rows_left[number]
            if base + sums[local] < limit:
                continue
            row = window + local
            score = sums[local]
            if not exact[local]:
                # Once more in the order that all sums have.
                score = 0.0
                for term in range(terms):
                    tf = _count(docs, tfs, table, slots[term], low[term], high[term], row)
                    if tf > 0:
                        score += weights[term] * _factor(factors, form, tf, near[local])
            score += base
            size = push(
                score, tie[row] if len(tie) > 0 else _NO_TIE, first + row,
                scores, ties, positions, size,
            )  # fmt: skip
            limit = _limit(scores, size)
        if scan:
            sums[:width] = 0.0
        else:
            for place in range(optional, terms):
                term = order[place]
                for at in range(low[term], high[term]):
                    local = docs[at] - window
                    if 0 <= local < width:
                        sums[local] = 0.0
    return size
