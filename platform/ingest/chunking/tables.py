"""The header of the table in which a chunk begins, and the room that it takes of the chunk.

What always holds: a header has at most half of a chunk's tokens, so that rows have the rest; of a
longer one the last columns are left out. A chunk that is a part of one row has the header of the
columns that it holds.
"""

import re
from bisect import bisect_left, bisect_right

from rostra.core import Tokenizer, collapse_whitespace
from rostra.ingest.document import ParsedDocument, SpanKind

# Between cells; one that belongs to a cell's text is escaped.
_BORDER = re.compile(r"(?<!\\)\|")


class TableHeaders:
    """The headers of one document's tables.

    Args:
        document: what is cut.
        tokenizer: the embedder's.
        max_tokens: most tokens of a chunk.
    """

    def __init__(self, document: ParsedDocument, tokenizer: Tokenizer, max_tokens: int) -> None:
        self._text = document.text
        self._tokenizer = tokenizer
        self._limit = max_tokens // 2
        self._tables = [span for span in document.spans if span.kind is SpanKind.TABLE]
        self._starts = [table.start for table in self._tables]
        self._reserved: dict[int, int] = {}
        self._cells: dict[int, list[str]] = {}
        # Of the row that was looked at last.
        self._row = -1
        self._borders: list[int] = []
        self._fitted: dict[str, str] = {}

    def reserved(self, start: int) -> int:
        """Tokens to be left for the header of a chunk that begins here; 0 outside of tables."""
        table = self._table(start)
        if table is None:
            return 0
        if table[0] not in self._reserved:
            row = collapse_whitespace(self._text[slice(*table)])
            # A part of a row without borders around it is given them.
            count = self._count(row) + 2 * (not row.startswith("|"))
            self._reserved[table[0]] = min(self._limit, count)
        return self._reserved[table[0]]

    def header(self, start: int, end: int) -> str:
        """The header for a chunk, in one line; empty where it begins in no table's later rows."""
        table = self._table(start)
        if table is None:
            return ""
        row = self._text[slice(*table)] if self._is_whole(start, end) else None
        if row is None:
            row = self._columns(table, start, end)
        if row not in self._fitted:
            self._fitted[row] = self._cut(collapse_whitespace(row))
        return self._fitted[row]

    def _is_whole(self, start: int, end: int) -> bool:
        """Whether a range holds whole rows, or parts of more than one."""
        if "\n" in self._text[start:end]:
            return True
        line = self._line(start)
        return not (self._text[line[0] : start].strip() or self._text[end : line[1]].strip())

    def _columns(self, table: tuple[int, int], start: int, end: int) -> str:
        """The cells of a header above a part of a row."""
        line = self._line(start)
        if self._row != line[0]:
            self._row = line[0]
            self._borders = [found.start() for found in _BORDER.finditer(self._text, *line)]
        if table[0] not in self._cells:
            cells = _BORDER.split(self._text[slice(*table)])
            opened, closed = not cells[0].strip(), not cells[-1].strip()
            self._cells[table[0]] = cells[opened : len(cells) - closed]
        # Borders before the first cell that has something in the part, and before its last.
        text = self._text
        inner = start + 1 if text[start] == "|" else start
        outer = end - 1 if text[end - 1] == "|" and end - 1 > inner else end
        opens = bool(self._borders) and not text[line[0] : self._borders[0]].strip()
        first = bisect_left(self._borders, inner) - opens
        last = bisect_left(self._borders, outer) - opens
        cells = self._cells[table[0]][max(0, first) : last + 1]
        named = [cell.strip() for cell in cells]
        return f"| {' | '.join(named)} |" if any(named) else ""

    def _line(self, at: int) -> tuple[int, int]:
        newline = self._text.find("\n", at)
        return self._text.rfind("\n", 0, at) + 1, len(self._text) if newline < 0 else newline

    def _table(self, start: int) -> tuple[int, int] | None:
        """The range of the first row of the table in whose later rows a chunk begins."""
        at = bisect_right(self._starts, start) - 1
        if at < 0 or start >= self._tables[at].end:
            return None
        first = self._tables[at].start
        newline = self._text.find("\n", first, self._tables[at].end)
        return (first, newline) if first < newline < start else None

    def _cut(self, row: str) -> str:
        """As many columns as there is room for; a part of the first where it alone is too long."""
        offsets = self._tokenizer.offsets(row)
        if len(offsets) <= self._limit:
            return row
        if not self._limit:
            return ""
        room = row[: offsets[self._limit - 1][1]]
        borders = [found.end() for found in _BORDER.finditer(room)]
        if len(borders) > 1:
            room = room[: borders[-1]]
        # A word that is cut may be read as more tokens than it was a part of.
        while room and self._count(room) > self._limit:
            room = room[:-1]
        return room.strip()

    def _count(self, text: str) -> int:
        return len(self._tokenizer.offsets(text))
