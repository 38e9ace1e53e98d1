"""Kernels that look terms up, make postings and merge segments; see `compiling`."""

import numpy as np

from rostra.retrieval.lexical.compiling import compiled
from rostra.retrieval.lexical.storage import Array


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
        if low < terms and (_compare(text, starts[low], starts[low + 1], wanted, begin, end) == 0):
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
                left,
                left_starts[a],
                left_starts[a + 1],
                right,
                right_starts[b],
                right_starts[b + 1],
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


# --- Making postings ----------------------------------------------------------------------------
@compiled
def count_rows(tokens: Array, starts: Array, last: Array, counts: Array) -> None:
    """Adds to each term's count the number of rows that have it.

    Args:
        last: int32 by term, -1: the last row that was seen to have it.
    """
    for row in range(len(starts) - 1):
        for at in range(starts[row], starts[row + 1]):
            term = tokens[at]
            if last[term] != row:
                last[term] = row
                counts[term] += 1


@compiled
def invert(
    tokens: Array, starts: Array, cursor: Array, begins: Array, docs: Array, tfs: Array
) -> None:
    """Writes each term's rows, rising, and how often it occurs in each.

    Args:
        cursor: int64 by term, where its next posting goes; moved on.
        begins: int64 by term, where its postings start.
    """
    for row in range(len(starts) - 1):
        for at in range(starts[row], starts[row + 1]):
            term = tokens[at]
            to = cursor[term]
            if to > begins[term] and docs[to - 1] == row:
                tfs[to - 1] += 1
            else:
                docs[to] = row
                tfs[to] = 1
                cursor[term] = to + 1


# --- Merging ------------------------------------------------------------------------------------
@compiled
def count_live(starts: Array, docs: Array, moved: Array, places: Array, frequencies: Array) -> None:
    """Adds the number of live postings of a segment's terms to `frequencies`.

    Args:
        moved: int64 [rows], where each row goes, -1 for those that are dead.
    """
    rows = len(moved)
    for term in range(len(starts) - 1):
        live = 0
        for at in range(starts[term], starts[term + 1]):
            row = docs[at]
            if 0 <= row < rows and moved[row] >= 0:
                live += 1
        frequencies[places[term]] += live


@compiled
def copy_live(
    starts: Array,
    docs: Array,
    tfs: Array,
    moved: Array,
    places: Array,
    cursor: Array,
    out_docs: Array,
    out_tfs: Array,
) -> None:
    """Appends the live postings of a segment's terms.

    Args:
        moved: int64 [rows], where each row goes, -1 for those that are dead.
        cursor: int64 by term of the union, where its next posting goes; moved on.
    """
    rows, room = len(moved), len(out_docs)
    for term in range(len(starts) - 1):
        if places[term] < 0:
            continue
        to = cursor[places[term]]
        for at in range(starts[term], starts[term + 1]):
            row = docs[at]
            if 0 <= row < rows and moved[row] >= 0 and to < room:
                out_docs[to] = moved[row]
                out_tfs[to] = tfs[at]
                to += 1
        cursor[places[term]] = to


@compiled
def copy_rows(starts: Array, terms: Array, moved: Array, places: Array, at: int, out: Array) -> int:
    """Appends the terms of a segment's live rows. Where it ended."""
    for row in range(len(starts) - 1):
        if moved[row] >= 0:
            for entry in range(max(starts[row], 0), min(starts[row + 1], len(terms))):
                term = terms[entry]
                if 0 <= term < len(places) and at < len(out):
                    out[at] = places[term]
                    at += 1
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
    size: int,
) -> None:
    """For every block of postings: its last row, its highest count, its shortest chunk."""
    rows = len(lengths)
    for term in range(len(starts) - 1):
        block = blocks[term]
        for begin in range(starts[term], starts[term + 1], size):
            end = min(begin + size, starts[term + 1])
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
