"""The kernel that finds the best rows of a segment without scoring them all; see `compiling`.

Sources: Turtle and Flood, "Query evaluation: strategies and optimizations", IP&M 1995 (MaxScore);
Ding and Suel, "Faster top-k document retrieval using block-max indexes", SIGIR 2011; Chakrabarti,
Chaudhuri and Ganti, "Interval-based pruning for top-k processing over compressed lists", ICDE 2011.
"""

from typing import Any

import numpy as np

from rostra.retrieval.lexical.compiling import compiled
from rostra.retrieval.lexical.storage import Array

# Rows that are pruned and scored together; their sums fit a core's own cache.
_WINDOW = 4096
# Bounds and sums are of the same numbers in other orders; they differ by less than this share.
_SLACK = 1e-12
_NO_TIE: Any = np.uint64(0)


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


@compiled
def _limit(scores: Array, size: int) -> Any:
    """What a row's score must reach to matter, a little below the worst of the best so far."""
    if size < len(scores):
        return -np.inf
    return scores[0] - abs(scores[0]) * _SLACK


@compiled
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
            if docs[begins[term] + (at - block_begins[term]) * per_block] >= end:
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


@compiled
def _score(
    docs: Array,
    tfs: Array,
    low: Array,
    high: Array,
    weights: Array,
    factors: Array,
    form: Array,
    base: float,
    row: int,
    length: int,
) -> float:
    """A row's score, its gains added in the order that all sums have."""
    total = base
    for term in range(len(weights)):
        found = _first_at_least(docs, low[term], high[term], row)
        if found < high[term] and docs[found] == row:
            total += weights[term] * _factor(factors, form, tfs[found], length)
    return total


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
    found_rows = np.zeros(_WINDOW, np.int64)
    for window in range(0, rows, _WINDOW):
        end = min(window + _WINDOW, rows)
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
        near = lengths[window:end]
        width = len(near)
        for place in range(optional, terms):
            term = order[place]
            weight = weights[term]
            for at in range(low[term], high[term]):
                local = docs[at] - window
                if 0 <= local < width:
                    sums[local] += weight * _factor(factors, form, tfs[at], near[local])
        # Rows that can still make it, and a clean window.
        cut = limit - base - rest
        count = 0
        if postings * 4 > width:
            for local in range(width):
                if sums[local] >= cut and sums[local] > 0.0:
                    found_rows[count] = local
                    count += 1
        else:
            for place in range(optional, terms):
                term = order[place]
                for at in range(low[term], high[term]):
                    local = docs[at] - window
                    if 0 <= local < width and sums[local] >= cut and sums[local] > 0.0:
                        found_rows[count] = local
                        count += 1
                        # Found once: below every cut, whatever other terms bring it up again.
                        sums[local] = -sums[local]
        for number in range(count):
            local = found_rows[number]
            row = window + local
            if len(dead) > 0 and dead[row]:
                continue
            if len(mask) > 0 and not mask[row]:
                continue
            total = base + abs(sums[local])
            length = near[local]
            remaining = rest
            reaches = total + remaining >= limit
            for place in range(optional - 1, -1, -1):
                if not reaches:
                    break
                term = order[place]
                found = _first_at_least(docs, low[term], high[term], row)
                remaining -= upper[term]
                if found < high[term] and docs[found] == row:
                    total += weights[term] * _factor(factors, form, tfs[found], length)
                reaches = total + remaining >= limit
            if not reaches:
                continue
            score = _score(docs, tfs, low, high, weights, factors, form, base, row, length)
            size = push(
                score, tie[row] if len(tie) > 0 else _NO_TIE, first + row,
                scores, ties, positions, size,
            )  # fmt: skip
            limit = _limit(scores, size)
        if postings * 4 > width:
            sums[:width] = 0.0
        else:
            for place in range(optional, terms):
                term = order[place]
                for at in range(low[term], high[term]):
                    local = docs[at] - window
                    if 0 <= local < width:
                        sums[local] = 0.0
    return size
