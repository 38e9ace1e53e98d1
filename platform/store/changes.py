"""What changed in a collection since a generation: all that an index that follows it has to read.

What always holds: documents that were written since carry a greater generation; documents that were
deleted since are in the log of removals, as far back as `LOGGED` generations. An index that is
older than that compares all documents with its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, Select, String, cast, delete, insert, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.store.chunks import DocumentStamp
from rostra.store.filters import Filters, filter_conditions
from rostra.store.tables import DocumentRemovalRow, DocumentRow
from rostra.store.vectors import MOST_PARAMETERS

# Generations for which removals are kept.
LOGGED = 100_000

# Tables, not classes: a small statement is twice as quick without what objects need.
_documents = DocumentRow.metadata.tables[DocumentRow.__tablename__]
_removals = DocumentRemovalRow.metadata.tables[DocumentRemovalRow.__tablename__]

Ids = npt.NDArray[np.uint8]
Generations = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WrittenDocuments:
    """Documents and the generations that last wrote them, by generation, then by id.

    Attributes:
        ids: uint8 [documents, 16].
        generations: int64 [documents].
    """

    ids: Ids
    generations: Generations

    def __len__(self) -> int:
        return len(self.ids)


def packed_ids(ids: Sequence[UUID]) -> Ids:
    """uint8 [ids, 16]."""
    return np.frombuffer(b"".join(one.bytes for one in ids), np.uint8).reshape(-1, 16)


async def log_removal(
    session: AsyncSession, collection_id: UUID, generation: int, document_id: UUID
) -> None:
    """Notes that a generation deleted a document, and forgets what is too old."""
    await session.execute(
        insert(DocumentRemovalRow),
        {"collection_id": collection_id, "generation": generation, "document_id": document_id},
    )
    await session.execute(
        delete(DocumentRemovalRow)
        .where(
            DocumentRemovalRow.collection_id == collection_id,
            DocumentRemovalRow.generation <= generation - LOGGED,
        )
        .execution_options(synchronize_session=False)
    )


def removals_are_known(generation: int, since: int) -> bool:
    """Whether the log reaches back so far.

    Args:
        generation: the collection's now.
        since: the generation of who follows.
    """
    return since >= generation - LOGGED


async def written_documents(
    session: AsyncSession, collection_id: UUID, since: int = -1
) -> WrittenDocuments:
    """The documents that were written after a generation; all of them by default."""
    rows = await session.execute(
        select(spelled_id(_documents.c.id, session), _documents.c.generation)
        .where(_documents.c.collection_id == collection_id, _documents.c.generation > since)
        .order_by(_documents.c.generation, _documents.c.id)
    )
    found = rows.all()
    generations = np.fromiter((row[1] for row in found), np.int64, len(found))
    return WrittenDocuments(packed_spelled([row[0] for row in found]), generations)


async def removed_documents(session: AsyncSession, collection_id: UUID, since: int) -> Ids:
    """The documents that were deleted after a generation, uint8 [documents, 16].

    Whole only where `removals_are_known`.
    """
    found = await session.scalars(
        select(spelled_id(_removals.c.document_id, session)).where(
            _removals.c.collection_id == collection_id, _removals.c.generation > since
        )
    )
    return packed_spelled(list(found))


async def stamps_of(
    session: AsyncSession, collection_id: UUID, document_ids: Sequence[UUID]
) -> list[DocumentStamp]:
    """Some documents of a collection as they are now; those that are gone are left out."""
    found: list[DocumentStamp] = []
    for at in range(0, len(document_ids), MOST_PARAMETERS):
        rows = await session.execute(
            select(_documents.c.id, _documents.c.uri, _documents.c.generation).where(
                _documents.c.collection_id == collection_id,
                _documents.c.id.in_(document_ids[at : at + MOST_PARAMETERS]),
            )
        )
        found += [DocumentStamp(*row) for row in rows]
    return found


async def matching_ids(session: AsyncSession, collection_id: UUID, filters: Filters) -> Ids:
    """The documents of a collection that pass the filters, uint8 [documents, 16].

    Raises:
        InvalidFilter: the filters cannot be understood.
    """
    query = matching_query(collection_id, filters, session.get_bind().dialect.name)
    return packed_spelled(list(await session.scalars(query)))


def matching_query(collection_id: UUID, filters: Filters, dialect: str) -> Select[str]:
    """Reads the documents of a collection that pass the filters, for `packed_spelled`.

    Raises:
        InvalidFilter: the filters cannot be understood.
    """
    return select(_spelled(DocumentRow.id, dialect)).where(
        DocumentRow.collection_id == collection_id, *filter_conditions(filters, dialect)
    )


def spelled_id(column: Any, session: AsyncSession) -> ColumnElement[str]:
    """An id in hexadecimal: of a million ids, text is quicker read than objects are made."""
    return _spelled(column, session.get_bind().dialect.name)


def _spelled(column: Any, dialect: str) -> ColumnElement[str]:
    if dialect == "postgresql":
        return cast(column, String)
    return type_coerce(column, String)  # as SQLite keeps it


def packed_spelled(spelled: Sequence[str]) -> Ids:
    """Ids that were read by `spelled_id`, uint8 [ids, 16]."""
    octets = bytes.fromhex("".join(spelled).replace("-", ""))
    return np.frombuffer(octets, np.uint8).reshape(-1, 16)
