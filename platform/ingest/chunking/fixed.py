"""Fixed windows of tokens, whatever they hold: the baseline of every comparison of chunkers.

What always holds: see `Chunker`; beside that, a chunk repeats at most `overlap` tokens of the one
before it, and cuts no word that has a boundary in the second half of the window.
"""

import re
from bisect import bisect_left

from rostra.ingest.chunking.chunk import Chunk
from rostra.ingest.chunking.cuts import Cuts, is_between_words, trimmed
from rostra.ingest.chunking.sized import SizedChunker
from rostra.ingest.document import ParsedDocument

_SHOWN = re.compile(r"\S")


class FixedChunker(SizedChunker):
    """See this module."""

    __slots__ = ()

    def chunk(self, document: ParsedDocument) -> list[Chunk]:
        """See `Chunker`."""
        text = document.text
        cuts, places = self.prepared(document)
        chunks = []
        last = len(text.rstrip())
        found = _SHOWN.search(text)
        while found is not None:
            start = found.start()
            end = cuts.furthest(start, last, self.max_tokens)
            if (part := trimmed(text, start, end)) is not None:
                chunks.append(places.chunk(*part, places.path(*part)))
            if end >= last:
                break
            found = _SHOWN.search(text, self._next(cuts, start, end))
        return chunks

    def _next(self, cuts: Cuts, start: int, end: int) -> int:
        """Where the next window begins: at a word that repeats no more than the overlap."""
        if not self.overlap:
            return end
        starts = cuts.tokens.starts
        at = bisect_left(starts, end) - self.overlap
        while 0 <= at < len(starts) and starts[at] < end:
            if starts[at] > start and is_between_words(cuts.text, starts[at]):
                return int(starts[at])
            at += 1
        return end
