"""Merged cells of a worksheet, which only its first cell has the value of.

What always holds: the sheet's text is looked through once, in steps, and what is repeated counts
against a budget; past that the sheet is read cell by cell.
"""

import re
from dataclasses import dataclass
from typing import IO

from openpyxl.utils import column_index_from_string

from rostra.ingest.parsers.grid import SpanBudget, SpansTooLarge, joined_header

# In the text of cells the sign that opens an element is escaped.
_MERGE = re.compile(
    rb"<(?:\w{1,20}:)?mergeCell\s[^<>]{0,100}?"
    rb"ref\s?=\s?[\"']([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})[\"']"
)
_STEP_BYTES = 1024 * 1024
_MOST_BYTES_OF_ONE = 200
_MAX_MERGES = 20_000
_MAX_HEADER_ROWS = 8

# A row's values by column.
Row = dict[int, str]


@dataclass(frozen=True, slots=True, order=True)
class Merge:
    """Cells that are one; rows count from 1, columns from 0, both ends are inside."""

    top: int
    left: int
    bottom: int
    right: int


def merges_of(sheet: IO[bytes]) -> list[Merge]:
    """The first merges that a sheet's XML names, from top to bottom.

    Args:
        sheet: its part of the workbook; closed afterwards.
    """
    found: set[Merge] = set()
    with sheet:
        rest = b""
        while (part := sheet.read(_STEP_BYTES)) and len(found) < _MAX_MERGES:
            text = rest + part
            for left, top, right, bottom in _MERGE.findall(text):
                found.add(Merge(int(top), _column(left), int(bottom), _column(right)))
            rest = text[-_MOST_BYTES_OF_ONE:]
    return sorted(found)


def _column(letters: bytes) -> int:
    index: int = column_index_from_string(letters.decode("ascii"))
    return index - 1


class Merged:
    """The merges of one sheet, asked for its blocks from top to bottom.

    Args:
        merges: sorted.
        budget: for what is repeated, of the whole workbook.
    """

    def __init__(self, merges: list[Merge], budget: SpanBudget) -> None:
        self._merges = merges
        self._budget = budget
        self._next = 0
        self._open: list[Merge] = []

    def within(self, first: int, last: int) -> list[Merge]:
        """Merges that touch these rows."""
        try:
            while self._next < len(self._merges) and self._merges[self._next].top <= last:
                self._open.append(self._merges[self._next])
                self._next += 1
            for _ in self._open:
                self._budget.take("")
        except SpansTooLarge:
            self._merges, self._open = [], []
        self._open = [merge for merge in self._open if merge.bottom >= first]
        return [merge for merge in self._open if merge.top <= last]

    def table(
        self, block: list[Row], first: int, columns: list[int], merges: list[Merge]
    ) -> list[list[str]]:
        """The rows of a block with everything that spans them, its header in one line.

        Args:
            block: rows with values.
            first: the number of the first.
            columns: those of the table.
            merges: that touch it.
        """
        header = _header_rows(block, first, columns, merges)
        filled = [dict(row) for row in block]
        try:
            for merge in merges:
                self._fill(block, filled, first, columns, merge, header)
        except SpansTooLarge:
            filled = block
        rows = [[row.get(column, "") for column in columns] for row in filled]
        return [joined_header(rows[:header]), *rows[header:]] if header > 1 else rows

    def _fill(
        self,
        block: list[Row],
        filled: list[Row],
        first: int,
        columns: list[int],
        merge: Merge,
        header: int,
    ) -> None:
        if not first <= merge.top < first + len(block):
            return
        text = block[merge.top - first].get(merge.left, "")
        if not text:
            return
        inside = _inside(columns, merge)
        for number in range(merge.top, min(merge.bottom + 1, first + len(block))):
            own = block[number - first]
            is_alone = number == merge.top and len(own) == 1 and number >= first + header
            for column in inside[:1] if is_alone else inside:
                if column not in own:
                    filled[number - first][column] = self._budget.take(text)


def begins_table(row: Row, number: int, columns: list[int], merges: list[Merge]) -> bool:
    """Whether a row's only value stands above some columns, not above or below all of them."""
    return any(
        merge.top == number
        and merge.left in row
        and merge.left > columns[0]
        and len(_inside(columns, merge)) > 1
        for merge in merges
    )


def _header_rows(block: list[Row], first: int, columns: list[int], merges: list[Merge]) -> int:
    """How many rows are the header: those with groups of columns, and the one below them."""
    grouped = {merge.top for merge in merges if len(_inside(columns, merge)) > 1}
    count = 0
    while count < len(block) and first + count in grouped:
        count += 1
    return count + 1 if 0 < count < min(_MAX_HEADER_ROWS, len(block) - 1) else 1


def _inside(columns: list[int], merge: Merge) -> list[int]:
    return [column for column in columns if merge.left <= column <= merge.right]
