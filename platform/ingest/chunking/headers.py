"""Chunks without the headings above them, for those who want the text alone embedded."""

from dataclasses import dataclass, replace

from rostra.ingest.chunking.chunk import Chunk, Chunker
from rostra.ingest.document import ParsedDocument


@dataclass(frozen=True, slots=True)
class WithoutHeaders:
    """The chunks of another chunker with an empty context. Tables keep their headers.

    Args:
        chunker: the other one.
    """

    chunker: Chunker

    def chunk(self, document: ParsedDocument) -> list[Chunk]:
        """See `Chunker`."""
        return [replace(chunk, context="") for chunk in self.chunker.chunk(document)]
