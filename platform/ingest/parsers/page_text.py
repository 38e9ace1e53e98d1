"""The lines of a page to running text: which of them are one paragraph, and what they say together.

Where a line ends is decided by the page's width, not by what the line says, so lines are joined
unless the geometry says that the break was meant: a larger gap, another font size, an indent, or a
line that ended though the next word would have fitted. A hyphen at a line's end is removed unless
the document writes the word with it elsewhere.
"""

import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from rostra.ingest.builder import DocumentBuilder
from rostra.ingest.document import SpanKind

_BROKEN_WORD = re.compile(r"(\w+)-$")
_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"[.!?:…][\"'”’)\]]*$")
_ITEM = re.compile(r"(?:[•◦▪‣·–—*-]|\(?\d{1,3}[.)]|\(?[a-z][.)])\s")
_MARK = re.compile(r"[•◦▪‣·–—*-]$|\(?\d{1,3}[.)]$")
# As parts of a line's height, or of a column's width.
_PARAGRAPH_GAP = 1.25
OTHER_SIZE = 0.15
_INDENT = 0.8
_SAME_COLUMN = 3.0
_SHORT_LINE = 0.4


@dataclass(frozen=True, slots=True)
class PageLine:
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
class PageHeading:
    """Lines `[first, last)` of a page that are a heading."""

    first: int
    last: int
    level: int


def add_page(
    builder: DocumentBuilder,
    lines: list[PageLine],
    number: int,
    headings: list[PageHeading],
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


def _runs(lines: list[PageLine], headings: list[PageHeading]) -> Iterator[tuple[int, int, int]]:
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


def _break_before(lines: list[PageLine], index: int, pitch: float) -> int:
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
    if min(abs(one - other) for one in above.sizes for other in line.sizes) > OTHER_SIZE * height:
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


def _short_line(lines: list[PageLine], index: int, ended: bool) -> int:
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


def _joined(lines: list[PageLine], compounds: set[str]) -> str:
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
