"""PPTX: one page for each slide, with its title as heading, its tables and charts, and its notes.

Shapes are read in the order in which they lie on the slide, the title first; what a slide takes
from its layout (dates, numbers, footers) is left out. Pictures are not read. The container's parts
are counted before any is unpacked.
"""

import io
from collections.abc import Iterator
from typing import Any

from lxml import etree
from pptx.enum.shapes import PP_PLACEHOLDER
from pptx.exc import PythonPptxError
from pptx.package import Package

from rostra.ingest.builder import DocumentBuilder, clean_title, markdown_row
from rostra.ingest.container import ZIP_ERRORS, open_container
from rostra.ingest.document import JsonScalar, ParsedDocument, SpanKind
from rostra.ingest.errors import CorruptFile
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers.chart import chart_text
from rostra.ingest.parsers.grid import SpanBudget, SpanCell, office_table
from rostra.ingest.reasons import words_of

_FURNITURE = frozenset(
    {PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.HEADER}
)
_TITLES = frozenset(
    {PP_PLACEHOLDER.TITLE, PP_PLACEHOLDER.CENTER_TITLE, PP_PLACEHOLDER.VERTICAL_TITLE}
)
_BODIES = frozenset({PP_PLACEHOLDER.BODY, PP_PLACEHOLDER.OBJECT, PP_PLACEHOLDER.VERTICAL_BODY})
_MAX_GROUPS = 50
_TITLE_LEVEL = 2
# More rows or columns than PowerPoint allows.
_MAX_SPANNED = 1_000


def parse(data: bytes, name: str, media_type: str, limits: ParseLimits) -> ParsedDocument:
    """Reads a presentation.

    Raises:
        CorruptFile: if it is no PPTX or damaged.
        ArchiveBomb: if its parts unpack to more than the limits allow.
        EncryptedFile: if its parts are encrypted.
        TooLarge: if the text is over its limit.
    """
    open_container(data, limits).close()
    try:
        package: Any = Package.open(io.BytesIO(data))
        presentation: Any = package.presentation_part.presentation
        slides = list(presentation.slides)
        properties = package.core_properties
        core_title, author = properties.title, properties.author
        reader = _Reader(limits)
        for number, slide in enumerate(slides, start=1):
            reader.slide(slide, number)
    except (etree.XMLSyntaxError, PythonPptxError, KeyError, AttributeError, *ZIP_ERRORS) as error:
        # What python-pptx raises for parts that are missing, cut off or not PowerPoint's.
        raise CorruptFile(f"the file is no complete presentation: {words_of(error)}") from None
    facts: dict[str, JsonScalar] = {"slides": len(slides)}
    if reader.charts_not_read:
        facts["charts_not_read"] = reader.charts_not_read
    if author := clean_title(author or ""):
        facts["author"] = author
    title = clean_title(core_title or "")
    if title.casefold() in {"", "powerpoint presentation"}:
        title = reader.title or name
    return reader.builder.build(title, media_type, facts)


class _Reader:
    """Writes slides one after the other."""

    def __init__(self, limits: ParseLimits) -> None:
        self.builder = DocumentBuilder(limits.max_text_chars)
        self.title = ""
        self.charts_not_read = 0
        self._limits = limits
        self._budget = SpanBudget()
        # Where the page at hand begins; -1 while it has no text.
        self._start = -1

    def slide(self, slide: Any, number: int) -> None:
        """Writes one slide and its notes."""
        self._start = -1
        shapes = list(_shapes(slide.shapes))
        for shape in [shape for shape in shapes if _place(shape) in _TITLES][:1]:
            text = clean_title(shape.text_frame.text)
            if text:
                self._block(text, SpanKind.HEADING, 1 if number == 1 else _TITLE_LEVEL)
                self.title = self.title or text
            shapes.remove(shape)
        for shape in shapes:
            if _place(shape) in _FURNITURE:
                continue
            if getattr(shape, "has_table", False):
                above, lines = office_table(_span_cells(shape.table), self._budget)
                for line in above:
                    self._block(line, SpanKind.PARAGRAPH)
                self._table(lines)
            elif getattr(shape, "has_chart", False):
                self._chart(shape)
            elif getattr(shape, "has_text_frame", False):
                self._paragraphs(shape.text_frame, listed=_place(shape) in _BODIES)
        notes = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
        if notes is not None and notes.text.strip():
            self._block("Notes:", SpanKind.PARAGRAPH)
            self._paragraphs(notes, listed=False, newlines=1)
        if self._start >= 0:
            self.builder.mark(SpanKind.PAGE, self._start, self.builder.length, number)

    def _block(self, text: str, kind: SpanKind, level: int = 0, newlines: int = 2) -> None:
        start, end = self.builder.add(text, newlines)
        self.builder.mark(kind, start, end, level)
        self._start = start if self._start < 0 else self._start

    def _paragraphs(self, frame: Any, *, listed: bool, newlines: int = 2) -> None:
        """The paragraphs of a text frame; several in a body are its bullets."""
        lines = [
            (paragraph.level, " ".join(paragraph.text.split())) for paragraph in frame.paragraphs
        ]
        lines = [(level, text) for level, text in lines if text]
        bullets = listed and (len(lines) > 1 or any(level for level, _ in lines))
        for index, (level, text) in enumerate(lines):
            kind = SpanKind.LIST_ITEM if bullets else SpanKind.PARAGRAPH
            mark = f"{'  ' * level}- " if bullets else ""
            self._block(mark + text, kind, newlines=1 if index else newlines)

    def _chart(self, shape: Any) -> None:
        """The titles and numbers of a chart; one whose part is missing is counted."""
        try:
            root = shape.chart.part._element
        except (KeyError, AttributeError):
            self.charts_not_read += 1
            return
        text = chart_text(root, self.builder, self._limits)
        for title in text.titles:
            self._block(title, SpanKind.PARAGRAPH)
        for table in text.tables:
            self._table(table)

    def _table(self, table: list[list[str]]) -> None:
        rows = [markdown_row(cells) for cells in table]
        rows = [row for row in rows if row.strip("| ")]
        if rows:
            before = self.builder.length
            self.builder.table(rows)
            start = before + 2 if before else 0
            self._start = start if self._start < 0 else self._start


def _span_cells(table: Any) -> list[list[SpanCell]]:
    """The cells of a table, without those that others span."""
    return [
        [
            SpanCell(
                " ".join(cell.text.split()),
                max(1, min(_MAX_SPANNED, cell.span_width)),
                max(1, min(_MAX_SPANNED, cell.span_height)),
            )
            if cell.is_merge_origin
            else SpanCell(" ".join(cell.text.split()))
            for cell in row.cells
            if not cell.is_spanned
        ]
        for row in table.rows
    ]


def _shapes(shapes: Any) -> Iterator[Any]:
    """Shapes and those in groups, in order."""
    stack = [iter(shapes)]
    while stack:
        shape = next(stack[-1], None)
        if shape is None:
            stack.pop()
        elif hasattr(shape, "shapes"):
            if len(stack) > _MAX_GROUPS:
                raise CorruptFile("the presentation's groups are nested too deeply")
            stack.append(iter(shape.shapes))
        else:
            yield shape


def _place(shape: Any) -> Any:
    """The kind of a placeholder; None for other shapes."""
    return shape.placeholder_format.type if shape.is_placeholder else None
