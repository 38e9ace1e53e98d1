"""One collection's index: dense and lexical over the same chunks, at one generation.

What always holds: an index never changes; following the rows makes a new one. Position i names the
same chunk on both sides. Positions go by (uri, ordinal), so that the same documents give the same
index, ties included, however they came in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
import numpy.typing as npt

from rostra.core import FloatMatrix
from rostra.retrieval.analysis import Analyzer
from rostra.retrieval.dense import DenseIndex
from rostra.retrieval.lexical import LexicalIndex, Mask, TermCounts, make_lexical_index
from rostra.store import DocumentStamp, IndexRow

MakeDense = Callable[[FloatMatrix], DenseIndex]


@dataclass(frozen=True)
class ChunkTable:
    """Which chunk each position is.

    Attributes:
        documents: the collection's documents by uri, also those without a chunk.
        document: int32 [chunks], place in `documents`.
        ordinal: int32 [chunks], place within the document.
        ids: uint8 [chunks, 16], chunk ids.
    """

    documents: list[DocumentStamp]
    document: npt.NDArray[np.int32]
    ordinal: npt.NDArray[np.int32]
    ids: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.document)

    def chunk_id(self, position: int) -> UUID:
        """The id of the chunk at a position."""
        return UUID(bytes=self.ids[position].tobytes())

    def mask_of(self, documents: set[UUID]) -> Mask:
        """bool [chunks], true for the chunks of these documents."""
        wanted = np.array([stamp.id in documents for stamp in self.documents], np.bool_)
        return wanted[self.document] if len(wanted) else np.zeros(0, np.bool_)


@dataclass(frozen=True)
class CollectionIndex:
    """The searchable form of one collection at one generation."""

    collection_id: UUID
    space: str
    generation: int
    table: ChunkTable
    counts: TermCounts
    dense: DenseIndex
    lexical: LexicalIndex


@dataclass(frozen=True, slots=True)
class Changes:
    """What the rows say beyond an older index.

    Attributes:
        generation: the collection's now.
        stamps: all its documents now, by uri.
        rows: the chunks of documents that are new or rewritten.
    """

    generation: int
    stamps: list[DocumentStamp]
    rows: Sequence[IndexRow]


def searchable_text(context: str, text: str) -> str:
    """What both sides index of a chunk: its headings, then its own text."""
    return f"{context}\n{text}" if context else text


def empty_index(
    collection_id: UUID, space: str, dimensions: int, make_dense: MakeDense
) -> CollectionIndex:
    """An index of nothing, to be followed from."""
    table = ChunkTable(
        [], np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 16), np.uint8)
    )
    counts = TermCounts.of([])
    dense = make_dense(np.zeros((0, dimensions), np.float32))
    return CollectionIndex(
        collection_id, space, 0, table, counts, dense, make_lexical_index(counts)
    )


def stale_documents(index: CollectionIndex, stamps: Sequence[DocumentStamp]) -> list[UUID]:
    """The documents that are new or rewritten since this index."""
    known = {stamp.id: stamp.generation for stamp in index.table.documents}
    return [stamp.id for stamp in stamps if known.get(stamp.id) != stamp.generation]


def follow(
    index: CollectionIndex, changes: Changes, analyzer: Analyzer, make_dense: MakeDense
) -> CollectionIndex:
    """A new index at the rows' generation. Only changed documents are read and analysed.

    Args:
        index: an older one of the same collection and space.
        changes: what changed since.
        analyzer: the one `index` was built with.
        make_dense: builds the dense side from all vectors.
    """
    place = {stamp.id: at for at, stamp in enumerate(changes.stamps)}
    kept = _unchanged(index, changes, place)
    added = TermCounts.of(
        [analyzer.terms(searchable_text(row.context, row.text)) for row in changes.rows]
    )
    old_places = np.array([place.get(stamp.id, -1) for stamp in index.table.documents], np.int32)
    document = np.concatenate(
        [
            old_places[index.table.document[kept]] if len(kept) else np.zeros(0, np.int32),
            np.array([place[row.document_id] for row in changes.rows], np.int32),
        ]
    )
    ordinal = np.concatenate(
        [index.table.ordinal[kept], np.array([row.ordinal for row in changes.rows], np.int32)]
    )
    ids = np.concatenate(
        [
            index.table.ids[kept],
            np.frombuffer(b"".join(row.chunk_id.bytes for row in changes.rows), np.uint8).reshape(
                -1, 16
            ),
        ]
    )
    width = index.dense.vectors.shape[1]
    fresh = (
        np.stack([row.vector for row in changes.rows])
        if changes.rows
        else np.zeros((0, width), np.float32)
    )
    order = np.lexsort((ordinal, document))
    counts = index.counts.take(kept).append(added).take(order).compact()
    vectors = np.concatenate([index.dense.vectors[kept], fresh])[order]
    return CollectionIndex(
        collection_id=index.collection_id,
        space=index.space,
        generation=changes.generation,
        table=ChunkTable(changes.stamps, document[order], ordinal[order], ids[order]),
        counts=counts,
        dense=make_dense(vectors),
        lexical=make_lexical_index(counts),
    )


def _unchanged(
    index: CollectionIndex, changes: Changes, place: dict[UUID, int]
) -> npt.NDArray[np.int64]:
    """Positions of the old index whose document is still there as it was."""
    keep = np.array(
        [
            stamp.id in place and changes.stamps[place[stamp.id]].generation == stamp.generation
            for stamp in index.table.documents
        ],
        np.bool_,
    )
    if not len(keep):
        return np.zeros(0, np.int64)
    return np.flatnonzero(keep[index.table.document])
