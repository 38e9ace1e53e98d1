"""Chunks as indexes take them in: many at once, by columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.core import FloatMatrix
from rostra.store.changes import Ids, packed_ids, packed_spelled, spelled_id
from rostra.store.chunks import IndexRow
from rostra.store.tables import ChunkRow, VectorRow
from rostra.store.vectors import MOST_PARAMETERS

_chunks = ChunkRow.metadata.tables[ChunkRow.__tablename__]
_vectors = VectorRow.metadata.tables[VectorRow.__tablename__]


@dataclass(frozen=True, slots=True)
class IndexRows:
    """What the indexes need of some chunks, in any order.

    Attributes:
        chunks: uint8 [chunks, 16], their ids.
        documents: uint8 [chunks, 16], their documents' ids.
        ordinals: int64 [chunks], their places in these.
        contexts: the headings above them.
        texts: theirs.
        vectors: float32 [chunks, dimensions].
    """

    chunks: Ids
    documents: Ids
    ordinals: npt.NDArray[np.int64]
    contexts: Sequence[str]
    texts: Sequence[str]
    vectors: FloatMatrix

    def __len__(self) -> int:
        return len(self.texts)

    @classmethod
    def of(cls, rows: Sequence[IndexRow]) -> "IndexRows":
        """The same of single rows."""
        return cls(
            packed_ids([row.chunk_id for row in rows]),
            packed_ids([row.document_id for row in rows]),
            np.array([row.ordinal for row in rows], np.int64),
            [row.context for row in rows],
            [row.text for row in rows],
            np.stack([row.vector for row in rows]) if rows else np.zeros((0, 0), np.float32),
        )

    @classmethod
    def joined(cls, rows: Sequence["IndexRows"]) -> "IndexRows":
        """All of several."""
        some = [one for one in rows if len(one)] or list(rows[:1]) or [cls.of([])]
        if len(some) == 1:
            return some[0]
        return cls(
            np.concatenate([one.chunks for one in some]),
            np.concatenate([one.documents for one in some]),
            np.concatenate([one.ordinals for one in some]),
            [context for one in some for context in one.contexts],
            [text for one in some for text in one.texts],
            np.concatenate([one.vectors for one in some]),
        )


async def rows_to_index(
    session: AsyncSession, collection_id: UUID, space_id: UUID, document_ids: Sequence[UUID]
) -> IndexRows:
    """The chunks of documents of a collection, with their vectors in a space."""
    # Not the bare column: by its index SQLite would go through all chunks of the collection.
    owner = func.coalesce(_chunks.c.collection_id, _chunks.c.collection_id)
    query = (
        select(
            spelled_id(_chunks.c.id, session),
            spelled_id(_chunks.c.document_id, session),
            _chunks.c.ordinal,
            _chunks.c.context,
            _chunks.c.text,
            _vectors.c.vector,
        )
        .join(
            _vectors,
            (_vectors.c.collection_id == _chunks.c.collection_id)
            & (_vectors.c.content_hash == _chunks.c.content_hash)
            & (_vectors.c.space_id == space_id),
        )
        .where(owner == collection_id)
    )
    found: list[Any] = []
    for at in range(0, len(document_ids), MOST_PARAMETERS):
        page = query.where(_chunks.c.document_id.in_(document_ids[at : at + MOST_PARAMETERS]))
        found += await session.execute(page)
    chunks, documents, ordinals, contexts, texts, vectors = (
        zip(*found, strict=True) if found else ((),) * 6
    )
    matrix = np.frombuffer(b"".join(vectors), "<f4")
    return IndexRows(
        packed_spelled(chunks),
        packed_spelled(documents),
        np.array(ordinals, np.int64),
        contexts,
        texts,
        matrix.reshape(len(found), -1) if found else np.zeros((0, 0), np.float32),
    )
