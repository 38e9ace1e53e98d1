"""One collection's index: dense and lexical over the same chunks, at one generation.

What always holds: an index never changes; following the rows makes a new one. Position i names the
same chunk on both sides. Equal rows give equal results, ties included, however they came in.
"""

from dataclasses import dataclass
from uuid import UUID

from rostra.retrieval.dense import DenseReader
from rostra.retrieval.lexical import LexicalReader
from rostra.retrieval.table import ChunkTable


@dataclass(frozen=True)
class CollectionIndex:
    """The searchable form of one collection at one generation; made by `CollectionWriter`."""

    collection_id: UUID
    space: str
    generation: int
    table: ChunkTable
    dense: DenseReader
    lexical: LexicalReader

    @property
    def chunks(self) -> int:
        """How many there are; the table counts also those that are gone."""
        return self.lexical.statistics.chunks


def searchable_text(context: str, text: str) -> str:
    """What both sides index of a chunk: its headings, then its own text."""
    return f"{context}\n{text}" if context else text
