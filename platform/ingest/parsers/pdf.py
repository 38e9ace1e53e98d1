"""PDF: the text of each page with its lines joined to paragraphs, and the headings found.

Headings are the outline's entries that are found on their pages; without any, short lines in larger
type. Pages without a text layer that show something are read by text recognition; where that is not
installed, or its time is over, the document says which pages were not read.
"""

import re
import statistics
from itertools import islice

import pypdfium2
import pypdfium2.raw as pdfium

from rostra.core import collapse_whitespace
from rostra.ingest import media
from rostra.ingest.builder import DocumentBuilder, clean_title, text_too_large
from rostra.ingest.document import JsonScalar, ParsedDocument
from rostra.ingest.errors import CorruptFile, EncryptedFile, NoText, TooLarge
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers.image import page_lines, page_ranges
from rostra.ingest.parsers.ocr import MAX_SIDE, Recogniser, recogniser
from rostra.ingest.parsers.page_text import OTHER_SIZE, PageHeading, PageLine, add_page

# pdfium puts a mark in place of a hyphen at a line's end and leaves the line end out.
_HYPHEN_MARKS = "\ufffe\x02"
_LINE_END = re.compile(rf"\r\n|[\r\n]|(?<=[{_HYPHEN_MARKS}])")
_COMPOUND = re.compile(r"\w+(?:-\w+)+")
_NUMBERING = re.compile(
    r"^(?:(?:chapter|section|part|appendix)\s+)?[\dA-Z]{1,3}(?:\.\d+)*[.:)]?\s+", re.I
)
_NO_TITLE = re.compile(
    r"\.\w{2,4}$|^(?:untitled|anonymous|microsoft word|powerpoint|document\d*$)", re.I
)
_NO_PAGES = re.compile(rb"/Count\s+0\b")
_PAGE_OBJECT = re.compile(rb"/Type\s*/Page\b")
# A page with no more text than a stamp or a number may be a scan.
_FEW_CHARS = 25
_SCAN_SHARE = 0.5
_PICTURE_SHARE = 0.02
_MANY_OUTLINES = 200
_MAX_OBJECTS = 5_000
_MAX_SCALE = 4.0
_MAX_BOOKMARKS = 10_000
_MAX_HEADING_CHARS = 150
_MAX_HEADING_LINES = 3


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
    if len(pdf) > limits.max_pages:
        raise TooLarge(
            f"the PDF has {len(pdf):,} pages, more than the {limits.max_pages:,} that are read",
            hint="Split the file.",
        )
    pages: list[list[PageLine]] = []
    scans: list[int] = []
    damaged = characters = 0
    for index in range(len(pdf)):
        try:
            lines, is_scan = _page(pdf, index)
        except pypdfium2.PdfiumError:
            lines, is_scan = [], False
            damaged += 1
        characters += sum(len(line.text) for line in lines)
        if characters > limits.max_text_chars:
            raise text_too_large(limits.max_text_chars)
        pages.append(lines)
        if is_scan:
            scans.append(index)
    if damaged == len(pages):
        raise CorruptFile("no page of the PDF can be read")
    recognised, left_over = _recognise(pdf, pages, scans, limits)
    if not any(pages):
        if left_over and not media.has_ocr():
            raise NoText(
                "the PDF is a scan, and text recognition is not installed",
                hint=f"Run {media.OCR_INSTALL}, and ingest it again.",
            )
        raise NoText("the PDF has no text")
    compounds = {
        word.lower() for lines in pages for line in lines for word in _COMPOUND.findall(line.text)
    }
    headings = _outline_headings(pdf, pages) or _all_large_headings(pages, recognised)
    builder = DocumentBuilder(limits.max_text_chars)
    for number, (lines, found) in enumerate(zip(pages, headings, strict=True), start=1):
        if lines:
            add_page(builder, lines, number, found, compounds)
    facts: dict[str, JsonScalar] = {"pages": len(pages)}
    if damaged:
        facts["damaged_pages"] = damaged
    if recognised:
        facts["ocr_pages"] = page_ranges([index + 1 for index in recognised])
    if left_over:
        facts["pages_not_read"] = page_ranges([index + 1 for index in left_over])
        facts["pages_not_read_hint"] = (
            "They are scans and took too long: raise ROSTRA_PARSE_TIMEOUT."
            if media.has_ocr()
            else f"They are scans: run {media.OCR_INSTALL}."
        )
    if author := clean_title(pdf.get_metadata_value("Author")):
        facts["author"] = author
    title = clean_title(pdf.get_metadata_value("Title"))
    return builder.build(name if _NO_TITLE.search(title) else title or name, media_type, facts)


def _recognise(
    pdf: pypdfium2.PdfDocument, pages: list[list[PageLine]], scans: list[int], limits: ParseLimits
) -> tuple[list[int], list[int]]:
    """Puts in the text of scanned pages; gives those that were read and those that were not."""
    if not scans:
        return [], []
    if not media.has_ocr():
        return [], scans
    reader = recogniser(limits, "scans are read")
    recognised: list[int] = []
    left_over: list[int] = []
    for index in scans:
        if reader.is_over:
            left_over.append(index)
            continue
        try:
            lines = _scanned_lines(pdf, index, reader)
        except pypdfium2.PdfiumError:
            left_over.append(index)
            continue
        if lines:
            pages[index] = lines
            recognised.append(index)
    return recognised, left_over


def _scanned_lines(pdf: pypdfium2.PdfDocument, index: int, reader: Recogniser) -> list[PageLine]:
    page = pdf[index]
    try:
        scale = min(_MAX_SCALE, MAX_SIDE / max(1.0, *page.get_size()))
        picture = page.render(scale=scale).to_numpy()
        return page_lines(reader.lines(picture[:, :, :3].copy()), 1 / scale)
    finally:
        page.close()


def _page(pdf: pypdfium2.PdfDocument, index: int) -> tuple[list[PageLine], bool]:
    """The lines of one page, and whether it is a picture of more text than these."""
    page = pdf[index]
    try:
        lines = _page_lines(page)
        few = sum(len(line.text) for line in lines) <= _FEW_CHARS
        return lines, few and _is_picture(page, _SCAN_SHARE if lines else _PICTURE_SHARE)
    finally:
        page.close()


def _is_picture(page: pypdfium2.PdfPage, share: float) -> bool:
    """Whether a picture covers this share of the page, or text is drawn as outlines."""
    width, height = page.get_size()
    outlines = 0
    try:
        for drawn in islice(page.get_objects(max_depth=4), _MAX_OBJECTS):
            if drawn.type == pdfium.FPDF_PAGEOBJ_IMAGE:
                left, bottom, right, top = drawn.get_bounds()
                if (right - left) * (top - bottom) >= share * width * height:
                    return True
            elif drawn.type == pdfium.FPDF_PAGEOBJ_PATH:
                outlines += 1
    except pypdfium2.PdfiumError:
        # What cannot be looked at is no reason to lose the page's text.
        return False
    return outlines >= _MANY_OUTLINES and share <= _PICTURE_SHARE


def _page_lines(page: pypdfium2.PdfPage) -> list[PageLine]:
    """The lines of one page in reading order, as pdfium finds them."""
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
                    right = float(len(words))
                    lines.append(PageLine(words, 0.0, right, -row, -row - 1.0, (1.0, 1.0)))
                row += 1
            start = following
        return lines
    finally:
        textpage.close()


def _located(textpage: pypdfium2.PdfTextPage, text: str, first: int, last: int) -> PageLine:
    left, first_bottom, _, first_top = textpage.get_charbox(first, loose=True)
    _, bottom, right, top = textpage.get_charbox(last, loose=True)
    sizes = (first_top - first_bottom, top - bottom)
    if sizes[0] < sizes[1]:
        # A mark in larger or smaller type at one end says nothing about the line.
        top, bottom = first_top, first_bottom
    return PageLine(text, left, right, top, bottom, sizes)


def _outline_headings(
    pdf: pypdfium2.PdfDocument, pages: list[list[PageLine]]
) -> list[list[PageHeading]]:
    """The outline's entries where their page has them as lines; empty if none is found."""
    found: list[list[PageHeading]] = [[] for _ in pages]
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


def _find(
    lines: list[PageLine], title: str, level: int, taken: list[PageHeading]
) -> PageHeading | None:
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
                return PageHeading(first, last + 1, level)
            if not wanted.startswith(candidate):
                break
    return None


def _comparable(title: str) -> str:
    words = collapse_whitespace(title).casefold()
    return _NUMBERING.sub("", words) or words


def _all_large_headings(
    pages: list[list[PageLine]], recognised: list[int]
) -> list[list[PageHeading]]:
    """Large type on each page; what is large on a scan is measured against scans."""
    scans = set(recognised)
    found: list[list[PageHeading]] = [[] for _ in pages]
    for indexes in (recognised, [index for index in range(len(pages)) if index not in scans]):
        some = [pages[index] for index in indexes]
        if any(some):
            for index, headings in zip(indexes, _large_headings(some), strict=True):
                found[index] = headings
    return found


def _large_headings(pages: list[list[PageLine]]) -> list[list[PageHeading]]:
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
        [PageHeading(first, last, min(6, sizes.index(size) + 1)) for first, last, size in runs]
        for runs in found
    ]


def _looks_like_heading(line: PageLine, body: float) -> bool:
    return (
        line.height > body * (1 + OTHER_SIZE)
        and len(line.text) <= _MAX_HEADING_CHARS
        and not line.text.endswith((".", ",", ";"))
        and any(character.isalpha() for character in line.text)
    )
