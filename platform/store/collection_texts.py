"""The texts of a collection's chunks, without what else is known of them."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.store.tables import ChunkRow


async def collection_texts(session: AsyncSession, collection_id: UUID) -> list[tuple[str, str]]:
    """(context, text) of each chunk, each pair once, in no particular order."""
    rows = await session.execute(
        select(ChunkRow.context, ChunkRow.text)
        .where(ChunkRow.collection_id == collection_id)
        .distinct()
    )
    return [(context, text) for context, text in rows]
