"""Cuts at the coarsest separator that makes parts small enough, then puts small parts together.

Separators are, coarse to fine: blank lines, line ends, ends of sentences, spaces; what has none is
cut at tokens. It knows text alone, no headings and no tables.

What always holds: see `Chunker`; a chunk repeats at most `overlap` tokens of the one before it,
beginning where a part begins.
"""

import re
from collections.abc import Iterator

from rostra.ingest.chunking.chunk import Chunk
from rostra.ingest.chunking.cuts import Cuts, trimmed
from rostra.ingest.chunking.sized import SizedChunker
from rostra.ingest.document import ParsedDocument

# Each ends a part: the separator stays with what is before it.
_SEPARATORS = tuple(
    re.compile(pattern) for pattern in (r"\n\s*\n\s*", r"\n\s*", r"[.?!][\"'”’)\]]*\s+", r"\s+")
)
Range = tuple[int, int]


class RecursiveChunker(SizedChunker):
    """See this module."""

    __slots__ = ()

    def chunk(self, document: ParsedDocument) -> list[Chunk]:
        """See `Chunker`."""
        cuts, places = self.prepared(document)
        chunks = []
        for start, end in self._split(cuts, 0, len(document.text), 0):
            part = trimmed(document.text, start, end)
            if part is not None:
                chunks.append(places.chunk(*part, places.path(*part)))
        return chunks

    def _split(self, cuts: Cuts, start: int, end: int, level: int) -> Iterator[Range]:
        """Parts of a range, none larger than asked for."""
        if cuts.fits(start, end, self.max_tokens):
            yield start, end
            return
        if level == len(_SEPARATORS):
            yield from cuts.pieces(start, end, self.max_tokens)
            return
        waiting: list[Range] = []
        for piece in _pieces(cuts.text, start, end, level):
            if waiting and not cuts.fits(waiting[0][0], piece[1], self.max_tokens):
                yield waiting[0][0], waiting[-1][1]
                waiting = self._repeated(cuts, waiting, piece)
            if not cuts.fits(*piece, self.max_tokens):
                if waiting:
                    yield waiting[0][0], waiting[-1][1]
                    waiting = []
                yield from self._split(cuts, *piece, level + 1)
            else:
                waiting.append(piece)
        if waiting:
            yield waiting[0][0], waiting[-1][1]

    def _repeated(self, cuts: Cuts, before: list[Range], piece: Range) -> list[Range]:
        """The last parts of a chunk with which the next one begins."""
        kept: list[Range] = []
        if not cuts.fits(*piece, self.max_tokens):
            return kept
        for part in reversed(before[1:]):
            if not cuts.fits(part[0], before[-1][1], self.overlap):
                break
            if not cuts.fits(part[0], piece[1], self.max_tokens):
                break
            kept.insert(0, part)
        return kept


def _pieces(text: str, start: int, end: int, level: int) -> Iterator[Range]:
    position = start
    for found in _SEPARATORS[level].finditer(text, start, end):
        if position < found.end() < end:
            yield position, found.end()
            position = found.end()
    yield position, end
