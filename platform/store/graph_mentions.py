"""Mentions that are added to a graph between builds, of chunks that came since.

What always holds: a mention is added of an entity and a chunk that are both there, once; an
entity's `df` is counted anew where one is added.
"""

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.store.graph import GraphState, graph_state
from rostra.store.graph_parts import MOST_PARAMETERS, parts
from rostra.store.graph_reads import existing_chunks
from rostra.store.graph_tables import EntityRow, GraphRow, MentionRow
from rostra.store.tables import CollectionRow


async def hold_graph(session: AsyncSession, collection_id: UUID) -> GraphState | None:
    """Keeps builds and deletions off a graph until the transaction ends; None where there is none.

    Builds lock in the same order.
    """
    locked = select(CollectionRow.id).where(CollectionRow.id == collection_id).with_for_update()
    if await session.scalar(locked) is None:
        return None
    return await graph_state(session, collection_id)


async def add_mentions(
    session: AsyncSession, collection_id: UUID, mentions: Mapping[tuple[int, UUID], int]
) -> None:
    """Adds mentions to a graph that is held; of what is gone or there already none.

    Args:
        mentions: weight by entity and chunk.
    """
    chunks = await existing_chunks(session, collection_id, list({chunk for _, chunk in mentions}))
    entities = await _entities(session, collection_id, {entity for entity, _ in mentions})
    known = await _known(session, chunks)
    new = sorted(
        (entity, chunk)
        for entity, chunk in mentions.keys() - known
        if entity in entities and chunk in chunks
    )
    if not new:
        return
    await session.execute(
        insert(MentionRow),
        [
            {"entity_id": entity, "chunk_id": chunk, "weight": mentions[entity, chunk]}
            for entity, chunk in new
        ],
    )
    count = (
        select(func.count(MentionRow.chunk_id))
        .where(MentionRow.entity_id == EntityRow.id)
        .scalar_subquery()
    )
    for part in parts(sorted({entity for entity, _ in new}), MOST_PARAMETERS):
        await session.execute(
            update(EntityRow)
            .where(EntityRow.id.in_(part))
            .values(df=count)
            .execution_options(synchronize_session=False)
        )
    first = len({chunk for _, chunk in new} - {chunk for _, chunk in known})
    await session.execute(
        update(GraphRow)
        .where(GraphRow.collection_id == collection_id)
        .values(chunks=GraphRow.chunks + first)
        .execution_options(synchronize_session=False)
    )


async def _entities(
    session: AsyncSession, collection_id: UUID, entity_ids: Collection[int]
) -> set[int]:
    found: set[int] = set()
    for part in parts(sorted(entity_ids), MOST_PARAMETERS):
        found.update(
            await session.scalars(
                select(EntityRow.id).where(
                    EntityRow.id.in_(part), EntityRow.collection_id == collection_id
                )
            )
        )
    return found


async def _known(session: AsyncSession, chunk_ids: Collection[UUID]) -> set[tuple[int, UUID]]:
    found: set[tuple[int, UUID]] = set()
    for part in parts(sorted(chunk_ids), MOST_PARAMETERS):
        rows = await session.execute(
            select(MentionRow.entity_id, MentionRow.chunk_id).where(MentionRow.chunk_id.in_(part))
        )
        found.update((row[0], row[1]) for row in rows)
    return found
