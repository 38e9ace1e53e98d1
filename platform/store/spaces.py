"""Embedding spaces as stored."""

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.core import EmbeddingSpace
from rostra.store.tables import SpaceRow


async def ensure_space(session: AsyncSession, space: EmbeddingSpace) -> SpaceRow:
    """The row of this space, made when missing."""
    query = select(SpaceRow).where(SpaceRow.fingerprint == space.fingerprint)
    if (found := await session.scalar(query)) is not None:
        return found
    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    # Another process may make the same row at the same moment.
    await session.execute(
        make(SpaceRow).on_conflict_do_nothing(),
        {
            "fingerprint": space.fingerprint,
            "model": space.model,
            "revision": space.revision,
            "dimensions": space.dimensions,
            "rotation": space.rotation,
            "query_prompt": space.query_prompt,
            "document_prompt": space.document_prompt,
        },
    )
    return (await session.scalars(query)).one()


def space_of(row: SpaceRow) -> EmbeddingSpace:
    """The space a row describes."""
    return EmbeddingSpace(
        model=row.model,
        revision=row.revision,
        dimensions=row.dimensions,
        rotation=row.rotation,
        query_prompt=row.query_prompt,
        document_prompt=row.document_prompt,
    )
