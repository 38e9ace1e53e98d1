"""PDF: the text of each page with its lines joined to paragraphs, and the headings found.

Where a line ends is decided by the page's width, not by what the line says, so lines are joined
unless the geometry says that the break was meant: a larger gap, another font size, an indent, or a
line that ended though the next word would have fitted. A hyphen at a line's end is removed unless
the document writes the word with it elsewhere. Headings are the outline's entries that are found
on their pages; without any, short lines in larger type.
"""

import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise

import pypdfium2
import pypdfium2.raw as pdfium

from rostra.core import collapse_whitespace
from rostra.ingest.builder import DocumentBuilder, clean_title, text_too_large
from rostra.ingest.document import JsonScalar, ParsedDocument, SpanKind
from rostra.ingest.errors import CorruptFile, EncryptedFile, NoText
from rostra.ingest.limits import ParseLimits

# pdfium puts a mark in place of a hyphen at a line's end and leaves the line end out.
_HYPHEN_MARKS = "\ufffe\x02"
_LINE_END = re.compile(rf"\r\n|[\r\n]|(?<=[{_HYPHEN_MARKS}])")
_COMPOUND = re.compile(r"\w+(?:-\w+)+")
_BROKEN_WORD = re.compile(r"(\w+)-$")
_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"[.!?:…][\"'”’)\]]*$")
_ITEM = re.compile(r"(?:[•◦▪‣·–—*-]|\(?\d{1,3}[.)]|\(?[a-z][.)])\s")
_MARK = re.compile(r"[•◦▪‣·–—*-]$|\(?\d{1,3}[.)]$")
_NUMBERING = re.compile(
    r"^(?:(?:chapter|section|part|appendix)\s+)?[\dA-Z]{1,3}(?:\.\d+)*[.:)]?\s+", re.I
)
_NO_TITLE = re.compile(
    r"\.\w{2,4}$|^(?:untitled|anonymous|microsoft word|powerpoint|document\d*$)", re.I
)
_NO_PAGES = re.compile(rb"/Count\s+0\b")
_PAGE_OBJECT = re.compile(rb"/Type\s*/Page\b")
_MAX_BOOKMARKS = 10_000
_MAX_HEADING_CHARS = 150
_MAX_HEADING_LINES = 3
# As parts of a line's height, or of a column's width.
_PARAGRAPH_GAP = 1.25
_OTHER_SIZE = 0.15
_INDENT = 0.8
_SAME_COLUMN = 3.0
_SHORT_LINE = 0.4


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a page; coordinates in points from the page's bottom left corner.

    `sizes` are the heights of its first and its last character.
    """

    text: str
    left: float
    right: float
    top: float
    bottom: float
    sizes: tuple[float, float]

    @property
    def height(self) -> float:
        return self.top - self.bottom


@dataclass(frozen=True, slots=True)
class _Heading:
    """Lines `[first, last)` of a page that are a heading."""

    first: int
    last: int
    level: int


def parse(data: bytes, name: str, media_type: str, limits: ParseLimits) -> ParsedDocument:
    """Reads a PDF.

    Raises:
        EncryptedFile: if it needs a password.
        CorruptFile: if it is damaged beyond repair.
        NoText: if it has no pages, or none of them has text.
        TooLarge: if the text is over its limit.
    """
    try:
        pdf = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code in {pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY}:
            raise EncryptedFile(
                "the PDF is encrypted", hint="Save it without a password and ingest it again."
            ) from None
        if _NO_PAGES.search(data) and not _PAGE_OBJECT.search(data):
            # pdfium does not open these.
            raise NoText("the PDF has no pages") from None
        raise CorruptFile("the PDF is damaged or cut off") from None
    try:
        return _read(pdf, name, media_type, limits)
    finally:
        pdf.close()


def _read(
    pdf: pypdfium2.PdfDocument, name: str, media_type: str, limits: ParseLimits
) -> ParsedDocument:
    if not len(pdf):
        raise NoText("the PDF has no pages")
    pages: list[list[_Line]] = []
    damaged = characters = 0
    for index in range(len(pdf)):
        try:
            lines = _page_lines(pdf, index)
        except pypdfium2.PdfiumError:
            lines = []
            damaged += 1
        characters += sum(len(line.text) for line in lines)
        if characters > limits.max_text_chars:
            raise text_too_large(limits.max_text_chars)
        pages.append(lines)
    if damaged == len(pages):
        raise CorruptFile("no page of the PDF can be read")
    if not any(pages):
        raise NoText(
            "the PDF has no text layer; it may be a scan", hint="Run text recognition on it first."
        )
    compounds = {
        word.lower() for lines in pages for line in lines for word in _COMPOUND.findall(line.text)
    }
    headings = _outline_headings(pdf, pages) or _large_headings(pages)
    builder = DocumentBuilder(limits.max_text_chars)
    for number, (lines, found) in enumerate(zip(pages, headings, strict=True), start=1):
        if lines:
            _add_page(builder, lines, number, found, compounds)
    facts: dict[str, JsonScalar] = {"pages": len(pages)}
    if damaged:
        facts["damaged_pages"] = damaged
    if author := clean_title(pdf.get_metadata_value("Author")):
        facts["author"] = author
    title = clean_title(pdf.get_metadata_value("Title"))
    return builder.build(name if _NO_TITLE.search(title) else title or name, media_type, facts)


def _page_lines(pdf: pypdfium2.PdfDocument, index: int) -> list[_Line]:
    """The lines of one page in reading order, as pdfium finds them."""
    page = pdf[index]
    textpage = page.get_textpage()
    try:
        text = textpage.get_text_range()
        located = len(text) == textpage.count_chars()
        lines = []
        start = row = 0
        for end, following in [
            *((found.start(), found.end()) for found in _LINE_END.finditer(text)),
            (len(text), len(text)),
        ]:
            content = text[start:end]
            stripped = content.strip().rstrip(_HYPHEN_MARKS)
            if stripped:
                words = " ".join(stripped.split())
                if content.rstrip()[-1:] in _HYPHEN_MARKS:
                    words += "-"
                first = start + len(content) - len(content.lstrip())
                last = first + len(stripped) - 1
                if located:
                    lines.append(_located(textpage, words, first, last))
                else:
                    lines.append(_Line(words, 0.0, float(len(words)), -row, -row - 1.0, (1.0, 1.0)))
                row += 1
            start = following
        return lines
    finally:
        textpage.close()
        page.close()


def _located(textpage: pypdfium2.PdfTextPage, text: str, first: int, last: int) -> _Line:
    left, first_bottom, _, first_top = textpage.get_charbox(first, loose=True)
    _, bottom, right, top = textpage.get_charbox(last, loose=True)
    sizes = (first_top - first_bottom, top - bottom)
    if sizes[0] < sizes[1]:
        # A mark in larger or smaller type at one end says nothing about the line.
        top, bottom = first_top, first_bottom
    return _Line(text, left, right, top, bottom, sizes)


def _add_page(
    builder: DocumentBuilder,
    lines: list[_Line],
    number: int,
    headings: list[_Heading],
    compounds: set[str],
) -> None:
    """Writes a page: its paragraphs, each run of lines that belong together."""
    levels = {heading.first: heading for heading in headings}
    page_start = -1
    for first, last, gap in _runs(lines, headings):
        text = _joined(lines[first:last], compounds)
        start, end = builder.add(text, gap)
        if page_start < 0:
            page_start = start
        heading = levels.get(first)
        if heading is not None:
            builder.mark(SpanKind.HEADING, start, end, heading.level)
        else:
            kind = SpanKind.LIST_ITEM if _ITEM.match(text) else SpanKind.PARAGRAPH
            builder.mark(kind, start, end)
    builder.mark(SpanKind.PAGE, page_start, builder.length, number)


def _runs(lines: list[_Line], headings: list[_Heading]) -> Iterator[tuple[int, int, int]]:
    """Runs `[first, last)` of lines that are one block, and the newlines before each."""
    pitches = [
        upper.bottom - lower.bottom
        for upper, lower in pairwise(lines)
        if upper.bottom > lower.bottom
    ]
    pitch = statistics.median(pitches) if pitches else 0.0
    inside = {index for heading in headings for index in range(heading.first + 1, heading.last)}
    edges = {edge for heading in headings for edge in (heading.first, heading.last)}
    first = 0
    gap = 2
    for index in range(1, len(lines)):
        if index in inside:
            continue
        newlines = 2 if index in edges else _break_before(lines, index, pitch)
        if newlines:
            yield first, index, gap
            first, gap = index, newlines
    yield first, len(lines), gap


def _break_before(lines: list[_Line], index: int, pitch: float) -> int:
    """Newlines between a line and the one before it: 0 joins them, 2 is a new paragraph."""
    above, line = lines[index - 1], lines[index]
    height = max(above.height, line.height, 1e-6)
    drop = above.bottom - line.bottom
    ended = bool(_SENTENCE_END.search(above.text))
    if _MARK.match(line.text):
        return 1
    if abs(drop) < 0.3 * height or _MARK.match(above.text):
        return 0
    if drop < 0 or drop > 6 * height:
        # Another column, or past a figure: a sentence may go on there.
        return 0 if not ended and line.text[:1].islower() else 2
    if min(abs(one - other) for one in above.sizes for other in line.sizes) > _OTHER_SIZE * height:
        return 2
    if drop > _PARAGRAPH_GAP * max(pitch, height):
        return 2
    if _ITEM.match(line.text):
        return 1
    if line.left - above.left > _INDENT * height and not _ITEM.match(above.text):
        return 2
    if _BROKEN_WORD.search(above.text) and line.text[:1].islower():
        return 0
    return _short_line(lines, index, ended)


def _short_line(lines: list[_Line], index: int, ended: bool) -> int:
    """Newlines after a line that ends before its column does; 0 if it is full."""
    above, line = lines[index - 1], lines[index]
    column = [
        other
        for other in lines[max(0, index - 6) : index + 6]
        if abs(other.left - above.left) <= _SAME_COLUMN * above.height
    ]
    edge = max(above.right, line.right, *(other.right for other in column))
    page_width = max(other.right for other in lines) - min(other.left for other in lines)
    word = line.text.split(maxsplit=1)[0]
    letter = (line.right - line.left) / max(1, len(line.text))
    fits = above.right + letter * (len(word) + 1) < edge - letter
    if fits:
        return 2 if ended else 1
    return 1 if above.right - above.left < _SHORT_LINE * page_width and not ended else 0


def _joined(lines: list[_Line], compounds: set[str]) -> str:
    """The lines as flowing text."""
    text = lines[0].text
    for line in lines[1:]:
        broken = _BROKEN_WORD.search(text)
        word = _WORD.match(line.text)
        if broken is None or word is None:
            text = f"{text} {line.text}"
        elif word.group().islower() and f"{broken[1]}-{word.group()}".lower() not in compounds:
            text = text[:-1] + line.text
        else:
            text += line.text
    return text


def _outline_headings(pdf: pypdfium2.PdfDocument, pages: list[list[_Line]]) -> list[list[_Heading]]:
    """The outline's entries where their page has them as lines; empty if none is found."""
    found: list[list[_Heading]] = [[] for _ in pages]
    for bookmark in islice(pdf.get_toc(), _MAX_BOOKMARKS):
        destination = bookmark.get_dest()
        page = destination.get_index() if destination else None
        title = bookmark.get_title()
        if page is None or not 0 <= page < len(pages) or not title:
            continue
        heading = _find(pages[page], title, min(6, bookmark.level + 1), found[page])
        if heading is not None:
            found[page].append(heading)
    return found if any(found) else []


def _find(lines: list[_Line], title: str, level: int, taken: list[_Heading]) -> _Heading | None:
    wanted = _comparable(title)
    used = {index for heading in taken for index in range(heading.first, heading.last)}
    for first in range(len(lines)):
        text = ""
        for last in range(first, min(first + _MAX_HEADING_LINES, len(lines))):
            if last in used:
                break
            text = f"{text} {lines[last].text}"
            candidate = _comparable(text)
            if candidate == wanted:
                return _Heading(first, last + 1, level)
            if not wanted.startswith(candidate):
                break
    return None


def _comparable(title: str) -> str:
    words = collapse_whitespace(title).casefold()
    return _NUMBERING.sub("", words) or words


def _large_headings(pages: list[list[_Line]]) -> list[list[_Heading]]:
    """Short lines in type larger than the text's; larger type is a higher level."""
    body = statistics.median(
        line.height for lines in pages for line in lines for _ in range(1 + len(line.text) // 20)
    )
    found: list[list[tuple[int, int, float]]] = []
    for lines in pages:
        runs: list[tuple[int, int, float]] = []
        for index, line in enumerate(lines):
            if not _looks_like_heading(line, body):
                continue
            size = round(line.height, 1)
            if runs and runs[-1][1] == index and runs[-1][2] == size:
                runs[-1] = (runs[-1][0], index + 1, size)
            else:
                runs.append((index, index + 1, size))
        found.append([run for run in runs if run[1] - run[0] <= _MAX_HEADING_LINES])
    sizes = sorted({size for runs in found for _, _, size in runs}, reverse=True)
    return [
        [_Heading(first, last, min(6, sizes.index(size) + 1)) for first, last, size in runs]
        for runs in found
    ]


def _looks_like_heading(line: _Line, body: float) -> bool:
    return (
        line.height > body * (1 + _OTHER_SIZE)
        and len(line.text) <= _MAX_HEADING_CHARS
        and not line.text.endswith((".", ",", ";"))
        and any(character.isalpha() for character in line.text)
    )
