"""Small chunks that are searched, each with the larger passage around it that a generator reads.

What always holds: chunks are those of the smaller chunker, unchanged but for `parent`; a parent
holds its chunk and begins where a chunk of the larger chunker does.
"""

from bisect import bisect_right
from dataclasses import dataclass, replace

from rostra.ingest.chunking.chunk import Chunk, Chunker
from rostra.ingest.document import ParsedDocument


@dataclass(frozen=True, slots=True)
class ParentChunker:
    """See this module.

    Args:
        small: what is searched.
        large: what is shown.
    """

    small: Chunker
    large: Chunker

    def chunk(self, document: ParsedDocument) -> list[Chunk]:
        """See `Chunker`."""
        parents = self.large.chunk(document)
        starts = [parent.start for parent in parents]
        found = []
        for chunk in self.small.chunk(document):
            parent = parents[max(0, bisect_right(starts, chunk.start) - 1)]
            start, end = min(parent.start, chunk.start), max(parent.end, chunk.end)
            own = (start, end) == (chunk.start, chunk.end)
            found.append(chunk if own else replace(chunk, parent=(start, end)))
        return found
