"""Where the arrays of a reader's segments are, so that one call searches all of them.

A kernel that takes arrays one by one costs more to call than a small segment to search. It takes a
table instead, with a row of numbers for each segment. Whoever passes the table holds the segments.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rostra.retrieval.lexical.storage import Array

if TYPE_CHECKING:
    from rostra.retrieval.lexical.reader import Part

Table = npt.NDArray[np.int64]

# Columns; the kernels name them in this order.
COLUMNS = (
    "first", "rows", "terms", "wide", "lengths", "text", "octets", "term_starts", "starts", "docs",
    "tfs", "postings", "block_starts", "block_last", "block_tf", "block_length", "blocks", "dead",
    "gone", "table", "slot_places", "slot_filled", "slots",
)  # fmt: skip


def table_of(parts: "Sequence[Part]") -> Table:
    """int64 [parts, columns]: sizes, and addresses of arrays, 0 of those that there are not."""
    table = np.zeros((len(parts), len(COLUMNS)), np.int64)
    for row, part in zip(table, parts, strict=True):
        segment, frequent = part.segment, part.segment.frequent
        row[:] = (
            segment.first, segment.rows, segment.terms, segment.tfs.dtype != np.uint8,
            _address(segment.lengths), _address(segment.term_text), len(segment.term_text),
            _address(segment.term_starts), _address(segment.starts), _address(segment.docs),
            _address(segment.tfs), len(segment.docs), _address(segment.blocks),
            _address(segment.block_last), _address(segment.block_tf),
            _address(segment.block_length), len(segment.block_last),
            _address(part.dead), _address(part.gone), _address(frequent.table),
            _address(frequent.places), _address(frequent.filled), len(frequent.places),
        )  # fmt: skip
    table.flags.writeable = False
    return table


def _address(array: Array | None) -> int:
    if array is None:
        return 0
    if not array.flags.c_contiguous:
        raise ValueError("kernels read arrays that are in one piece")
    return int(array.__array_interface__["data"][0])
