"""Tables whose cells span others: every row on its own, under one header line.

A cell that spans rows is repeated in each, as a row has to say what it is about wherever it is cut;
one that spans columns is repeated in each too, unless it has its row for itself. Header lines are
joined column by column: `Score` above `Math` and `Art` becomes `Score Math`, `Score Art`. What
always holds: what is repeated counts against a budget, and no text that is long is repeated.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

_MAX_REPEATED_CHARS = 400
_CELL_COST = 10
# More header lines than any table has: these are something else.
_MAX_HEADER_ROWS = 8


class SpansTooLarge(Exception):
    """Repeating what spans would take more than the budget."""


@dataclass(slots=True)
class SpanBudget:
    """What may be repeated in all tables of a file.

    Attributes:
        left: characters, each cell counted as `_CELL_COST` more.
    """

    left: int = 5_000_000

    def take(self, text: str) -> str:
        """The text as it is repeated: empty when it is long.

        Raises:
            SpansTooLarge: when nothing is left.
        """
        text = text if len(text) <= _MAX_REPEATED_CHARS else ""
        self.left -= _CELL_COST + len(text)
        if self.left < 0:
            raise SpansTooLarge
        return text


class SpanCell(NamedTuple):
    """A cell as it is written.

    Attributes:
        text: on one line.
        columns: how many it spans, from 1.
        rows: how many it spans, from 1.
    """

    text: str
    columns: int = 1
    rows: int = 1


class _Placed(NamedTuple):
    """A cell in its place: columns `[first, after)`, down to before the row `until`."""

    first: int
    after: int
    until: int
    text: str
    row: int


@dataclass(slots=True)
class _Row:
    placed: list[_Placed] = field(default_factory=list)


def filled(groups: Sequence[Sequence[Sequence[SpanCell]]], budget: SpanBudget) -> list[list[str]]:
    """The rows of a table with everything that spans them.

    Args:
        groups: of rows of cells; no cell reaches from one into the next.
        budget: for what is repeated.

    Returns:
        As many rows as there are. Columns in which no cell begins are none.

    Raises:
        SpansTooLarge: when it is more than the budget.
    """
    if all(
        cell.columns == 1 and cell.rows == 1 for group in groups for row in group for cell in row
    ):
        return [own_texts(row) for group in groups for row in group]
    rows = [row for group in groups for row in _placed(group, budget)]
    columns = sorted({cell.first for row in rows for cell in row.placed})
    return [_texts(row, number, columns, budget) for row, number in _numbered(rows, groups)]


def own_texts(cells: Sequence[SpanCell]) -> list[str]:
    """The texts of a row as it is written; empty where none of its cells has any."""
    texts = [cell.text for cell in cells]
    return texts if any(texts) else []


def joined_header(rows: Sequence[Sequence[str]]) -> list[str]:
    """Header lines as one: in each column what stands above each other, without repetitions."""
    width = max(map(len, rows), default=0)
    header = []
    for column in range(width):
        parts = [row[column] for row in rows if column < len(row) and row[column]]
        kept = parts[:1] + [part for above, part in pairwise(parts) if part != above]
        header.append(" ".join(kept))
    return header


def office_table(
    rows: Sequence[Sequence[SpanCell]], budget: SpanBudget, headers: int = 0
) -> tuple[list[str], list[list[str]]]:
    """A table of an office document, which seldom says what its header is.

    Args:
        rows: as they are written.
        budget: for what is repeated.
        headers: how many of the first rows the document calls headers.

    Returns:
        As `with_header`.
    """
    try:
        texts = filled([rows], budget)
    except SpansTooLarge:
        texts = [own_texts(row) for row in rows]
    kept = [(text, row) for text, row in zip(texts, rows, strict=True) if text]
    if headers < 2:
        headers = _levels([row for _, row in kept])
    return with_header([text for text, _ in kept], headers if headers < len(kept) else 1)


def _levels(rows: Sequence[Sequence[SpanCell]]) -> int:
    """How many rows are a title and a header of two levels: its cells span columns or both rows.

    In a form, whose first row may have a wide cell too, others stand beside that one.
    """
    titles = 0
    while titles < min(len(rows), _MAX_HEADER_ROWS) and len(rows[titles]) == 1:
        titles += 1
    above = rows[titles] if titles < len(rows) else ()
    grouped = any(cell.columns > 1 for cell in above)
    tall = all(cell.columns > 1 or cell.rows > 1 or not cell.text for cell in above)
    return titles + (2 if grouped and tall else 1)


def with_header(rows: Sequence[Sequence[str]], count: int) -> tuple[list[str], list[list[str]]]:
    """Joins a table's first rows to one header.

    Args:
        rows: as `filled` gives them.
        count: how many of them are its header.

    Returns:
        Lines that stand above the table, as they go for all of its columns, and its rows.
    """
    above: list[str] = []
    lines = list(rows[:count])
    while len(lines) > 1 and len(lines[0]) == 1:
        above.append(lines.pop(0)[0])
    body = [list(row) for row in rows[count:]]
    if 1 < len(lines) <= _MAX_HEADER_ROWS:
        lines = [joined_header(lines)]
    return above, [list(line) for line in lines] + body


def _numbered(
    rows: Sequence[_Row], groups: Sequence[Sequence[Sequence[SpanCell]]]
) -> list[tuple[_Row, int]]:
    """Rows with their number in their group."""
    numbers = [number for group in groups for number in range(len(group))]
    return list(zip(rows, numbers, strict=True))


def _placed(group: Sequence[Sequence[SpanCell]], budget: SpanBudget) -> list[_Row]:
    """Where the cells of a group stand, each row with those that reach into it."""
    rows: list[_Row] = []
    reaching: list[_Placed] = []
    for number, cells in enumerate(group):
        row = _Row(list(reaching))
        column = at = 0
        for cell in cells:
            while at < len(reaching) and reaching[at].first <= column:
                column = reaching[at].after
                at += 1
            after = column + cell.columns
            if at < len(reaching):
                after = min(after, reaching[at].first)
            until = min(len(group), number + cell.rows)
            row.placed.append(_Placed(column, after, until, cell.text, number))
            column = after
        row.placed.sort(key=lambda one: one.first)
        rows.append(row)
        reaching = [one for one in row.placed if one.until > number + 1]
        for _ in reaching:
            # Places alone cost time, also those of empty cells.
            budget.take("")
    return rows


def _texts(row: _Row, number: int, columns: Sequence[int], budget: SpanBudget) -> list[str]:
    """The texts of a row, as far as it goes; empty where none of its own cells has any."""
    own = [one for one in row.placed if one.row == number]
    if not any(one.text for one in own):
        return []
    if len(row.placed) == 1:
        return [row.placed[0].text]
    texts: list[str] = []
    for one in row.placed:
        first = bisect_left(columns, one.first)
        for column in range(first, bisect_left(columns, one.after)):
            is_its_place = one.row == number and column == first
            texts.append(one.text if is_its_place else budget.take(one.text))
    return texts
