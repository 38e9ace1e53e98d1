"""Collections: made, listed, removed; and the generation that indexes follow."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, null, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.core import (
    CollectionExists,
    CollectionNotFound,
    EmbeddingSpace,
    InvalidRequest,
    SpaceMismatch,
)
from rostra.store.spaces import ensure_space, space_of
from rostra.store.tables import ChunkRow, CollectionRow, DocumentRow, SpaceRow, VectorRow, utc_now

DEFAULT_COLLECTION = "default"
_NAME = re.compile(r"[^\W_][\w.-]{0,127}")


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection as callers see it; counts are of its rows at the time of reading."""

    id: UUID
    name: str
    description: str
    space: EmbeddingSpace
    space_id: UUID
    generation: int
    created_at: datetime
    updated_at: datetime
    tuning: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CollectionSize:
    """How much a collection holds."""

    documents: int
    chunks: int


def check_name(name: str) -> str:
    """Returns a usable collection name.

    Raises:
        InvalidRequest: for anything but 1 to 128 letters, digits, `.`, `_`, `-`, the first of them
            a letter or a digit.
    """
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"{name[:128]!r} is no collection name",
            hint="Use 1 to 128 letters, digits, '.', '_' or '-', starting with a letter or digit.",
        )
    return name


async def create_collection(
    session: AsyncSession, name: str, space: EmbeddingSpace, description: str = ""
) -> Collection:
    """Makes an empty collection.

    Raises:
        CollectionExists: the name is taken.
        InvalidRequest: the name is malformed.
    """
    check_name(name)
    space_row = await ensure_space(session, space)
    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    # Inserted, not looked for first: another process may take the name at the same moment.
    row = await session.scalar(
        make(CollectionRow)
        .values(name=name, description=description, space_id=space_row.id)
        .on_conflict_do_nothing(index_elements=["name"])
        .returning(CollectionRow)
    )
    if row is None:
        raise CollectionExists(f"there is a collection {name!r} already")
    return _collection(row, space_row)


async def ensure_collection(session: AsyncSession, name: str, space: EmbeddingSpace) -> Collection:
    """The collection of this name, made when missing.

    Raises:
        SpaceMismatch: it exists with vectors of another space.
        InvalidRequest: the name is malformed.
    """
    try:
        found = await get_collection(session, name)
    except CollectionNotFound:
        try:
            return await create_collection(session, name, space)
        except CollectionExists:
            found = await get_collection(session, name)
    if found.space.fingerprint != space.fingerprint:
        raise SpaceMismatch(
            f"collection {name!r} has vectors of {found.space}, the settings ask for {space}",
            hint=f"Run `rostra embed apply --collection {name}` to embed it anew, "
            "or set the embedding model back.",
        )
    return found


async def get_collection(session: AsyncSession, name: str) -> Collection:
    """The collection of this name.

    Raises:
        CollectionNotFound: there is none.
    """
    query = collection_query().where(CollectionRow.name == possible_name(name))
    return found_collection(name, (await session.execute(query)).one_or_none())


def possible_name(name: str) -> str:
    """Returns a name that a collection may have.

    Raises:
        CollectionNotFound: none has such a name.
    """
    if not _NAME.fullmatch(name):
        raise CollectionNotFound(f"there is no collection {name[:128]!r}")
    return name


def collection_query() -> Select[*tuple[Any, ...]]:
    """Reads collections, as plain columns: objects of a session take several times as long."""
    return select(
        CollectionRow.id,
        CollectionRow.name,
        CollectionRow.description,
        CollectionRow.space_id,
        CollectionRow.generation,
        CollectionRow.created_at,
        CollectionRow.updated_at,
        CollectionRow.tuning,
        SpaceRow.model,
        SpaceRow.revision,
        SpaceRow.dimensions,
        SpaceRow.rotation,
        SpaceRow.query_prompt,
        SpaceRow.document_prompt,
    ).join(SpaceRow, SpaceRow.id == CollectionRow.space_id)


def found_collection(name: str, row: Sequence[Any] | None) -> Collection:
    """The collection that a row of `collection_query` is.

    Raises:
        CollectionNotFound: there is no row for this name.
    """
    if row is None:
        raise CollectionNotFound(
            f"there is no collection {name!r}",
            hint=f"Make it with `rostra ingest PATH --collection {name}`.",
        )
    collection_id, name, description, space_id, generation, created, updated, tuning, *space = row
    return Collection(
        id=collection_id,
        name=name,
        description=description,
        space=EmbeddingSpace(*space),
        space_id=space_id,
        generation=generation,
        created_at=created,
        updated_at=updated,
        tuning=tuning,
    )


async def list_collections(
    session: AsyncSession, limit: int = 100, offset: int = 0
) -> tuple[list[Collection], int]:
    """One page of collections by name, and how many there are in all."""
    total = await session.scalar(select(func.count()).select_from(CollectionRow))
    page = collection_query().order_by(CollectionRow.name).limit(limit).offset(offset)
    rows = (await session.execute(page)).all()
    return [found_collection(row[1], row) for row in rows], total or 0


async def collection_size(session: AsyncSession, collection_id: UUID) -> CollectionSize:
    """Counts a collection's documents and chunks."""
    documents = select(func.count()).where(DocumentRow.collection_id == collection_id)
    chunks = select(func.count()).where(ChunkRow.collection_id == collection_id)
    return CollectionSize(await session.scalar(documents) or 0, await session.scalar(chunks) or 0)


async def delete_collection(session: AsyncSession, name: str) -> UUID:
    """Removes a collection with everything in it; returns its id.

    Raises:
        CollectionNotFound: there is none.
    """
    collection = await get_collection(session, name)
    await session.execute(delete(CollectionRow).where(CollectionRow.id == collection.id))
    return collection.id


async def set_tuning(
    session: AsyncSession, collection_id: UUID, tuning: dict[str, Any] | None
) -> None:
    """Keeps how a collection's hits are ranked; None leaves that to the settings again.

    Raises:
        CollectionNotFound: the collection is gone.
    """
    found = await session.scalar(
        update(CollectionRow)
        .where(CollectionRow.id == collection_id)
        # Not `None` itself, which would be stored as JSON's null.
        .values(tuning=null() if tuning is None else tuning)
        .returning(CollectionRow.id)
    )
    if found is None:
        raise CollectionNotFound("the collection was deleted meanwhile")


async def next_generation(session: AsyncSession, collection_id: UUID) -> int:
    """Raises a collection's generation by one; the row stays locked until commit.

    Raises:
        CollectionNotFound: the collection is gone.
    """
    raised: int | None = await session.scalar(
        update(CollectionRow)
        .where(CollectionRow.id == collection_id)
        .values(generation=CollectionRow.generation + 1, updated_at=utc_now())
        .returning(CollectionRow.generation)
    )
    if raised is None:
        raise CollectionNotFound("the collection was deleted meanwhile")
    return raised


async def move_to_space(session: AsyncSession, collection_id: UUID, space: EmbeddingSpace) -> int:
    """Declares that a collection's vectors are of `space` from now on; drops the others.

    The caller has stored the vectors of every chunk in the new space within the same transaction
    or before. Returns the new generation.
    """
    row = await ensure_space(session, space)
    await session.execute(
        update(CollectionRow).where(CollectionRow.id == collection_id).values(space_id=row.id)
    )
    await session.execute(
        delete(VectorRow).where(
            VectorRow.collection_id == collection_id, VectorRow.space_id != row.id
        )
    )
    # Every document counts as rewritten, so that indexes take the new vectors.
    generation = await next_generation(session, collection_id)
    await session.execute(
        update(DocumentRow)
        .where(DocumentRow.collection_id == collection_id)
        .values(generation=generation)
    )
    return generation


def _collection(row: CollectionRow, space: SpaceRow) -> Collection:
    return Collection(
        id=row.id,
        name=row.name,
        description=row.description,
        space=space_of(space),
        space_id=space.id,
        generation=row.generation,
        created_at=row.created_at,
        updated_at=row.updated_at,
        tuning=row.tuning,
    )
