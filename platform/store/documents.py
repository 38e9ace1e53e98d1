"""Documents and their chunks: written whole, read by page or by slice.

What always holds: `put_document` and `delete_document` change a document, its chunks and the
collection's generation together; a reader sees the old document or the new one, never a mixture.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.core import DocumentNotFound, new_id, normalize_text
from rostra.store.changes import log_removal
from rostra.store.collections import next_generation
from rostra.store.graph import drop_told_summaries, drop_unmentioned, entities_mentioned
from rostra.store.inserting import insert_rows
from rostra.store.tables import ChunkRow, CollectionRow, DocumentRow, utc_now
from rostra.store.vectors import MOST_PARAMETERS, release_vectors

_DOCUMENT_COLUMNS = (
    "id", "collection_id", "uri", "title", "media_type", "sha256", "recipe", "bytes", "length",
    "text", "spans", "metadata", "generation", "created_at", "updated_at",
)  # fmt: skip
_CHUNK_COLUMNS = (
    "id", "document_id", "collection_id", "ordinal", "start", "end", "page", "context", "text",
    "content_hash", "parent_start", "parent_end",
)  # fmt: skip
# No stored text is longer; PostgreSQL's substr takes no greater number.
_LONGEST = 2**31 - 2


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A chunk to be stored; see `ChunkRow`."""

    start: int
    end: int
    page: int | None
    context: str
    content_hash: bytes
    parent: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document to be stored, with all its chunks in order."""

    uri: str
    title: str
    media_type: str
    sha256: str
    recipe: str
    bytes: int
    text: str
    spans: list[dict[str, Any]]
    chunks: Sequence[NewChunk]
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """A stored document without its text."""

    id: UUID
    collection: str
    uri: str
    title: str
    media_type: str
    bytes: int
    length: int
    metadata: dict[str, Any]
    chunks: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class DocumentVersion:
    """Which source bytes and which settings a stored document was made from."""

    id: UUID
    sha256: str
    recipe: str


async def put_document(session: AsyncSession, collection_id: UUID, document: NewDocument) -> UUID:
    """Stores a document in place of any other of the same uri, keeping that one's id.

    The vectors that `document.chunks` name are stored by the caller in the same transaction, before
    or after; those of the chunks replaced go when nothing names them any more.

    Raises:
        CollectionNotFound: the collection is gone.
    """
    generation = await next_generation(session, collection_id)
    known = await session.scalar(
        select(DocumentRow.id).where(
            DocumentRow.collection_id == collection_id, DocumentRow.uri == document.uri
        )
    )
    if known is None:
        [added] = await _add_documents(session, collection_id, [document], generation)
        return added
    replaced = await _delete_chunks(session, known)
    await session.execute(
        update(DocumentRow)
        .where(DocumentRow.id == known)
        .values(
            title=document.title,
            media_type=document.media_type,
            sha256=document.sha256,
            recipe=document.recipe,
            bytes=document.bytes,
            length=len(document.text),
            text=document.text,
            spans=document.spans,
            meta=document.metadata,
            generation=generation,
            updated_at=utc_now(),
        )
        .execution_options(synchronize_session=False)
    )
    await _insert_chunks(session, collection_id, [(known, document)])
    await release_vectors(session, collection_id, replaced)
    return known


async def put_documents(
    session: AsyncSession, collection_id: UUID, documents: Sequence[NewDocument]
) -> list[UUID]:
    """Stores documents in order, as `put_document` does; those of new uris all at once.

    Several times as quick where many are new. New ones have one generation.

    Raises:
        CollectionNotFound: the collection is gone.
    """
    if not documents:
        return []
    # First, as it makes other writers of the collection wait.
    generation = await next_generation(session, collection_id)
    uris = list(dict.fromkeys(document.uri for document in documents))
    known: set[str] = set()
    for at in range(0, len(uris), MOST_PARAMETERS):
        known.update(
            await session.scalars(
                select(DocumentRow.uri).where(
                    DocumentRow.collection_id == collection_id,
                    DocumentRow.uri.in_(uris[at : at + MOST_PARAMETERS]),
                )
            )
        )
    fresh: dict[str, int] = {}
    for place, document in enumerate(documents):
        if document.uri not in known:
            fresh.setdefault(document.uri, place)
    added = await _add_documents(
        session, collection_id, [documents[place] for place in fresh.values()], generation
    )
    ids = dict(zip(fresh.values(), added, strict=True))
    return [
        ids[place] if place in ids else await put_document(session, collection_id, document)
        for place, document in enumerate(documents)
    ]


async def _add_documents(
    session: AsyncSession, collection_id: UUID, documents: Sequence[NewDocument], generation: int
) -> list[UUID]:
    """Stores documents of new uris, each once."""
    now = utc_now()
    added = [new_id() for _ in documents]
    await insert_rows(
        session,
        DocumentRow.metadata.tables[DocumentRow.__tablename__],
        _DOCUMENT_COLUMNS,
        [
            (
                document_id,
                collection_id,
                document.uri,
                document.title,
                document.media_type,
                document.sha256,
                document.recipe,
                document.bytes,
                len(document.text),
                document.text,
                document.spans,
                document.metadata,
                generation,
                now,
                now,
            )
            for document, document_id in zip(documents, added, strict=True)
        ],
    )
    await _insert_chunks(session, collection_id, list(zip(added, documents, strict=True)))
    return added


async def delete_document(session: AsyncSession, document_id: UUID) -> None:
    """Removes a document, its chunks, and the vectors nothing else shares.

    Raises:
        DocumentNotFound: there is none of this id.
    """
    collection_id = await session.scalar(
        select(DocumentRow.collection_id).where(DocumentRow.id == document_id)
    )
    if collection_id is None:
        raise _missing(document_id)
    generation = await next_generation(session, collection_id)
    released = await _delete_chunks(session, document_id)
    gone = await session.scalar(
        delete(DocumentRow).where(DocumentRow.id == document_id).returning(DocumentRow.id)
    )
    if gone is None:  # by another writer, while this one waited
        raise _missing(document_id)
    await log_removal(session, collection_id, generation, document_id)
    await release_vectors(session, collection_id, released)


async def get_document(session: AsyncSession, document_id: UUID) -> Document:
    """A document by id.

    Raises:
        DocumentNotFound: there is none.
    """
    found = (
        await session.execute(
            select(DocumentRow, CollectionRow.name, _chunk_count())
            .join(CollectionRow, CollectionRow.id == DocumentRow.collection_id)
            .where(DocumentRow.id == document_id)
        )
    ).one_or_none()
    if found is None:
        raise _missing(document_id)
    return _document(*found)


async def get_spans(session: AsyncSession, document_id: UUID) -> list[dict[str, Any]]:
    """A document's pages, headings and tables as stored.

    Raises:
        DocumentNotFound: there is none of this id.
    """
    found: list[dict[str, Any]] | None = await session.scalar(
        select(DocumentRow.spans).where(DocumentRow.id == document_id)
    )
    if found is None:
        raise _missing(document_id)
    return found


async def page_starts(
    session: AsyncSession, document_ids: Collection[UUID]
) -> dict[UUID, list[tuple[int, int]]]:
    """Where the pages of some documents begin: (first code point, number), in order.

    A document without pages has none; one that is gone is left out.
    """
    rows = await session.execute(
        select(DocumentRow.id, DocumentRow.spans).where(DocumentRow.id.in_(document_ids))
    )
    return {
        document_id: [(span["start"], span["level"]) for span in spans if span["kind"] == "page"]
        for document_id, spans in rows
    }


async def get_text(
    session: AsyncSession, document_id: UUID, start: int = 0, end: int | None = None
) -> str:
    """The code points `[start, end)` of a document's text; Python's slice, cut in the database.

    Args:
        document_id: whose text.
        start: first code point, from 0.
        end: one past the last; None for all.

    Raises:
        DocumentNotFound: there is none of this id.
    """
    column = DocumentRow.text
    found: str | None
    if start or end is not None:
        first = min(start, _LONGEST)
        past = _LONGEST if end is None else min(end, _LONGEST)
        found = await session.scalar(
            select(func.substr(column, first + 1, max(0, past - first))).where(
                DocumentRow.id == document_id
            )
        )
    else:
        found = await session.scalar(select(column).where(DocumentRow.id == document_id))
    if found is None:
        raise _missing(document_id)
    return found


async def list_documents(
    session: AsyncSession,
    collection_id: UUID,
    *,
    limit: int = 50,
    offset: int = 0,
    contains: str = "",
) -> tuple[list[Document], int]:
    """One page of a collection's documents by uri, and how many there are in all.

    Args:
        session: a reading session.
        collection_id: whose documents.
        limit: most documents of the page.
        offset: documents to skip.
        contains: keep those whose uri or title contains this, whatever its case.
    """
    conditions = [DocumentRow.collection_id == collection_id]
    if contains:
        part = normalize_text(contains)
        conditions.append(
            DocumentRow.uri.icontains(part, autoescape=True)
            | DocumentRow.title.icontains(part, autoescape=True)
        )
    total = await session.scalar(select(func.count()).select_from(DocumentRow).where(*conditions))
    rows = await session.execute(
        select(DocumentRow, CollectionRow.name, _chunk_count())
        .join(CollectionRow, CollectionRow.id == DocumentRow.collection_id)
        .where(*conditions)
        .order_by(DocumentRow.uri)
        .limit(limit)
        .offset(offset)
    )
    return [_document(*row) for row in rows], total or 0


async def document_versions(
    session: AsyncSession, collection_id: UUID
) -> dict[str, DocumentVersion]:
    """What each uri of a collection was last read as; for skipping unchanged files."""
    rows = await session.execute(
        select(DocumentRow.uri, DocumentRow.id, DocumentRow.sha256, DocumentRow.recipe).where(
            DocumentRow.collection_id == collection_id
        )
    )
    return {uri: DocumentVersion(id_, sha256, recipe) for uri, id_, sha256, recipe in rows}


async def _delete_chunks(session: AsyncSession, document_id: UUID) -> list[bytes]:
    """Removes a document's chunks; returns the contents they named."""
    mentioned = await entities_mentioned(session, document_id)
    if mentioned:
        await drop_told_summaries(session, document_id)
    hashes = await session.scalars(
        delete(ChunkRow)
        .where(ChunkRow.document_id == document_id)
        .returning(ChunkRow.content_hash)
        .execution_options(synchronize_session=False)
    )
    released = [bytes(content_hash) for content_hash in hashes]
    await drop_unmentioned(session, mentioned)
    return released


async def _insert_chunks(
    session: AsyncSession, collection_id: UUID, documents: Sequence[tuple[UUID, NewDocument]]
) -> None:
    await insert_rows(
        session,
        ChunkRow.metadata.tables[ChunkRow.__tablename__],
        _CHUNK_COLUMNS,
        [
            (
                new_id(),
                document_id,
                collection_id,
                ordinal,
                chunk.start,
                chunk.end,
                chunk.page,
                chunk.context,
                document.text[chunk.start : chunk.end],
                chunk.content_hash,
                *(chunk.parent or (None, None)),
            )
            for document_id, document in documents
            for ordinal, chunk in enumerate(document.chunks)
        ],
    )


def _chunk_count() -> Any:
    return (
        select(func.count(literal(1)))
        .where(ChunkRow.document_id == DocumentRow.id)
        .correlate(DocumentRow)
        .scalar_subquery()
    )


def _document(row: DocumentRow, collection: str, chunks: int) -> Document:
    return Document(
        id=row.id,
        collection=collection,
        uri=row.uri,
        title=row.title,
        media_type=row.media_type,
        bytes=row.bytes,
        length=row.length,
        metadata=row.meta,
        chunks=chunks,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _missing(document_id: UUID) -> DocumentNotFound:
    return DocumentNotFound(f"there is no document {document_id}")
