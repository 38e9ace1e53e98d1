"""Chunks that are near duplicates of each other, and the passages around chunks.

What always holds: chunks of one group are of one collection; a chunk is in at most one group; what
is linked is never removed. Keys are those of MinHash bands: chunks that may be alike share one. At
most 16 chunks are kept under a key, the oldest: one text that is there ten thousand times is
compared with these, and joins their group.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.store.tables import ChunkBandRow, ChunkRow, DocumentRow
from rostra.store.vectors import MOST_PARAMETERS

MOST_UNDER_A_KEY = 16
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class LinkedChunk:
    """A chunk to be compared with others; `group` is None for one that is linked to none."""

    id: UUID
    text: str
    group: UUID | None


@dataclass(frozen=True, slots=True)
class Parent:
    """The passage around a chunk; `text` is the document's `[start, end)`."""

    start: int
    end: int
    text: str


async def chunks_of_documents(
    session: AsyncSession, document_ids: Sequence[UUID]
) -> list[LinkedChunk]:
    """The chunks of some documents, in the order of the documents and of their text."""
    found: dict[UUID, list[LinkedChunk]] = {document_id: [] for document_id in document_ids}
    for part in _parts(list(found)):
        rows = await session.execute(
            select(ChunkRow.document_id, ChunkRow.id, ChunkRow.text, ChunkRow.twins)
            .where(ChunkRow.document_id.in_(part))
            .order_by(ChunkRow.document_id, ChunkRow.ordinal)
        )
        for document_id, chunk_id, text, group in rows:
            found[document_id].append(LinkedChunk(chunk_id, text, group))
    return [chunk for chunks in found.values() for chunk in chunks]


async def chunks_under_keys(
    session: AsyncSession, collection_id: UUID, keys: Iterable[int]
) -> dict[int, list[UUID]]:
    """The chunks kept under some keys in a collection, the oldest first."""
    found: dict[int, list[UUID]] = {}
    for part in _parts(sorted(set(keys))):
        rows = await session.execute(
            select(ChunkBandRow.key, ChunkBandRow.chunk_id)
            .where(ChunkBandRow.collection_id == collection_id, ChunkBandRow.key.in_(part))
            .order_by(ChunkBandRow.chunk_id)
        )
        for key, chunk_id in rows:
            found.setdefault(key, []).append(chunk_id)
    return found


async def chunks_by_id(
    session: AsyncSession, chunk_ids: Collection[UUID]
) -> dict[UUID, LinkedChunk]:
    """Chunks to compare with; those that are gone are left out."""
    found: dict[UUID, LinkedChunk] = {}
    for part in _parts(list(chunk_ids)):
        rows = await session.execute(
            select(ChunkRow.id, ChunkRow.text, ChunkRow.twins).where(ChunkRow.id.in_(part))
        )
        found.update({row[0]: LinkedChunk(*row) for row in rows})
    return found


async def put_keys(
    session: AsyncSession, collection_id: UUID, keys: Sequence[tuple[int, UUID]]
) -> None:
    """Keeps chunks under keys; the caller sees to it that they are not too many."""
    if keys:
        await session.execute(
            insert(ChunkBandRow),
            [
                {"collection_id": collection_id, "key": key, "chunk_id": chunk_id}
                for key, chunk_id in keys
            ],
        )


async def join_groups(
    session: AsyncSession, collection_id: UUID, joined: Mapping[UUID, UUID]
) -> None:
    """Makes groups one.

    Args:
        joined: the group that each goes into, by the old one.
    """
    for old, new in sorted(joined.items()):
        await session.execute(
            update(ChunkRow)
            .where(ChunkRow.collection_id == collection_id, ChunkRow.twins == old)
            .values(twins=new)
            .execution_options(synchronize_session=False)
        )


async def put_groups(session: AsyncSession, groups: Mapping[UUID, UUID]) -> None:
    """Says which group each of these chunks is in."""
    by_group: dict[UUID, list[UUID]] = {}
    for chunk_id, group in groups.items():
        by_group.setdefault(group, []).append(chunk_id)
    for group, chunk_ids in sorted(by_group.items()):
        for part in _parts(sorted(chunk_ids)):
            await session.execute(
                update(ChunkRow)
                .where(ChunkRow.id.in_(part))
                .values(twins=group)
                .execution_options(synchronize_session=False)
            )


async def twin_groups(session: AsyncSession, chunk_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """The group of near duplicates that each chunk is in; one in none is left out."""
    found: dict[UUID, UUID] = {}
    for part in _parts(list(chunk_ids)):
        rows = await session.execute(
            select(ChunkRow.id, ChunkRow.twins).where(
                ChunkRow.id.in_(part), ChunkRow.twins.is_not(None)
            )
        )
        found.update({row[0]: row[1] for row in rows if row[1] is not None})
    return found


async def chunk_parents(session: AsyncSession, chunk_ids: Collection[UUID]) -> dict[UUID, Parent]:
    """The passages around some chunks; a chunk without one is left out."""
    found: dict[UUID, Parent] = {}
    start, end = ChunkRow.parent_start, ChunkRow.parent_end
    for part in _parts(list(chunk_ids)):
        rows = await session.execute(
            select(ChunkRow.id, start, end, func.substr(DocumentRow.text, start + 1, end - start))
            .join(DocumentRow, DocumentRow.id == ChunkRow.document_id)
            .where(ChunkRow.id.in_(part), start.is_not(None), end.is_not(None))
        )
        found.update({row[0]: Parent(row[1], row[2], row[3]) for row in rows})
    return found


def _parts(values: Sequence[_T]) -> list[Sequence[_T]]:
    return [values[at : at + MOST_PARAMETERS] for at in range(0, len(values), MOST_PARAMETERS)]
