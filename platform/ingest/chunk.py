"""Chunks: slices of a document's text of the size that the embedder reads best.

What always holds for `chunk_document`: chunks are ordered and not empty; a chunk's text begins and
ends with a character that is no whitespace; together chunks hold every character that is none;
without overlap they are disjoint, with it a chunk repeats at most `overlap` tokens of the one
before it. A chunk has at most `max_tokens` tokens, except one that is a single row of a table or
line of code, which has at most `window`. Time is linear in the text. The same input gives the same
chunks.

A document is cut by its structure, coarse to fine: sections, blocks, sentences or rows, words. What
must be cut is cut into parts of about equal size; what is small is put together with its
neighbour, but a section of its own is not drawn into the one before it once that has half the size,
or a fifth where the next section is of a higher rank.
A heading stays with the text after it.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from rostra.core import Tokenizer, collapse_whitespace, sentence_spans
from rostra.ingest.blocks import Block, blocks_of
from rostra.ingest.document import ParsedDocument, Span, SpanKind
from rostra.ingest.tokens import TokenIndex

CONTEXT_TOKENS = 40
# A part smaller than this, as a part of the largest chunk, is joined with the next section: one of
# its own rank, or one of a higher rank.
_SMALL_BESIDE = 0.5
_SMALL_BELOW = 0.2
_SEPARATOR = " > "


@dataclass(frozen=True, slots=True)
class Chunk:
    """A slice `[start, end)` of a document's text.

    Attributes:
        start: first code point.
        end: code point after the last.
        page: number of the page on which it begins; None without pages.
        context: title and headings above it that are not in it; may be empty. Of at most 40
            tokens; it helps the embedder and is never cited.
    """

    start: int
    end: int
    page: int | None
    context: str


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is not cut any further.

    `alone` marks a piece of a word or of a row that was too long: its tokens change with what
    stands beside it, so it is a chunk of its own.
    """

    start: int
    end: int
    block: Block
    alone: bool = False


@dataclass(frozen=True, slots=True)
class _Part:
    """Units that are a chunk unless they are joined with a neighbour."""

    start: int
    end: int
    path: tuple[Span, ...]
    common: tuple[Span, ...]
    alone: bool


def chunk_document(
    document: ParsedDocument,
    tokenizer: Tokenizer,
    *,
    max_tokens: int,
    overlap: int = 0,
    window: int,
) -> list[Chunk]:
    """Cuts a document into chunks.

    Args:
        document: what is cut.
        tokenizer: the embedder's.
        max_tokens: most tokens of a chunk; a larger one than `window` means `window`.
        overlap: most tokens repeated from the chunk before, within one section.
        window: tokens that the embedder reads at most.

    Raises:
        ValueError: if `max_tokens` is less than 1, or `overlap` is negative or not less than it.
    """
    max_tokens = min(max_tokens, window)
    if max_tokens < 1 or not 0 <= overlap < max_tokens:
        raise ValueError(f"max_tokens={max_tokens} and overlap={overlap} do not go together")
    cutter = _Cutter(document.text, tokenizer, max_tokens, overlap, window)
    parts = cutter.joined(cutter.parts(blocks_of(document)))
    contexts = _Contexts(document, tokenizer)
    pages = [span for span in document.spans if span.kind is SpanKind.PAGE]
    page_starts = [page.start for page in pages]
    chunks = []
    for part in parts:
        at = bisect_right(page_starts, part.start) - 1
        page = pages[at].level if at >= 0 else None
        chunks.append(Chunk(part.start, part.end, page, contexts.of(part)))
    return chunks


class _Cutter:
    """Cuts one text; the steps of `chunk_document` with what they share."""

    def __init__(
        self, text: str, tokenizer: Tokenizer, max_tokens: int, overlap: int, window: int
    ) -> None:
        self._text = text
        self._tokenizer = tokenizer
        self._tokens = TokenIndex(text, tokenizer)
        self._max = max_tokens
        self._overlap = overlap
        self._window = window

    def parts(self, blocks: list[Block]) -> Iterator[_Part]:
        """The parts of all sections, each of at most `max_tokens` tokens."""
        for section in _sections(blocks):
            yield from self._section_parts(section)

    def joined(self, parts: Iterator[_Part]) -> Iterator[_Part]:
        """Puts small parts together with what follows."""
        current: _Part | None = None
        for part in parts:
            if current is None:
                current = part
            elif self._joins(current, part):
                common = _common(current.common, part.common)
                current = _Part(current.start, part.end, current.path, common, False)
            else:
                yield current
                current = part
        if current is not None:
            yield current

    def _joins(self, current: _Part, part: _Part) -> bool:
        if current.alone or part.alone or part.start < current.end:
            return False
        if self._tokens.count(current.start, part.end) > self._max:
            return False
        depth = len(current.path)
        if part.path[:depth] == current.path:
            return True
        small = _SMALL_BESIDE if len(part.path) >= depth else _SMALL_BELOW
        return self._tokens.count(current.start, current.end) < small * self._max

    def _section_parts(self, section: list[Block]) -> Iterator[_Part]:
        path = section[-1].path
        start, end = section[0].start, section[-1].end
        if self._tokens.count(start, end) <= self._max:
            yield _Part(start, end, path, path, False)
            return
        budget = self._max - self._overlap
        headings = sum(
            self._tokens.count(block.start, block.end) for block in section if block.heading
        )
        limit = budget - headings if 2 * headings <= budget else budget
        units = [unit for block in section for unit in self._units(block, limit)]
        before: list[_Unit] = []
        for group in self._groups(units, budget):
            begin = group[0].start
            if self._overlap and before and not group[0].alone:
                begin = self._overlap_start(before, group[-1].end, begin)
            yield _Part(begin, group[-1].end, path, path, group[0].alone)
            before = group

    def _groups(self, units: list[_Unit], budget: int) -> Iterator[list[_Unit]]:
        """Runs of units of about equal size, none over the budget."""
        count = self._tokens.count
        first = 0
        while first < len(units):
            begin = units[first].start
            remaining = count(begin, units[-1].end)
            target = remaining / math.ceil(remaining / budget)
            last = first + 1
            while last < len(units) and not (units[first].alone or units[last].alone):
                size = count(begin, units[last - 1].end)
                larger = count(begin, units[last].end)
                if larger > budget:
                    break
                if not units[last - 1].block.heading and larger - target > target - size:
                    break
                last += 1
            yield units[first:last]
            first = last

    def _units(self, block: Block, limit: int) -> Iterator[_Unit]:
        """The block, or its sentences or rows, or their words, so that each fits the limit."""
        if self._tokens.count(block.start, block.end) <= limit:
            yield _Unit(block.start, block.end, block)
        elif block.rows:
            for start, end in self._row_groups(block, limit):
                if self._tokens.count(start, end) <= self._window:
                    yield _Unit(start, end, block)
                else:
                    yield from self._pieces(start, end, block, limit)
        else:
            for start, end in sentence_spans(self._text, block.start, block.end):
                yield from self._pieces(start, end, block, limit)

    def _row_groups(self, block: Block, limit: int) -> Iterator[tuple[int, int]]:
        """Runs of lines between blank lines where these fit the limit, else single lines."""
        lines = list(_lines(self._text, block.start, block.end))
        for blank, run in groupby(lines, key=lambda line: line[0] == line[1]):
            if blank:
                continue
            group = list(run)
            start, end = group[0][0], group[-1][1]
            if self._tokens.count(start, end) <= limit:
                yield start, end
            else:
                yield from group

    def _pieces(self, start: int, end: int, block: Block, limit: int) -> Iterator[_Unit]:
        """Cuts what is too long at tokens, between words where there are any."""
        text, starts = self._text, self._tokens.starts
        inside = False
        while self._tokens.count(start, end) > limit or (
            inside and self._reads(start, end) > limit
        ):
            first = bisect_left(starts, start)
            remaining = bisect_left(starts, end) - first
            step = max(1, min(limit, math.ceil(remaining / math.ceil(remaining / limit))))
            if step >= remaining:
                step = max(1, remaining // 2)
            cut = first + step
            while cut > first + (step + 1) // 2 and not _is_between_words(text, starts[cut]):
                cut -= 1
            if not _is_between_words(text, starts[cut]):
                cut = first + step
            while cut > first + 1 and self._reads(start, starts[cut]) > limit:
                cut -= 1
            at = starts[cut]
            if at <= start or at >= end:
                break
            cuts_word = not _is_between_words(text, at)
            yield from self._unit(start, at, block, alone=inside or cuts_word)
            start, inside = at, cuts_word
        yield from self._unit(start, end, block, alone=inside)

    def _unit(self, start: int, end: int, block: Block, *, alone: bool) -> Iterator[_Unit]:
        part = self._text[start:end]
        stripped = part.strip()
        if stripped:
            first = start + len(part) - len(part.lstrip())
            yield _Unit(first, first + len(stripped), block, alone)

    def _reads(self, start: int, end: int) -> int:
        """Tokens of a part when it stands alone."""
        return len(self._tokenizer.offsets(self._text[start:end]))

    def _overlap_start(self, before: list[_Unit], end: int, start: int) -> int:
        """The earliest beginning of a sentence or row in `before` from which to repeat."""
        for unit in reversed(before):
            if unit.block.heading or unit.alone:
                return start
            if unit.block.rows:
                spans = [
                    line for line in _lines(self._text, unit.start, unit.end) if line[0] < line[1]
                ]
            else:
                spans = sentence_spans(self._text, unit.start, unit.end)
            for candidate, _ in reversed(spans):
                if candidate == before[0].start:
                    return start
                repeated = self._tokens.count(candidate, before[-1].end)
                if repeated > self._overlap or self._tokens.count(candidate, end) > self._max:
                    return start
                start = candidate
        return start


def _sections(blocks: list[Block]) -> Iterator[list[Block]]:
    """Blocks under one heading; headings without text go with the section after them."""
    section: list[Block] = []
    for block in blocks:
        if block.heading and section and not section[-1].heading:
            yield section
            section = []
        section.append(block)
    if section:
        yield section


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Each line of a range without the whitespace around it; empty where it is blank."""
    position = start
    while position < end:
        newline = text.find("\n", position, end)
        line_end = end if newline < 0 else newline
        line = text[position:line_end]
        stripped = line.strip()
        first = position + len(line) - len(line.lstrip()) if stripped else position
        yield first, first + len(stripped)
        position = line_end + 1


def _is_between_words(text: str, at: int) -> bool:
    return text[at - 1 : at].isspace() or text[at : at + 1].isspace()


def _common(one: tuple[Span, ...], other: tuple[Span, ...]) -> tuple[Span, ...]:
    length = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        length += 1
    return one[:length]


class _Contexts:
    """What is said before a chunk's text so that it can be understood alone."""

    def __init__(self, document: ParsedDocument, tokenizer: Tokenizer) -> None:
        self._document = document
        self._tokenizer = tokenizer
        self._tables = [span for span in document.spans if span.kind is SpanKind.TABLE]
        self._table_starts = [table.start for table in self._tables]
        self._known: dict[tuple[str, ...], str] = {}

    def of(self, part: _Part) -> str:
        """Title and headings of a part that it does not hold itself, and its table's header."""
        text = self._document.text
        own = {
            _comparable(text[heading.start : heading.end])
            for heading in part.common
            if heading.start >= part.start
        }
        names = [self._document.title]
        names += [text[heading.start : heading.end] for heading in part.common]
        if header := self._table_header(part):
            names.append(header)
        kept: list[str] = []
        for name in map(collapse_whitespace, names):
            seen = _comparable(name)
            if (
                name
                and seen not in own
                and not any(_comparable(one).startswith(seen) for one in kept)
            ):
                kept.append(name)
        key = tuple(kept)
        if key not in self._known:
            self._known[key] = self._fitted(kept)
        return self._known[key]

    def _table_header(self, part: _Part) -> str:
        """The first row of the table in which a part begins, when it begins after that."""
        at = bisect_right(self._table_starts, part.start) - 1
        if at < 0 or part.start >= self._tables[at].end or part.start == self._tables[at].start:
            return ""
        table = self._tables[at]
        newline = self._document.text.find("\n", table.start, table.end)
        return self._document.text[table.start : newline] if newline > 0 else ""

    def _fitted(self, names: list[str]) -> str:
        """The names in one line; the middle ones go first when they are too long."""
        while len(names) > 2 and self._count(_SEPARATOR.join(names)) > CONTEXT_TOKENS:
            del names[1]
        context = _SEPARATOR.join(names)
        offsets = self._tokenizer.offsets(context)
        if len(offsets) > CONTEXT_TOKENS:
            context = context[: offsets[CONTEXT_TOKENS - 1][1]]
        return context.strip()

    def _count(self, text: str) -> int:
        return len(self._tokenizer.offsets(text))


def _comparable(name: str) -> str:
    return collapse_whitespace(name).casefold()
