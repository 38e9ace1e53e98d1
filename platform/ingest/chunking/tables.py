"""The header of the table in which a chunk begins, and the room that it takes of the chunk.

What always holds: a header has at most half of a chunk's tokens, so that rows have the rest; what is
left out of a longer one are its last columns. A chunk that is a part of one row has the header of
the columns that it holds.
"""

import re
from bisect import bisect_right

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
        self._fitted: dict[str, str] = {}

    def reserved(self, start: int) -> int:
        """Tokens to be left for the header of a chunk that begins here; 0 outside of tables."""
        table = self._table(start)
        if table is None:
            return 0
        if table not in self._reserved:
            count = self._count(collapse_whitespace(self._text[slice(*table)]))
            self._reserved[table[0]] = min(self._limit, count)
        return self._reserved[table[0]]

    def header(self, start: int, end: int) -> str:
        """The header for a chunk, in one line; empty where it begins in no table's later rows."""
        table = self._table(start)
        if table is None:
            return ""
        row = self._text[slice(*table)]
        line = self._text.rfind("\n", 0, start) + 1
        after = self._text.find("\n", start)
        if "\n" not in self._text[start:end] and (
            self._text[line:start].strip() or self._text[end : max(end, after)].strip()
        ):
            row = _columns(row, self._text[line:start], self._text[start:end])
        if row not in self._fitted:
            self._fitted[row] = self._cut(collapse_whitespace(row))
        return self._fitted[row]

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


def _columns(header: str, before: str, part: str) -> str:
    """The cells of a header above a part of a row, after what stands before it in its row."""
    cells = _BORDER.split(header.strip().strip("|") if before.lstrip().startswith("|") else header)
    skipped = len(_BORDER.findall(before.lstrip().removeprefix("|")))
    if not before.strip():
        # The row's beginning, whose first border opens it.
        part = part.removeprefix("|")
    wanted = cells[skipped : skipped + len(_BORDER.findall(part)) + 1]
    named = [cell.strip() for cell in wanted]
    return f"| {' | '.join(named)} |" if any(named) else ""
