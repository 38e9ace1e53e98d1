"""The kernel that looks a query's terms up in all segments; see `compiling` and `addresses`."""

import numpy as np
from numba import carray

from rostra.retrieval.lexical.compiling import compiled, inlined, pointer
from rostra.retrieval.lexical.storage import Array

(
    _FIRST, _ROWS, _TERMS, _WIDE, _LENGTHS, _TEXT, _OCTETS, _TERM_STARTS, _STARTS, _DOCS, _TFS,
    _POSTINGS, _BLOCK_STARTS, _BLOCK_LAST, _BLOCK_TF, _BLOCK_LENGTH, _BLOCKS, _DEAD, _GONE, _TABLE,
    _SLOT_PLACES, _SLOT_FILLED, _SLOTS,
) = range(23)  # fmt: skip


@inlined
def _compare(text: Array, at: int, end: int, wanted: Array, wanted_at: int, wanted_end: int) -> int:
    """-1, 0 or 1, as bytes compare."""
    order = 0
    while order == 0 and at < end and wanted_at < wanted_end:
        a, b = text[at], wanted[wanted_at]
        if a != b:
            order = -1 if a < b else 1
        at += 1
        wanted_at += 1
    if order == 0:
        if at < end:
            order = 1
        elif wanted_at < wanted_end:
            order = -1
    return order


@compiled
def look_up(
    parts: Array, text: Array, ends: Array, places: Array, slots: Array, frequencies: Array
) -> int:
    """Finds sorted terms, and in how many live rows each occurs.

    Args:
        parts: int64 [parts, columns].
        text, ends: uint8 and int64 [terms + 1], the terms in UTF-8, and where each starts.
        places: int64 [parts, terms], filled with each term's place in each part, -1 for none.
        slots: the same, filled with its row in the part's table of counts, -1 for none.
        frequencies: int64 [terms], added to.

    Returns:
        How many of the table's rows that were found are not filled.
    """
    unfilled = 0
    for part in range(len(parts)):
        row = parts[part]
        terms = row[_TERMS]
        starts = carray(pointer(row[_STARTS]), terms + 1, np.int64)
        term_starts = carray(pointer(row[_TERM_STARTS]), terms + 1, np.int64)
        spelled = carray(pointer(row[_TEXT]), row[_OCTETS], np.uint8)
        with_slots = carray(pointer(row[_SLOT_PLACES]), row[_SLOTS], np.int64)
        filled = carray(pointer(row[_SLOT_FILLED]), row[_SLOTS], np.bool_)
        low = 0
        for term in range(len(ends) - 1):
            places[part, term] = slots[part, term] = -1
            begin, end = ends[term], ends[term + 1]
            high = terms
            while low < high:
                middle = (low + high) >> 1
                order = _compare(
                    spelled, term_starts[middle], term_starts[middle + 1], text, begin, end
                )
                if order < 0:
                    low = middle + 1
                else:
                    high = middle
            if low == terms or (
                _compare(spelled, term_starts[low], term_starts[low + 1], text, begin, end) != 0
            ):
                continue
            places[part, term] = low
            frequencies[term] += starts[low + 1] - starts[low]
            if row[_GONE] != 0:
                frequencies[term] -= carray(pointer(row[_GONE]), terms, np.int32)[low]
            for slot in range(len(with_slots)):
                if with_slots[slot] == low:
                    slots[part, term] = slot
                    unfilled += not filled[slot]
                    break
    return unfilled
