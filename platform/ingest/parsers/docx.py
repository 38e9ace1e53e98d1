"""DOCX: paragraphs, lists and tables in the order of the document, headings by their styles.

Text that was deleted under change tracking is left out, inserted text is read. Headers, footers and
comments are no part of the text. The container's parts are counted before any is unpacked.
"""

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

import docx
from docx.opc.exceptions import OpcError
from docx.oxml.ns import qn
from docx.styles.style import BaseStyle
from lxml import etree

from rostra.ingest.builder import DocumentBuilder, clean_title, markdown_row
from rostra.ingest.container import check_members
from rostra.ingest.document import JsonScalar, ParsedDocument, SpanKind
from rostra.ingest.errors import CorruptFile
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers.grid import SpanBudget, SpanCell, office_table
from rostra.ingest.reasons import words_of

_HEADING_STYLE = re.compile(r"heading (\d)", re.I)
_BODY_CONTAINERS = frozenset(
    qn(name) for name in ("w:sdt", "w:sdtContent", "w:ins", "w:moveTo", "w:customXml", "w:smartTag")
)
_SKIPPED = frozenset(
    [qn(name) for name in ("w:del", "w:moveFrom", "w:txbxContent", "w:instrText", "w:pPr", "w:rPr")]
    + ["{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"]
)
_PARAGRAPH, _TABLE, _ROW, _CELL = qn("w:p"), qn("w:tbl"), qn("w:tr"), qn("w:tc")
_TEXT = qn("w:t")
_CHARACTERS = {
    qn("w:tab"): "\t",
    qn("w:br"): "\n",
    qn("w:cr"): "\n",
    qn("w:noBreakHyphen"): "-",
}
_MAX_LEVEL = 6
# More than Word allows.
_MAX_COLUMNS_SPANNED = 100


def parse(data: bytes, name: str, media_type: str, limits: ParseLimits) -> ParsedDocument:
    """Reads a Word document.

    Raises:
        CorruptFile: if it is no DOCX or damaged.
        ArchiveBomb: if its parts unpack to more than the limits allow.
        EncryptedFile: if its parts are encrypted.
        TooLarge: if the text is over its limit.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as container:
            check_members(container.infolist(), limits)
        document = docx.Document(io.BytesIO(data))
        body = document.element.body
        styles = {style.style_id: style for style in document.styles if style.style_id}
        core_title, author = document.core_properties.title, document.core_properties.author
    except (zipfile.BadZipFile, etree.XMLSyntaxError, OpcError) as error:
        raise CorruptFile(f"the DOCX is damaged: {words_of(error)}") from None
    except (KeyError, ValueError, AttributeError, EOFError, NotImplementedError, OSError) as error:
        # What python-docx and zipfile raise for parts that are missing, cut off or not Word's.
        raise CorruptFile(f"the file is no complete Word document: {words_of(error)}") from None
    reader = _Reader(limits, styles)
    reader.read(body)
    facts: dict[str, JsonScalar] = {}
    if author := clean_title(author or ""):
        facts["author"] = author
    title = reader.title or clean_title(core_title or "") or reader.first_heading or name
    return reader.builder.build(title, media_type, facts)


class _Reader:
    """Walks a document's body."""

    def __init__(self, limits: ParseLimits, styles: dict[str, BaseStyle]) -> None:
        self.builder = DocumentBuilder(limits.max_text_chars)
        self.title = ""
        self.first_heading = ""
        self._styles = styles
        self._levels: dict[str, int] = {}
        self._in_list = False
        self._budget = SpanBudget()

    def read(self, container: Any) -> None:
        """Reads the blocks of a container and of the containers in it."""
        for block in _blocks(container):
            if block.tag == _TABLE:
                self._table(block)
                self._in_list = False
            else:
                self._paragraph(block)

    def _table(self, table: Any) -> None:
        rows = list(_children(table, _ROW))
        above, lines = office_table(_span_cells(rows), self._budget, _header_rows(rows))
        for line in above:
            self.builder.block(line, SpanKind.PARAGRAPH)
        self.builder.table([markdown_row(line) for line in lines])

    def _paragraph(self, paragraph: Any) -> None:
        text = "".join(_characters(paragraph)).strip()
        if not text:
            self._in_list = False
            return
        style = self._style(paragraph)
        level = self._level(paragraph, style)
        if level:
            text = " ".join(text.split())
            self.builder.block(text, SpanKind.HEADING, level)
            self.first_heading = self.first_heading or text
            if style == "Title":
                self.title = self.title or text
            self._in_list = False
        elif (depth := _list_depth(paragraph, style)) is not None:
            mark = f"{'  ' * depth}- "
            newlines = 1 if self._in_list else 2
            self.builder.block(mark + " ".join(text.split()), SpanKind.LIST_ITEM, newlines=newlines)
            self._in_list = True
        else:
            self.builder.block(text, SpanKind.PARAGRAPH)
            self._in_list = False

    def _style(self, paragraph: Any) -> str:
        """The name of a paragraph's style as Word's English version calls it."""
        style = self._styles.get(paragraph.style) if paragraph.style else None
        return (style.name or "") if style is not None else ""

    def _level(self, paragraph: Any, style: str) -> int:
        """The heading level of a paragraph: its own outline level, or its style's; 0 for text."""
        own = _outline_level(paragraph.pPr)
        if own:
            return own
        if style == "Title":
            return 1
        if style not in self._levels:
            self._levels[style] = self._style_level(paragraph.style)
        return self._levels[style]

    def _style_level(self, style_id: str | None) -> int:
        """The heading level of a style or of one it is based on."""
        seen = set()
        style = self._styles.get(style_id) if style_id else None
        while style is not None and style.style_id not in seen:
            seen.add(style.style_id)
            if found := _HEADING_STYLE.match(style.name or ""):
                return min(_MAX_LEVEL, int(found.group(1)))
            if level := _outline_level(style.element.find(qn("w:pPr"))):
                return level
            style = getattr(style, "base_style", None)
        return 0


def _blocks(container: Any) -> Iterator[Any]:
    """Paragraphs and tables in order, also those in content controls and tracked insertions."""
    stack = [iter(container)]
    while stack:
        child = next(stack[-1], None)
        if child is None:
            stack.pop()
        elif child.tag in {_PARAGRAPH, _TABLE}:
            yield child
        elif child.tag in _BODY_CONTAINERS:
            stack.append(iter(child))


def _children(parent: Any, tag: str) -> Iterator[Any]:
    """Rows of a table or cells of a row, also those in content controls."""
    stack = [iter(parent)]
    while stack:
        child = next(stack[-1], None)
        if child is None:
            stack.pop()
        elif child.tag == tag:
            yield child
        elif child.tag in _BODY_CONTAINERS:
            stack.append(iter(child))


def _span_cells(rows: Sequence[Any]) -> list[list[SpanCell]]:
    """The cells of a table, those that go on from the row above put together with theirs."""
    written: list[list[SpanCell]] = []
    # By first column: the row and the place of a cell that may go on below.
    open_: dict[int, tuple[int, int]] = {}
    for number, row in enumerate(rows):
        properties = row.find(qn("w:trPr"))
        skipped = _value(properties, "w:gridBefore", 0)
        cells = [SpanCell("", skipped)] if skipped else []
        column, going_on = skipped, open_
        open_ = {}
        for cell in _children(row, _CELL):
            columns = _value(cell.tcPr, "w:gridSpan", 1)
            merge = cell.tcPr.find(qn("w:vMerge")) if cell.tcPr is not None else None
            begun = going_on.get(column)
            if merge is not None and merge.get(qn("w:val")) != "restart" and begun is not None:
                above = written[begun[0]][begun[1]]
                written[begun[0]][begun[1]] = above._replace(rows=number - begun[0] + 1)
                open_[column] = begun
            else:
                if merge is not None:
                    open_[column] = number, len(cells)
                text = "".join(_characters(cell))
                cells.append(SpanCell(" ".join(text.split()), columns))
            column += columns
        written.append(cells)
    return written


def _header_rows(rows: Sequence[Any]) -> int:
    """How many of the first rows the table repeats on each of its pages."""
    mark = f"{qn('w:trPr')}/{qn('w:tblHeader')}"
    return next((at for at, row in enumerate(rows) if row.find(mark) is None), 0)


def _value(properties: Any, name: str, default: int) -> int:
    element = properties.find(qn(name)) if properties is not None else None
    value = element.get(qn("w:val")) if element is not None else None
    if value is None or not value.isdecimal():
        return default
    return max(default, min(_MAX_COLUMNS_SPANNED, int(value[:9])))


def _characters(block: Any) -> Iterator[str]:
    """The text of everything in a block, in order; paragraphs inside are separated by newlines."""
    walker = etree.iterwalk(block, events=("start", "end"))
    for event, element in walker:
        tag = element.tag
        if event == "end":
            if tag == _PARAGRAPH and element is not block:
                yield "\n"
        elif tag in _SKIPPED:
            walker.skip_subtree()
        elif tag == _TEXT:
            yield element.text or ""
        elif tag in _CHARACTERS:
            yield _CHARACTERS[tag]


def _outline_level(properties: Any) -> int:
    element = properties.find(qn("w:outlineLvl")) if properties is not None else None
    value = element.get(qn("w:val")) if element is not None else None
    if value is None or not value.isdecimal() or int(value) >= 9:
        return 0
    return min(_MAX_LEVEL, int(value) + 1)


def _list_depth(paragraph: Any, style: str) -> int | None:
    """How deep a list item is nested; None for what is no list item."""
    properties = paragraph.pPr
    numbering = properties.find(qn("w:numPr")) if properties is not None else None
    if numbering is not None:
        level = numbering.find(qn("w:ilvl"))
        value = level.get(qn("w:val")) if level is not None else "0"
        return min(8, int(value)) if value and value.isdecimal() else 0
    return 0 if style.startswith("List") else None
