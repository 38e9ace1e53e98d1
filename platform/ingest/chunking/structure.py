"""The structure-aware chunker: sections, blocks, sentences or rows, words.

What always holds for `chunk_document`: chunks are ordered and not empty; a chunk's text begins and
ends with a character that is no whitespace; together chunks hold every character that is none;
without overlap they are disjoint, with it a chunk repeats at most `overlap` tokens of the one
before it. A chunk has at most `max_tokens` tokens, the header of a table counted with its later
rows, except one that is a single row of a table or line of code, which has at most `window`. Time
is linear in the text. The same input gives the same chunks.

A document is cut by its structure, coarse to fine: sections, blocks, sentences or rows, words. A
section that fits is one chunk. One that does not is cut at ends of sentences or rows into parts of
about equal size, rather at ends of paragraphs, and rather where the text turns to something else,
see `balance` and `cohesion`; since the parts aim at less than the most tokens, there are such
places to choose from. What is small is put together with its neighbour, but a section of its own is
not drawn into the one before it once that has half the size, or a fifth where the next section is
of a higher rank. A heading stays with the text after it.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby, takewhile

from rostra.core import Tokenizer, sentence_spans
from rostra.ingest.blocks import Block, blocks_of
from rostra.ingest.chunking.balance import best_runs, grouped
from rostra.ingest.chunking.chunk import Chunk
from rostra.ingest.chunking.cohesion import cohesions
from rostra.ingest.chunking.cuts import check_sizes, is_between_words
from rostra.ingest.chunking.places import Places, common_path
from rostra.ingest.chunking.tables import TableHeaders
from rostra.ingest.document import ParsedDocument, Span
from rostra.ingest.tokens import TokenIndex

# A part smaller than this, as a part of the largest chunk, is joined with the next section: one of
# its own rank, or one of a higher rank.
_SMALL_BESIDE = 0.5
_SMALL_BELOW = 0.2
# What a part of a section that must be cut is to have of the most tokens: enough to answer from,
# and room to end where the text does.
AIM = 0.6
# Prices of a cut, in the measure of `balance`: within a paragraph, table or code; by what goes on
# across it, for each standard deviation; after a heading.
_WITHIN = 0.3
_COHESION = 0.5
_NEVER = 1000.0


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
    """Units that are a chunk unless they are joined with a neighbour.

    `continues` marks a part of a section that was cut before it: that is not undone.
    """

    start: int
    end: int
    path: tuple[Span, ...]
    common: tuple[Span, ...]
    alone: bool
    continues: bool = False


def chunk_document(
    document: ParsedDocument,
    tokenizer: Tokenizer,
    *,
    max_tokens: int,
    overlap: int = 0,
    window: int,
    aim: float = AIM,
) -> list[Chunk]:
    """Cuts a document into chunks.

    Args:
        document: what is cut.
        tokenizer: the embedder's.
        max_tokens: most tokens of a chunk; a larger one than `window` means `window`.
        overlap: most tokens repeated from the chunk before, within one section.
        window: tokens that the embedder reads at most.
        aim: about what a part of a section that must be cut has of the most tokens.

    Raises:
        ValueError: if `max_tokens` is less than 1, or `overlap` is negative or not less than it.
    """
    max_tokens = min(max_tokens, window)
    check_sizes(max_tokens, overlap)
    headers = TableHeaders(document, tokenizer, max_tokens)
    cutter = _Cutter(document.text, tokenizer, headers, max_tokens, overlap, window, aim)
    parts = cutter.joined(cutter.parts(blocks_of(document)))
    places = Places(document, tokenizer, headers)
    return [places.chunk(part.start, part.end, part.common) for part in parts]


@dataclass(frozen=True, slots=True)
class StructureChunker:
    """See this module; the arguments are those of `chunk_document`."""

    tokenizer: Tokenizer
    max_tokens: int
    overlap: int
    window: int
    aim: float = AIM

    def chunk(self, document: ParsedDocument) -> list[Chunk]:
        """See `Chunker`."""
        return chunk_document(
            document,
            self.tokenizer,
            max_tokens=self.max_tokens,
            overlap=self.overlap,
            window=self.window,
            aim=self.aim,
        )


class _Cutter:
    """Cuts one text; the steps of `chunk_document` with what they share."""

    def __init__(
        self,
        text: str,
        tokenizer: Tokenizer,
        headers: TableHeaders,
        max_tokens: int,
        overlap: int,
        window: int,
        aim: float,
    ) -> None:
        self._text = text
        self._tokenizer = tokenizer
        self._reserved = headers.reserved
        self._tokens = TokenIndex(text, tokenizer)
        self._max = max_tokens
        self._overlap = overlap
        self._window = window
        self._aim = aim

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
                common = common_path(current.common, part.common)
                current = replace(current, end=part.end, common=common)
            else:
                yield current
                current = part
        if current is not None:
            yield current

    def _joins(self, current: _Part, part: _Part) -> bool:
        if current.alone or part.alone or part.continues or part.start < current.end:
            return False
        room = self._max - self._reserved(current.start)
        if self._tokens.count(current.start, part.end) > room:
            return False
        depth = len(current.path)
        if part.path[:depth] == current.path:
            return True
        small = _SMALL_BESIDE if len(part.path) >= depth else _SMALL_BELOW
        return self._tokens.count(current.start, current.end) < small * self._max

    def _section_parts(self, section: list[Block]) -> Iterator[_Part]:
        path = section[-1].path
        start, end = section[0].start, section[-1].end
        if self._tokens.count(start, end) <= self._max - self._reserved(start):
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
            yield _Part(begin, group[-1].end, path, path, group[0].alone, bool(before))
            before = group

    def _groups(self, units: list[_Unit], budget: int) -> Iterator[list[_Unit]]:
        """Runs of units of about equal size, none over the budget; see `balance`."""
        for alone, run in groupby(units, key=lambda unit: unit.alone):
            if alone:
                yield from ([unit] for unit in run)
            else:
                yield from self._balanced(list(run), budget)

    def _balanced(self, units: list[_Unit], budget: int) -> Iterator[list[_Unit]]:
        starts = self._tokens.starts
        begins = [bisect_left(starts, unit.start) for unit in units]
        ends = [bisect_left(starts, unit.end) for unit in units]
        groups = grouped([end - begin for begin, end in zip(begins, ends, strict=True)], budget)
        firsts = [units[first] for first, _ in groups]
        lasts = [units[last - 1] for _, last in groups]
        rooms = [max(1, budget - self._reserved(unit.start)) for unit in firsts]
        # There is nothing to choose from between rows: a table is cut into as few parts as it can.
        first_body = next((unit.block for unit in firsts if not unit.block.heading), None)
        is_table = firsts[-1].block.rows and firsts[-1].block is first_body
        aim = 1.0 if is_table else self._aim
        whole = ends[-1] - begins[0]
        count = max(math.ceil(whole / rooms[-1]), round(whole / (aim * rooms[-1])))
        runs = best_runs(
            [begins[first] for first, _ in groups],
            [ends[last - 1] for _, last in groups],
            rooms,
            self._prices(firsts, lasts),
            max(1.0, whole / max(1, count)),
        )
        for first, last in runs:
            yield units[groups[first][0] : groups[last - 1][1]]

    def _prices(self, firsts: list[_Unit], lasts: list[_Unit]) -> list[float]:
        """Of a cut between each group of units, of which these are the first and last, and next."""
        headings = sum(1 for _ in takewhile(lambda unit: unit.block.heading, lasts))
        ranges = [(first.start, last.end) for first, last in zip(firsts, lasts, strict=True)]
        prices = [_NEVER] * min(headings, len(lasts) - 1)
        pairs = list(zip(lasts[headings:-1], firsts[headings + 1 :], strict=True))
        # Rows have words in common by their columns: that tells nothing.
        if all(first.block.rows for first in firsts[headings:]):
            going_on = [0.0] * len(pairs)
        else:
            going_on = cohesions(self._text, self._tokens, ranges[headings:])
        for (last, first), cohesion in zip(pairs, going_on, strict=True):
            within = last.block is first.block
            told = 0.0 if within and last.block.rows else cohesion
            prices.append(_COHESION * told + _WITHIN * within)
        return prices

    def _units(self, block: Block, limit: int) -> Iterator[_Unit]:
        """Its sentences or rows, or their words, so that each fits the limit.

        Headings, and rows between blank lines, stay whole where they fit.
        """
        fits = self._tokens.count(block.start, block.end) <= limit
        if fits and (block.rows or block.heading):
            yield _Unit(block.start, block.end, block)
        elif block.rows:
            for start, end in self._row_groups(block, limit):
                reserved = self._reserved(start)
                if self._tokens.count(start, end) <= self._window - reserved:
                    yield _Unit(start, end, block)
                else:
                    yield from self._pieces(start, end, block, max(1, limit - reserved))
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
            if self._tokens.count(start, end) <= limit - self._reserved(start):
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
            while cut > first + (step + 1) // 2 and not is_between_words(text, starts[cut]):
                cut -= 1
            if not is_between_words(text, starts[cut]):
                cut = first + step
            while cut > first + 1 and self._reads(start, starts[cut]) > limit:
                cut -= 1
            at = starts[cut]
            if at <= start or at >= end:
                break
            cuts_word = not is_between_words(text, at)
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
                room = self._max - self._reserved(candidate)
                if repeated > self._overlap or self._tokens.count(candidate, end) > room:
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
