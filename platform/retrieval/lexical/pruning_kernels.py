"""The kernel that finds the best rows without scoring them all; see `compiling` and `addresses`.

Terms are taken by how few rows have them. First, whoever has the rarest is scored, then whoever has
the next one, until what the terms left can give together lifts no row into the heap; most rows are
dropped for the count of one term, before anything else of them is read. Where terms are too many
or too frequent for that, the ones left are added up by windows of rows.

Sources: Turtle and Flood, "Query evaluation: strategies and optimizations", IP&M 1995 (MaxScore);
Ding and Suel, "Faster top-k document retrieval using block-max indexes", SIGIR 2011; Chakrabarti,
Chaudhuri and Ganti, "Interval-based pruning for top-k processing over compressed lists", ICDE 2011.
"""

from typing import Any

import numpy as np
from numba import carray

from rostra.retrieval.lexical.compiling import compiled, inlined, pointer
from rostra.retrieval.lexical.storage import Array

(
    _FIRST, _ROWS, _TERMS, _WIDE, _LENGTHS, _TEXT, _OCTETS, _TERM_STARTS, _STARTS, _DOCS, _TFS,
    _POSTINGS, _BLOCK_STARTS, _BLOCK_LAST, _BLOCK_TF, _BLOCK_LENGTH, _BLOCKS, _DEAD, _GONE, _TABLE,
    _SLOT_PLACES, _SLOT_FILLED, _SLOTS,
) = range(23)  # fmt: skip
# Rows whose sums are kept at once: they fit a core's first cache.
WINDOW = 1 << 12
# Bounds and sums are of the same numbers in other orders; they differ by less than this share.
_SLACK = 1e-12
# Postings that are added up in the time that one term of one row is looked up.
_LOOK_UP = 8
_NO_TIE: Any = np.uint64(0)
# Less than any gain.
_LEAST = 1e-300


# --- The best so far ----------------------------------------------------------------------------
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


# --- What a segment has --------------------------------------------------------------------------
@inlined
def _postings(part: Array) -> Any:
    """Its rows by term, their counts in one of two arrays, lengths, who is dead, counts by row."""
    rows = part[_ROWS]
    narrow = 0 if part[_WIDE] else part[_POSTINGS]
    return (
        carray(pointer(part[_DOCS]), part[_POSTINGS], np.int32),
        carray(pointer(part[_TFS]), narrow, np.uint8),
        carray(pointer(part[_TFS]), part[_POSTINGS] - narrow, np.int32),
        carray(pointer(part[_LENGTHS]), rows, np.int32),
        carray(pointer(part[_DEAD]), rows if part[_DEAD] else 0, np.bool_),
        carray(pointer(part[_TABLE]), part[_SLOTS] * rows, np.uint8),
    )


@inlined
def _blocks(part: Array) -> Any:
    """The last row of each block of postings, its highest count and its shortest length."""
    return (
        carray(pointer(part[_BLOCK_LAST]), part[_BLOCKS], np.int32),
        carray(pointer(part[_BLOCK_TF]), part[_BLOCKS], np.int32),
        carray(pointer(part[_BLOCK_LENGTH]), part[_BLOCKS], np.int32),
    )


# --- Terms and rows -----------------------------------------------------------------------------
@inlined
def _factor(factors: Array, form: Array, tf: int, length: int) -> Any:
    """What a term's weight is multiplied with, from the table or as `scoring.gains` has it."""
    if tf < factors.shape[0] and length < factors.shape[1]:
        # The same test of both ends becomes code that is ten times slower.
        return factors[max(tf, 0), max(length, 0)]
    k1, flat, slope, lift = form[0], form[1], form[2], form[3]
    shape = flat + slope * length
    if np.isnan(lift):
        return tf * (k1 + 1.0) / (tf + k1 * shape)
    spread = tf / shape + lift
    return tf * (k1 + 1.0) * spread / (k1 + spread)


@inlined
def _from(docs: Array, low: int, high: int, row: int) -> int:
    """The first place in a rising list, from low on, of a row that is not smaller."""
    step = 1
    while low < high and docs[low] < row:
        # Everything up to low is smaller.
        low += 1
        if low + step < high and docs[low + step] < row:
            low += step + 1
            step *= 2
            continue
        top = min(low + step, high)
        while low < top:
            middle = (low + top) >> 1
            if docs[middle] < row:
                low = middle + 1
            else:
                top = middle
        break
    return low


@inlined
def _tf(tfs: Array, wide: Array, at: int) -> Any:
    """A posting's count, from the array that a segment has."""
    return np.int64(wide[at]) if len(wide) > 0 else np.int64(tfs[at])


@inlined
def _count(docs: Array, tfs: Array, wide: Array, at: int, end: int, row: int) -> Any:
    """How often a term occurs in a row, if its postings at a place are that row's."""
    if at < end and docs[at] == row:
        return _tf(tfs, wide, at)
    return np.int64(0)


@compiled
def _most(tfs: Array, lengths: Array, begin: int, end: int, factors: Array, form: Array) -> float:
    """The highest factor that blocks allow."""
    best, best_tf, best_length = 0.0, 0, 1 << 62
    for at in range(begin, end):
        if tfs[at] > best_tf or lengths[at] < best_length:
            factor = _factor(factors, form, tfs[at], lengths[at])
            if factor > best:
                best, best_tf, best_length = factor, tfs[at], lengths[at]
    return best


# --- By rare terms ------------------------------------------------------------------------------
@compiled
def _score_rows(
    part: Array, number: int, order: Array, begins: Array, ends: Array, block: int, per_block: int,
    slots: Array, upper: Array, weights: Array, factors: Array, form: Array, base: float,
    mask: Array, tie: Array, scores: Array, ties: Array, positions: Array, size: int,
) -> tuple[int, int]:  # fmt: skip
    """Shows the heap the rows of a part that have the term `order[number]` and none before it.

    Args:
        begins, ends, slots, upper: [terms], of this part.
        block: the term's first.

    Returns:
        How much of the heap is filled, and how many terms of rows were looked up.
    """
    terms, rows = len(order), part[_ROWS]
    docs, tfs, wide, lengths, dead, table = _postings(part)
    _, block_tf, block_length = _blocks(part)
    first = part[_FIRST]
    term = order[number]
    weight = weights[term]
    cursors = begins.copy()
    counts = np.zeros(terms, np.int64)
    # The other terms, those that can give most first, and what is left behind each.
    others = order[number + 1 :].copy()
    for at in range(1, len(others)):
        other, slot = others[at], at
        while slot > 0 and upper[others[slot - 1]] < upper[other]:
            others[slot] = others[slot - 1]
            slot -= 1
        others[slot] = other
    rest = np.zeros(len(others) + 1)
    for at in range(len(others) - 1, -1, -1):
        rest[at] = rest[at + 1] + upper[others[at]]
    limit = _limit(scores, size)
    looked = 0
    least = 1
    least_for, least_limit = -1, 0.0
    for begin in range(begins[term], ends[term], per_block):
        length, most = block_length[block], block_tf[block]
        block += 1
        # The least count with which a row of this block could matter; more counts for more.
        if length != least_for or limit != least_limit:
            least, least_for, least_limit = 1, length, limit
            beyond = most + 1
            while least < beyond:
                middle = (least + beyond) >> 1
                if base + weight * _factor(factors, form, middle, length) + rest[0] < limit:
                    least = middle + 1
                else:
                    beyond = middle
            if least > most:
                # Of this block; another one's counts may be higher.
                least_for = -1
        if least > most:
            continue
        for at in range(begin, min(begin + per_block, ends[term])):
            tf = _tf(tfs, wide, at)
            if tf < least:
                continue
            row = docs[at]
            if not 0 <= row < rows:
                continue
            # As if it were the block's shortest: lengths are all over memory, and most rows are
            # dropped before theirs is needed.
            total = base + weight * _factor(factors, form, tf, length)
            if total + rest[0] < limit:
                continue
            counts[term] = tf
            place = 0
            while place < len(others) and total + rest[place] >= limit:
                other = others[place]
                looked += 1
                if slots[other] >= 0:
                    tf = table[slots[other] * rows + row]
                else:
                    cursors[other] = _from(docs, cursors[other], ends[other], row)
                    tf = _count(docs, tfs, wide, cursors[other], ends[other], row)
                counts[other] = tf
                if tf > 0:
                    total += weights[other] * _factor(factors, form, tf, length)
                place += 1
            if total + rest[place] < limit:
                continue
            if (len(dead) > 0 and dead[row]) or (len(mask) > 0 and not mask[first + row]):
                continue
            # In the order that all sums have.
            near = lengths[row]
            score = 0.0
            for other in range(terms):
                if counts[other] > 0:
                    score += weights[other] * _factor(factors, form, counts[other], near)
            score += base
            if score < limit:
                continue
            # A row that has a term from before was shown with that one, or could not matter.
            known = False
            for place in range(number):
                other = order[place]
                cursors[other] = _from(docs, cursors[other], ends[other], row)
                if _count(docs, tfs, wide, cursors[other], ends[other], row) > 0:
                    known = True
                    break
            if known:
                continue
            size = push(
                score, tie[first + row] if len(tie) > 0 else _NO_TIE, first + row,
                scores, ties, positions, size,
            )  # fmt: skip
            limit = _limit(scores, size)
    return size, looked


# --- By windows ---------------------------------------------------------------------------------
@compiled
def _bound_terms(
    docs: Array, begins: Array, firsts: Array, lasts: Array, block_last: Array, block_tf: Array,
    block_length: Array, per_block: int, weights: Array, factors: Array, form: Array, window: int,
    end: int, block: Array, upper: Array, order: Array,
) -> float:  # fmt: skip
    """Bounds of each term's gain in a window, the lowest first in `order`; their sum."""
    together = 0.0
    for term in range(len(weights)):
        at = block[term]
        stop = lasts[term]
        while at < stop and block_last[at] < window:
            at += 1
        block[term] = at
        best = 0.0
        while at < stop:
            # Only a block that ends beyond the window may begin there, too.
            beyond = block_last[at] >= end
            if beyond and docs[begins[term] + (at - firsts[term]) * per_block] >= end:
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
def _add(
    docs: Array, tfs: Array, window: int, near: Array, weight: float, factors: Array, form: Array,
    sums: Array,
) -> None:  # fmt: skip
    """Adds the gains of some postings to the rows of a window."""
    for at in range(len(docs)):
        local = docs[at] - window
        if 0 <= local < len(near):
            sums[local] += weight * _factor(factors, form, tfs[at], near[local])


@compiled
def _add_counts(
    counts: Array, near: Array, weight: float, factors: Array, form: Array, sums: Array
) -> None:
    """Adds a term's gains to the rows of a window, from its counts by row."""
    for local in range(len(near)):
        # A factor of 0 costs less than to guess which counts are.
        sums[local] += weight * _factor(factors, form, counts[local], near[local])


@compiled
def _score_windows(
    part: Array, shown_begins: Array, shown_ends: Array, begins: Array, ends: Array, firsts: Array,
    lasts: Array, per_block: int, slots: Array, weights: Array, factors: Array, form: Array,
    base: float, mask: Array, tie: Array, scores: Array, ties: Array, positions: Array, size: int,
    sums: Array,
) -> int:  # fmt: skip
    """Shows the heap the rows of a part that have some of these terms, but none that was before.

    Args:
        shown_begins, shown_ends: int64, postings of the terms whose rows were shown.
        begins, ends, firsts, lasts, slots, weights: [terms], postings, blocks and table rows of
            the others, in the order in which gains are added up.
        sums: float64 [WINDOW], all 0, as they are left.

    Returns:
        How much of the heap is filled now.
    """
    terms, rows = len(weights), part[_ROWS]
    docs, tfs, wide, lengths, dead, table = _postings(part)
    block_last, block_tf, block_length = _blocks(part)
    first = part[_FIRST]
    block = firsts.copy()
    upper = np.zeros(terms)
    order = np.zeros(terms, np.int64)
    rests = np.zeros(terms + 1)
    kept = np.zeros(len(sums) + 1, np.int64)
    low, high, shown = begins.copy(), begins.copy(), shown_begins.copy()
    for window in range(0, rows, len(sums)):
        end = min(window + len(sums), rows)
        width = end - window
        limit = _limit(scores, size)
        together = _bound_terms(
            docs, begins, firsts, lasts, block_last, block_tf, block_length, per_block, weights,
            factors, form, window, end, block, upper, order,
        )  # fmt: skip
        if together == 0.0 or base + together < limit:
            continue
        if len(mask) > 0 and not mask[first + window : first + end].any():
            continue
        # Terms that lift no row into the heap together: looked up for rows with others.
        optional = 0
        while optional < terms and base + rests[optional] + upper[order[optional]] < limit:
            rests[optional + 1] = rests[optional] + upper[order[optional]]
            optional += 1
        rest = rests[optional]
        near = lengths[window:end]
        for term in range(terms):
            if slots[term] < 0:
                start = begins[term] + (block[term] - firsts[term]) * per_block
                start = max(high[term], min(start, ends[term]))
                low[term] = _from(docs, start, ends[term], window)
                high[term] = _from(docs, low[term], ends[term], end)
        for place in range(optional, terms):
            term = order[place]
            weight = weights[term]
            if slots[term] >= 0:
                start = slots[term] * rows + window
                _add_counts(table[start : start + width], near, weight, factors, form, sums)
            else:
                mine = docs[low[term] : high[term]]
                if len(wide) > 0:
                    counts = wide[low[term] : high[term]]
                    _add(mine, counts, window, near, weight, factors, form, sums)
                else:
                    few = tfs[low[term] : high[term]]
                    _add(mine, few, window, near, weight, factors, form, sums)
        # Rows that can still make it.
        cut = max(_LEAST, limit - base - rest)
        count = 0
        for local in range(width):
            kept[count] = local
            count += sums[local] >= cut
        if len(dead) > 0 or len(mask) > 0:
            allowed = 0
            for number in range(count):
                row = window + kept[number]
                if (len(dead) > 0 and dead[row]) or (len(mask) > 0 and not mask[first + row]):
                    continue
                kept[allowed] = kept[number]
                allowed += 1
            count = allowed
        for place in range(optional - 1, -1, -1):
            if count == 0:
                break
            term = order[place]
            weight = weights[term]
            if slots[term] >= 0:
                start = slots[term] * rows + window
                for number in range(count):
                    local = kept[number]
                    tf = table[start + local]
                    if tf > 0:
                        sums[local] += weight * _factor(factors, form, tf, near[local])
            elif count * _LOOK_UP > high[term] - low[term]:
                mine = docs[low[term] : high[term]]
                if len(wide) > 0:
                    counts = wide[low[term] : high[term]]
                    _add(mine, counts, window, near, weight, factors, form, sums)
                else:
                    few = tfs[low[term] : high[term]]
                    _add(mine, few, window, near, weight, factors, form, sums)
            else:
                at = low[term]
                for number in range(count):
                    local = kept[number]
                    at = _from(docs, at, high[term], window + local)
                    tf = _count(docs, tfs, wide, at, high[term], window + local)
                    if tf > 0:
                        sums[local] += weight * _factor(factors, form, tf, near[local])
            cut = limit - base - rests[place]
            left = 0
            for number in range(count):
                kept[left] = kept[number]
                left += sums[kept[number]] >= cut
            count = left
        for number in range(count):
            local = kept[number]
            if base + sums[local] < limit:
                continue
            row = window + local
            known = False
            for place in range(len(shown)):
                shown[place] = _from(docs, shown[place], shown_ends[place], row)
                if shown[place] < shown_ends[place] and docs[shown[place]] == row:
                    known = True
                    break
            if known:
                continue
            # Once more in the order that all sums have.
            score = 0.0
            for term in range(terms):
                if slots[term] >= 0:
                    tf = np.int64(table[slots[term] * rows + row])
                else:
                    low[term] = _from(docs, low[term], high[term], row)
                    tf = _count(docs, tfs, wide, low[term], high[term], row)
                if tf > 0:
                    score += weights[term] * _factor(factors, form, tf, near[local])
            score += base
            size = push(
                score, tie[first + row] if len(tie) > 0 else _NO_TIE, first + row,
                scores, ties, positions, size,
            )  # fmt: skip
            limit = _limit(scores, size)
        sums[:width] = 0.0
    return size


# --- All of it ----------------------------------------------------------------------------------
@inlined
def _can_matter(upper: Array, order: Array, number: int, base: float, limit: float) -> Any:
    """Whether rows that have none of the terms before `order[number]` can reach the limit."""
    together = 0.0
    for place in range(number, len(order)):
        together += upper[order[place]]
    return together > 0.0 and base + together >= limit


@compiled
def search(
    parts: Array, by_size: Array, places: Array, slots: Array, per_block: int, weights: Array,
    factors: Array, form: Array, base: float, mask: Array, tie: Array, scores: Array, ties: Array,
    positions: Array, size: int, sums: Array,
) -> int:  # fmt: skip
    """Puts the best rows of all parts into the heap; exact, ties included.

    Args:
        parts: int64 [parts, columns], see `addresses`.
        by_size: int64 [parts], the order in which they are searched.
        places, slots: int64 [parts, terms], from `lookup_kernels.look_up`, all slots filled.
        per_block: postings in a block.
        weights: float64 [terms], all above 0; the order of terms is that of summing.
        factors: float64 [counts, lengths], what a term's weight is multiplied with.
        form: float64 [4], k1, 1 - b, b / mean length, and lift where it is BM25L's, else NaN:
            where `factors` ends.
        base: what every row gets.
        mask: bool [positions], or empty: rows that alone may be found.
        tie: uint64 [positions], or empty.
        scores, ties, positions: [k], the heap.
        size: how much of it is filled.
        sums: float64 [WINDOW], all 0, as they are left.

    Returns:
        How much of the heap is filled now.
    """
    count, terms = places.shape
    begins, ends = np.zeros((count, terms), np.int64), np.zeros((count, terms), np.int64)
    firsts, lasts = np.zeros((count, terms), np.int64), np.zeros((count, terms), np.int64)
    upper = np.zeros((count, terms))
    sizes = np.zeros(terms, np.int64)
    for at in range(count):
        part = parts[at]
        starts = carray(pointer(part[_STARTS]), part[_TERMS] + 1, np.int64)
        block_starts = carray(pointer(part[_BLOCK_STARTS]), part[_TERMS] + 1, np.int64)
        _, block_tf, block_length = _blocks(part)
        for term in range(terms):
            place = places[at, term]
            if place >= 0:
                begins[at, term], ends[at, term] = starts[place], starts[place + 1]
                firsts[at, term], lasts[at, term] = block_starts[place], block_starts[place + 1]
                upper[at, term] = weights[term] * _most(
                    block_tf, block_length, firsts[at, term], lasts[at, term], factors, form
                )
                sizes[term] += ends[at, term] - begins[at, term]
    order = np.zeros(terms, np.int64)
    for term in range(terms):
        slot = term
        while slot > 0 and sizes[order[slot - 1]] > sizes[term]:
            order[slot] = order[slot - 1]
            slot -= 1
        order[slot] = term
    # Windows cost a little for each of their rows, too.
    left = sizes.sum() + parts[:, _ROWS].sum() // 2
    looked = 0
    number = 0
    while number < terms:
        term = order[number]
        if (looked + sizes[term] * (terms - number - 1)) * _LOOK_UP > left:
            break
        over = True
        for at in by_size:
            if not _can_matter(upper[at], order, number, base, _limit(scores, size)):
                continue
            over = False
            if begins[at, term] < ends[at, term]:
                size, more = _score_rows(
                    parts[at], number, order, begins[at], ends[at], firsts[at, term], per_block,
                    slots[at], upper[at], weights, factors, form, base, mask, tie, scores, ties,
                    positions, size,
                )  # fmt: skip
                looked += more
        if over:
            return size
        number += 1
    shown = order[:number]
    others = np.zeros(terms - number, np.int64)
    free = 0
    for term in range(terms):
        if term not in shown:
            others[free] = term
            free += 1
    for at in by_size:
        if free > 0 and _can_matter(upper[at], order, number, base, _limit(scores, size)):
            size = _score_windows(
                parts[at], begins[at][shown], ends[at][shown], begins[at][others],
                ends[at][others], firsts[at][others], lasts[at][others], per_block,
                slots[at][others], weights[others], factors, form, base, mask, tie, scores, ties,
                positions, size, sums,
            )  # fmt: skip
    return size
