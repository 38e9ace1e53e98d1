"""XLSX: each sheet is a section; its blocks of cells are tables of Markdown rows.

Formulas give the values that were stored with them, dates are written as ISO 8601, percentages as
such. Merged cells have their value in each of their rows and columns. Rows without values separate
tables; columns without values are left out, so a cell far away from the others costs nothing.
Sheets hidden from the menus too are no part of the text. The container's parts are counted before
any is unpacked, and no entity of their XML is expanded.
"""

import datetime
import io
import warnings
from collections.abc import Iterator
from typing import Any

import openpyxl
from defusedxml.common import DefusedXmlException
from lxml import etree
from openpyxl.utils.exceptions import InvalidFileException

from rostra.ingest.builder import DocumentBuilder, clean_title, markdown_row, too_many_columns
from rostra.ingest.container import ZIP_ERRORS, open_container
from rostra.ingest.document import JsonScalar, ParsedDocument, SpanKind
from rostra.ingest.errors import CorruptFile, TooLarge
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers.grid import SpanBudget
from rostra.ingest.parsers.merged import Merged, Row, begins_table, merges_of
from rostra.ingest.reasons import words_of

# Excel's own last row.
_MAX_ROWS = 1_048_576
# Cells, with and without values, looked at in one workbook: minutes of work.
_MAX_CELLS = 100_000_000
_NO_TITLE = frozenset({"", "untitled", "workbook"})


def parse(data: bytes, name: str, media_type: str, limits: ParseLimits) -> ParsedDocument:
    """Reads a workbook.

    Raises:
        CorruptFile: if it is no XLSX or damaged.
        ArchiveBomb: if its parts unpack to more than the limits allow.
        EncryptedFile: if its parts are encrypted.
        TooLarge: if the text is over its limit, or a sheet has too many rows or columns.
    """
    open_container(data, limits).close()
    builder = DocumentBuilder(limits.max_text_chars)
    rows = sheets = 0
    try:
        with warnings.catch_warnings():
            # About styles and extensions that are not kept.
            warnings.simplefilter("ignore")
            workbook = openpyxl.load_workbook(
                io.BytesIO(data), read_only=True, data_only=True, keep_links=False
            )
            properties = workbook.properties
            reader = _Cells(limits)
            for sheet in workbook.worksheets:
                if sheet.sheet_state == "veryHidden":
                    continue
                sheets += 1
                rows += _add_sheet(builder, sheet, reader)
    except (
        etree.XMLSyntaxError,
        SyntaxError,  # The standard library's parser's error is one.
        DefusedXmlException,
        InvalidFileException,
        LookupError,
        TypeError,
        AttributeError,
        *ZIP_ERRORS,
    ) as error:
        # What openpyxl raises for parts that are missing, cut off or not Excel's.
        raise CorruptFile(f"the file is no complete workbook: {words_of(error)}") from None
    facts: dict[str, JsonScalar] = {"sheets": sheets, "rows": rows}
    if (author := clean_title(properties.creator or "")) and author != "openpyxl":
        facts["author"] = author
    title = clean_title(properties.title or "")
    title = name if title.casefold() in _NO_TITLE else title
    return builder.build(title, media_type, facts)


def _add_sheet(builder: DocumentBuilder, sheet: Any, reader: "_Cells") -> int:
    """Writes a sheet; returns how many rows of values it has. A sheet without any has no heading.

    Raises:
        TooLarge: if it is larger than any table that is read.
    """
    rows = 0
    block: list[Row] = []
    chars = 0
    merged = Merged(merges_of(sheet._get_source()), reader.spans)
    for number, row in enumerate(reader.rows(sheet), start=1):
        if row:
            if not rows:
                builder.block(clean_title(sheet.title) or "Sheet", SpanKind.HEADING, 1)
            rows += 1
            block.append(row)
            chars += sum(map(len, row.values()))
            builder.check(chars)
        elif block:
            _add_block(builder, block, number - len(block), merged)
            block, chars = [], 0
    if block:
        _add_block(builder, block, number - len(block) + 1, merged)
    return rows


def _add_block(builder: DocumentBuilder, block: list[Row], start: int, merged: Merged) -> None:
    """Writes rows, the first of which has this number; lines of single values as paragraphs."""
    columns = sorted({column for row in block for column in row})
    if len(columns) == 1:
        for index, row in enumerate(block):
            builder.block(row[columns[0]], SpanKind.PARAGRAPH, newlines=1 if index else 2)
        return
    # A line above the table, and its notes below.
    first = 0
    merges = merged.within(start, start + len(block) - 1)
    while first < len(block) and len(block[first]) == 1 and len(columns) > 2:
        if begins_table(block[first], start + first, columns, merges):
            break
        builder.block(next(iter(block[first].values())), SpanKind.PARAGRAPH)
        first += 1
    table = merged.table(block[first:], start + first, columns, merges)
    builder.table([markdown_row(cells) for cells in table])


class _Cells:
    """Reads the values of sheets as text, within what a workbook may hold."""

    def __init__(self, limits: ParseLimits) -> None:
        self._limits = limits
        self._seen = 0
        self.spans = SpanBudget()

    def rows(self, sheet: Any) -> Iterator[Row]:
        """The rows of a sheet; empty where it has no values.

        Raises:
            TooLarge: for more rows or columns than are read.
        """
        # What the file says about its size need not be true.
        sheet.reset_dimensions()
        for number, cells in enumerate(sheet.iter_rows(), start=1):
            if number > _MAX_ROWS:
                raise TooLarge(f"the sheet {sheet.title} has more than {_MAX_ROWS:,} rows")
            if len(cells) > self._limits.max_columns:
                raise too_many_columns(self._limits.max_columns)
            self._seen += len(cells) + 1
            if self._seen > _MAX_CELLS:
                raise TooLarge(f"the workbook has more than {_MAX_CELLS:,} cells")
            yield {
                column: text
                for column, cell in enumerate(cells)
                if cell.value is not None and (text := _text(cell))
            }


def _text(cell: Any) -> str:
    """A value as a person reads it."""
    value = cell.value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time()
        return value.date().isoformat() if midnight else value.isoformat(" ", "seconds")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return str(value)
    if isinstance(value, int | float):
        if "%" in (cell.number_format or ""):
            return f"{_number(value * 100)}%"
        return _number(value)
    return str(value).strip()


def _number(value: float) -> str:
    """The shortest text of a number at the precision that Excel keeps."""
    return str(value) if isinstance(value, int) else f"{value:.15g}"
