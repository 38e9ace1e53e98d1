"""Where the arrays of a reader's segments are, so that one call searches all of them.

A kernel that takes arrays one by one costs more to call than a small segment to search. It takes a
table instead, with a row of numbers for each segment.

What always holds: arrays whose addresses are in a table are held beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Addresses:
    """See this module.

    Attributes:
        table: int64 [parts, columns], sizes, and addresses of arrays, 0 of those that are not.
        by_size: int64 [parts], those with the most postings first: what they show prunes others.
        held: the arrays.
    """

    table: Table
    by_size: Table
    held: tuple[Array, ...]


def addresses_of(parts: "Sequence[Part]") -> Addresses:
    """Of all arrays that searching these parts needs.

    Raises:
        ValueError: an array is not in one piece.
    """
    table = np.zeros((len(parts), len(COLUMNS)), np.int64)
    held: list[Array] = []

    def address(array: Array | None) -> int:
        if array is None:
            return 0
        if not array.flags.c_contiguous:
            raise ValueError("kernels read arrays that are in one piece")
        held.append(array)
        return int(array.__array_interface__["data"][0])

    for row, part in zip(table, parts, strict=True):
        segment, frequent = part.segment, part.segment.frequent
        row[:] = (
            segment.first, segment.rows, segment.terms, segment.tfs.dtype != np.uint8,
            address(segment.lengths), address(segment.term_text), len(segment.term_text),
            address(segment.term_starts), address(segment.starts), address(segment.docs),
            address(segment.tfs), len(segment.docs), address(segment.blocks),
            address(segment.block_last), address(segment.block_tf),
            address(segment.block_length), len(segment.block_last),
            address(part.dead), address(part.gone), address(frequent.table),
            address(frequent.places), address(frequent.filled), len(frequent.places),
        )  # fmt: skip
    table.flags.writeable = False
    sizes = np.array([len(part.segment.docs) for part in parts], np.int64)
    return Addresses(table, np.argsort(-sizes, kind="stable"), tuple(held))
