"""A document's text as a row of blocks: headings, paragraphs, list items, tables, code.

What always holds: blocks are ordered and disjoint, begin and end with a character that is no
whitespace, hold every character that is no whitespace,
and begin and end where lines do. Blocks of one `section` stand under the same heading.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rostra.ingest.document import ParsedDocument, Span, SpanKind


@dataclass(frozen=True, slots=True)
class Block:
    """A run of lines that belong together.

    Attributes:
        start: first code point.
        end: code point after the last.
        path: the headings above it and, for a heading, itself; outermost first.
        heading: whether it is a heading.
        rows: whether its lines must stay whole, as rows of a table and lines of code.
    """

    start: int
    end: int
    path: tuple[Span, ...] = ()
    heading: bool = False
    rows: bool = False


@dataclass(frozen=True, slots=True)
class _Region:
    """Whole lines `[start, end)` with one role."""

    start: int
    end: int
    heading: Span | None = None


def blocks_of(document: ParsedDocument) -> list[Block]:
    """Cuts a document into blocks."""
    text = document.text
    regions = _merged(
        _whole_lines(text, span)
        for span in document.spans
        if span.kind in {SpanKind.TABLE, SpanKind.ROW, SpanKind.CODE} and span.start < span.end
    )
    headings = [
        _Region(*_whole_lines(text, span), span)
        for span in document.spans
        if span.kind is SpanKind.HEADING and span.start < span.end
    ]
    cuts = {
        cut
        for span in document.spans
        if span.kind is SpanKind.LIST_ITEM and span.start < span.end
        for cut in _whole_lines(text, span)
    }
    blocks: list[Block] = []
    path: tuple[Span, ...] = ()
    for region, rows in _in_order(headings, regions, len(text)):
        if region.heading is not None:
            path = _path_with(path, region.heading)
            blocks.extend(_block(text, region.start, region.end, path, heading=True))
        elif rows:
            blocks.extend(_block(text, region.start, region.end, path, rows=True))
        else:
            for start, end in _flow(text, region.start, region.end, cuts):
                blocks.extend(_block(text, start, end, path))
    return blocks


def _whole_lines(text: str, span: Span) -> tuple[int, int]:
    """The lines that a span touches, with the newline after the last."""
    newline = text.find("\n", max(span.start, span.end - 1))
    return text.rfind("\n", 0, span.start) + 1, len(text) if newline < 0 else newline + 1


def _merged(ranges: Iterator[tuple[int, int]]) -> list[_Region]:
    """Joins ranges that overlap; touching ones stay apart."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return [_Region(start, end) for start, end in merged]


def _in_order(
    headings: list[_Region], regions: list[_Region], end: int
) -> Iterator[tuple[_Region, bool]]:
    """All of the text as regions; True with those whose lines stay whole."""
    position = 0
    marked = sorted(
        [(region.start, 0, region) for region in regions]
        + [(region.start, 1, region) for region in headings],
        key=lambda item: item[:2],
    )
    for start, kind, region in marked:
        if start < position:
            # A heading in a table or in code, or two on one line: the first one has the line.
            continue
        if position < start:
            yield _Region(position, start), False
        yield region, kind == 0
        position = region.end
    if position < end:
        yield _Region(position, end), False


def _path_with(path: tuple[Span, ...], heading: Span) -> tuple[Span, ...]:
    return (*(above for above in path if above.level < heading.level), heading)


def _flow(text: str, start: int, end: int, cuts: set[int]) -> Iterator[tuple[int, int]]:
    """Paragraphs: runs of lines between blank lines and cuts."""
    block_start = position = start
    while position < end:
        newline = text.find("\n", position, end)
        line_end = end if newline < 0 else newline + 1
        if position in cuts or not text[position:line_end].strip():
            if block_start < position:
                yield block_start, position
            block_start = position
        position = line_end
    if block_start < end:
        yield block_start, end


def _block(
    text: str,
    start: int,
    end: int,
    path: tuple[Span, ...],
    *,
    heading: bool = False,
    rows: bool = False,
) -> Iterator[Block]:
    """The block of a range without the whitespace around it; none if there is nothing else."""
    part = text[start:end]
    stripped = part.strip()
    if stripped:
        first = start + len(part) - len(part.lstrip())
        yield Block(first, first + len(stripped), path, heading, rows)
