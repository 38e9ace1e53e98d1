"""Chunks as the indexes read them and as hits are filled in from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from rostra.core import FloatVector
from rostra.store.filters import Filters, filter_conditions
from rostra.store.tables import ChunkRow, CollectionRow, DocumentRow, VectorRow
from rostra.store.vectors import MOST_PARAMETERS


@dataclass(frozen=True, slots=True)
class DocumentStamp:
    """A document and the generation that last wrote it."""

    id: UUID
    uri: str
    generation: int


@dataclass(frozen=True, slots=True)
class IndexRow:
    """What the indexes need of a chunk."""

    chunk_id: UUID
    document_id: UUID
    ordinal: int
    context: str
    text: str
    vector: FloatVector


@dataclass(frozen=True, slots=True)
class ChunkRecord:
    """A chunk with its document's particulars, read afresh.

    Attributes:
        twins: its group of near duplicates; None where it is in none.
    """

    chunk_id: UUID
    document_id: UUID
    collection: str
    uri: str
    title: str
    ordinal: int
    start: int
    end: int
    page: int | None
    context: str
    text: str
    metadata: dict[str, Any]
    twins: UUID | None


@dataclass(frozen=True, slots=True)
class PendingChunk:
    """A chunk whose vector is to be computed anew.

    Attributes:
        content_hash: what its vector is kept under.
        context: embedded before its text.
        text: its own.
        neighbours: contexts and texts of the chunks before and after it in its document, in their
            order: one of each, where there is one.
    """

    content_hash: bytes
    context: str
    text: str
    neighbours: tuple[tuple[str, str], ...] = ()


async def document_stamps(session: AsyncSession, collection_id: UUID) -> list[DocumentStamp]:
    """All documents of a collection with their generations, by uri."""
    rows = await session.execute(
        select(DocumentRow.id, DocumentRow.uri, DocumentRow.generation).where(
            DocumentRow.collection_id == collection_id
        )
    )
    # Sorted here: the engines' collations differ, the order of an index must not.
    return sorted((DocumentStamp(*row) for row in rows), key=lambda stamp: stamp.uri)


async def index_rows(
    session: AsyncSession,
    collection_id: UUID,
    space_id: UUID,
    document_ids: Sequence[UUID] | None = None,
) -> list[IndexRow]:
    """The chunks of a collection with their vectors, in no particular order.

    Args:
        document_ids: of documents of this collection, whose chunks are read; None reads all.
    """
    query = select(
        ChunkRow.id,
        ChunkRow.document_id,
        ChunkRow.ordinal,
        ChunkRow.context,
        ChunkRow.text,
        VectorRow.vector,
    ).join(
        VectorRow,
        (VectorRow.collection_id == ChunkRow.collection_id)
        & (VectorRow.content_hash == ChunkRow.content_hash)
        & (VectorRow.space_id == space_id),
    )
    if document_ids is None:
        whole = query.where(ChunkRow.collection_id == collection_id)
        return [_index_row(row) for row in await session.execute(whole)]
    found: list[IndexRow] = []
    # Not the bare column: by its index SQLite would go through all chunks of the collection.
    owner = func.coalesce(ChunkRow.collection_id, ChunkRow.collection_id)
    query = query.where(owner == collection_id)
    for at in range(0, len(document_ids), MOST_PARAMETERS):
        page = query.where(ChunkRow.document_id.in_(document_ids[at : at + MOST_PARAMETERS]))
        found += [_index_row(row) for row in await session.execute(page)]
    return found


async def chunk_records(
    session: AsyncSession,
    collection_id: UUID,
    chunk_ids: Sequence[UUID],
    filters: Filters | None = None,
) -> dict[UUID, ChunkRecord]:
    """Reads chunks by id, as they are now; what is gone, elsewhere or filtered out is left out."""
    conditions = filter_conditions(filters or {}, session.get_bind().dialect.name)
    found: dict[UUID, ChunkRecord] = {}
    for at in range(0, len(chunk_ids), MOST_PARAMETERS):
        rows = await session.execute(
            record_query(collection_id).where(
                ChunkRow.id.in_(chunk_ids[at : at + MOST_PARAMETERS]), *conditions
            )
        )
        found.update({row[0]: ChunkRecord(*tuple(row)) for row in rows})
    return found


def record_query(collection_id: UUID | ColumnElement[UUID]) -> Select[*tuple[Any, ...]]:
    """Reads chunks of a collection as `ChunkRecord` has them; the caller says which."""
    # Not the bare column: by its index SQLite would go through all documents of the collection.
    owner = func.coalesce(DocumentRow.collection_id, DocumentRow.collection_id)
    return (
        select(
            ChunkRow.id,
            ChunkRow.document_id,
            CollectionRow.name,
            DocumentRow.uri,
            DocumentRow.title,
            ChunkRow.ordinal,
            ChunkRow.start,
            ChunkRow.end,
            ChunkRow.page,
            ChunkRow.context,
            ChunkRow.text,
            DocumentRow.meta,
            ChunkRow.twins,
        )
        .join(DocumentRow, DocumentRow.id == ChunkRow.document_id)
        .join(CollectionRow, CollectionRow.id == DocumentRow.collection_id)
        .where(owner == collection_id)
    )


async def matching_documents(
    session: AsyncSession, collection_id: UUID, filters: Filters
) -> set[UUID]:
    """The documents of a collection that pass the filters.

    Raises:
        InvalidFilter: the filters cannot be understood.
    """
    conditions = filter_conditions(filters, session.get_bind().dialect.name)
    rows = await session.scalars(
        select(DocumentRow.id).where(DocumentRow.collection_id == collection_id, *conditions)
    )
    return set(rows)


async def pending_chunks(
    session: AsyncSession, collection_id: UUID, space_id: UUID, limit: int
) -> list[PendingChunk]:
    """Some chunks that have no vector in this space yet, each content once."""
    before, after = aliased(ChunkRow), aliased(ChunkRow)
    rows = await session.execute(
        select(
            ChunkRow.content_hash,
            ChunkRow.context,
            ChunkRow.text,
            before.context,
            before.text,
            after.context,
            after.text,
        )
        .outerjoin(
            VectorRow,
            (VectorRow.collection_id == ChunkRow.collection_id)
            & (VectorRow.content_hash == ChunkRow.content_hash)
            & (VectorRow.space_id == space_id),
        )
        .outerjoin(
            before,
            (before.document_id == ChunkRow.document_id) & (before.ordinal == ChunkRow.ordinal - 1),
        )
        .outerjoin(
            after,
            (after.document_id == ChunkRow.document_id) & (after.ordinal == ChunkRow.ordinal + 1),
        )
        .where(ChunkRow.collection_id == collection_id, VectorRow.content_hash.is_(None))
        .limit(limit)
    )
    return list({bytes(row[0]): _pending(row) for row in rows}.values())


def _pending(row: Any) -> PendingChunk:
    content_hash, context, text, *beside = row
    pairs = [(beside[at], beside[at + 1]) for at in (0, 2)]
    neighbours = tuple(pair for pair in pairs if pair[1] is not None)
    return PendingChunk(bytes(content_hash), context, text, neighbours)


def _index_row(row: Any) -> IndexRow:
    chunk_id, document_id, ordinal, context, text, vector = row
    return IndexRow(chunk_id, document_id, ordinal, context, text, np.frombuffer(vector, "<f4"))
