"""Tables of web pages: those of data as rows of cells, those that place blocks as lines.

Cells that span others are repeated, and the lines of a header are joined, as `grid` says.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lxml import etree

from rostra.ingest.parsers.grid import (
    SpanBudget,
    SpanCell,
    SpansTooLarge,
    filled,
    own_texts,
    with_header,
)

_CELL_BLOCKS = ("table", "h1", "h2", "h3", "h4", "h5", "h6", "pre")
_PARAGRAPHS = ("p", "div", "li", "br")
_LARGE_CELL_CHARS = 400
_SHORT_ROW_CHARS = 1200
# What HTML itself allows.
_MAX_COLUMNS_SPANNED = 1_000
_MAX_ROWS_SPANNED = 65_534
# A line separator, which HTML itself does not break lines at.
LINE_BREAK = "\u2028"
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SOFT = str.maketrans("", "", "\xad\u200b\ufeff")
_SPAN = re.compile(r"\s{0,9}\+?(\d{1,9})")


@dataclass(frozen=True, slots=True)
class DataTable:
    """A table of data.

    Attributes:
        above: lines of its header that go for all of its columns.
        rows: the texts of its cells; the first is its header.
    """

    above: list[str]
    rows: list[list[str]]


def _storable(text: str | None) -> str:
    """A text as lxml takes it back: pages can name characters that it gives but refuses."""
    return _NO_XML.sub("\ufffd", text or "")


def collapsed(text: str) -> str:
    return " ".join(text.translate(_SOFT).split())


def data_table(table: etree._Element, budget: SpanBudget) -> DataTable | None:
    """A table of data; None for one that only places blocks."""
    if table.get("role") in {"presentation", "none"}:
        return None
    if next(table.iterdescendants(*_CELL_BLOCKS), None) is not None:
        return None
    groups: list[list[list[SpanCell]]] = []
    kinds: list[tuple[bool, bool]] = []
    for in_head, elements in _groups(table):
        group = []
        for row in elements:
            cells = []
            tags = []
            for cell in row.iterchildren("td", "th"):
                text = _cell_text(cell)
                if (
                    len(text) > _LARGE_CELL_CHARS
                    and len(list(cell.iterdescendants(*_PARAGRAPHS))) > 1
                ):
                    return None
                columns = min(_MAX_COLUMNS_SPANNED, _span(cell, "colspan") or 1)
                rows = _span(cell, "rowspan")
                # None at all means down to the end.
                cells.append(SpanCell(text, columns, rows or _MAX_ROWS_SPANNED))
                tags.append(cell.tag)
            group.append(cells)
            kinds.append((in_head, "td" not in tags))
        groups.append(group)
    if all(len(cells) <= 1 for group in groups for cells in group):
        return None
    try:
        texts = filled(groups, budget)
    except SpansTooLarge:
        texts = [own_texts(cells) for group in groups for cells in group]
    kept = [(cells, kind) for cells, kind in zip(texts, kinds, strict=True) if cells]
    return DataTable(*with_header([cells for cells, _ in kept], _header_rows(kept)))


def _header_rows(rows: list[tuple[list[str], tuple[bool, bool]]]) -> int:
    """How many rows are the header: those that say so, else the first of header cells alone."""
    for which in (0, 1):
        count = next((at for at, (_, kind) in enumerate(rows) if not kind[which]), len(rows))
        if 0 < count < len(rows):
            return count
    return 0


def _span(cell: etree._Element, name: str) -> int:
    found = _SPAN.match(cell.get(name) or "1")
    return min(_MAX_ROWS_SPANNED, int(found.group(1))) if found is not None else 1


def short_row(row: etree._Element) -> list[str]:
    """The lines of a short row of a table that is read as text; empty when the row is long."""
    if next(row.iterdescendants(*_CELL_BLOCKS, "ul", "ol", "dl"), None) is not None:
        return []
    for block in row.iterdescendants("td", "th", *_PARAGRAPHS):
        block.text = LINE_BREAK + _storable(block.text)
        block.tail = LINE_BREAK + _storable(block.tail)
    text = "".join(row.itertext())
    lines = [line for part in text.split(LINE_BREAK) if (line := collapsed(part))]
    return lines if sum(map(len, lines)) <= _SHORT_ROW_CHARS else []


def _groups(table: etree._Element) -> Iterator[tuple[bool, list[etree._Element]]]:
    """The parts of a table with their rows; True with those of its head."""
    loose: list[etree._Element] = []
    for child in table:
        if child.tag == "tr":
            loose.append(child)
        elif child.tag in {"thead", "tbody", "tfoot"}:
            if loose:
                yield False, loose
                loose = []
            yield child.tag == "thead", list(child.iterchildren("tr"))
    if loose:
        yield False, loose


def _cell_text(cell: etree._Element) -> str:
    """A cell's text on one line, with a blank where blocks meet."""
    for block in cell.iterdescendants(*_PARAGRAPHS):
        block.text = f" {_storable(block.text)}"
        block.tail = f" {_storable(block.tail)}"
    return collapsed("".join(cell.itertext()))
