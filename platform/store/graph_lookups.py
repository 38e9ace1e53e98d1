"""What a search looks up in the graph of a collection, and how it is shown.

What always holds: every look-up takes a limit and keeps what tells most: the rarest entities, the
closest relations. Equal rows give equal answers on both engines.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.store.graph import Community, Entity, Graph, GraphPassage
from rostra.store.graph_parts import MOST_PARAMETERS, parts
from rostra.store.graph_tables import (
    CommunityRow,
    EntityRow,
    MemberRow,
    MentionRow,
    PassageRow,
    RelationRow,
)
from rostra.store.tables import ChunkRow


@dataclass(frozen=True, slots=True)
class CommunityText:
    """A community as it is told: its best-known members and its summary."""

    id: int
    level: int
    size: int
    names: tuple[str, ...]
    summary: str


async def entities_by_key(
    session: AsyncSession, collection_id: UUID, keys: Collection[str], limit: int
) -> list[Entity]:
    """Entities of these keys, the rarest first."""
    found: list[Entity] = []
    for part in parts(sorted(set(keys)), MOST_PARAMETERS):
        rows = await session.execute(
            _entity_columns().where(
                EntityRow.collection_id == collection_id, EntityRow.key.in_(part)
            )
        )
        found += [_entity(row) for row in rows]
    return sorted(found, key=lambda one: (one.df, one.key))[:limit]


async def entities_by_id(session: AsyncSession, entity_ids: Collection[int]) -> dict[int, Entity]:
    """Entities by id; those that are gone are left out."""
    found: dict[int, Entity] = {}
    for part in parts(sorted(set(entity_ids)), MOST_PARAMETERS):
        rows = await session.execute(_entity_columns().where(EntityRow.id.in_(part)))
        found.update({row[0]: _entity(row) for row in rows})
    return found


async def best_entities(session: AsyncSession, collection_id: UUID, limit: int) -> list[Entity]:
    """The entities that most chunks mention."""
    rows = await session.execute(
        _entity_columns()
        .where(EntityRow.collection_id == collection_id)
        .order_by(EntityRow.df.desc(), EntityRow.id)
        .limit(limit)
    )
    return [_entity(row) for row in rows]


async def mentions_in(
    session: AsyncSession, collection_id: UUID, chunk_ids: Collection[UUID], limit: int
) -> list[tuple[int, UUID, int, int]]:
    """(entity, chunk, weight, df) of what these chunks mention, the rarest entities first."""
    found: list[tuple[int, UUID, int, int]] = []
    for part in parts(sorted(chunk_ids), MOST_PARAMETERS):
        rows = await session.execute(
            select(MentionRow.entity_id, MentionRow.chunk_id, MentionRow.weight, EntityRow.df)
            .join(EntityRow, EntityRow.id == MentionRow.entity_id)
            .where(MentionRow.chunk_id.in_(part), EntityRow.collection_id == collection_id)
            .order_by(EntityRow.df, MentionRow.entity_id, MentionRow.chunk_id)
            .limit(limit)
        )
        found += [(row[0], row[1], row[2], row[3]) for row in rows]
    found.sort(key=lambda row: (row[3], row[0], row[1]))
    return found[:limit]


async def relations_from(
    session: AsyncSession, entity_ids: Collection[int], limit: int
) -> list[tuple[int, int, int]]:
    """(entity, other, weight): what these entities are closest to, the closest first."""
    found: list[tuple[int, int, int]] = []
    for part in parts(sorted(entity_ids), MOST_PARAMETERS):
        rows = await session.execute(
            select(RelationRow.source_id, RelationRow.target_id, RelationRow.weight)
            .where(RelationRow.source_id.in_(part))
            .order_by(RelationRow.weight.desc(), RelationRow.source_id, RelationRow.target_id)
            .limit(limit)
        )
        found += [(row[0], row[1], row[2]) for row in rows]
    found.sort(key=lambda row: (-row[2], row[0], row[1]))
    return found[:limit]


async def mentions_of(
    session: AsyncSession, entity_ids: Collection[int], limit: int
) -> list[tuple[int, UUID, int, int]]:
    """(entity, chunk, weight, df) of where these entities are mentioned, the rarest first."""
    found: list[tuple[int, UUID, int, int]] = []
    for part in parts(sorted(entity_ids), MOST_PARAMETERS):
        rows = await session.execute(
            select(MentionRow.entity_id, MentionRow.chunk_id, MentionRow.weight, EntityRow.df)
            .join(EntityRow, EntityRow.id == MentionRow.entity_id)
            .where(MentionRow.entity_id.in_(part))
            .order_by(EntityRow.df, MentionRow.entity_id, MentionRow.chunk_id)
            .limit(limit)
        )
        found += [(row[0], row[1], row[2], row[3]) for row in rows]
    found.sort(key=lambda row: (row[3], row[0], row[1]))
    return found[:limit]


async def community_texts(
    session: AsyncSession, collection_id: UUID, *, most: int, names: int = 8
) -> list[CommunityText]:
    """The largest communities as they are told.

    Args:
        most: communities.
        names: members named of each, those that most chunks mention.
    """
    size = func.count(MemberRow.entity_id)
    rows = await session.execute(
        select(CommunityRow.id, CommunityRow.level, CommunityRow.summary, size)
        .join(MemberRow, MemberRow.community_id == CommunityRow.id)
        .where(CommunityRow.collection_id == collection_id)
        .group_by(CommunityRow.id, CommunityRow.level, CommunityRow.summary)
        .order_by(size.desc(), CommunityRow.id)
        .limit(most)
    )
    found = [(row[0], row[1], row[2], row[3]) for row in rows]
    ids = [row[0] for row in found]
    known: dict[int, list[str]] = {id_: [] for id_ in ids}
    told: dict[int, list[str]] = {id_: [] for id_ in ids}
    for part in parts(ids, MOST_PARAMETERS):
        place = func.row_number().over(
            partition_by=MemberRow.community_id, order_by=(EntityRow.df.desc(), EntityRow.id)
        )
        ranked = (
            select(MemberRow.community_id, EntityRow.name, place.label("place"))
            .join(EntityRow, EntityRow.id == MemberRow.entity_id)
            .where(MemberRow.community_id.in_(part))
            .subquery()
        )
        for community, name in await session.execute(
            select(ranked.c.community_id, ranked.c.name)
            .where(ranked.c.place <= names)
            .order_by(ranked.c.community_id, ranked.c.place)
        ):
            known[community].append(name)
        for community, sentence in await session.execute(
            select(
                PassageRow.community_id,
                func.substr(ChunkRow.text, PassageRow.start + 1, PassageRow.end - PassageRow.start),
            )
            .join(ChunkRow, ChunkRow.id == PassageRow.chunk_id)
            .where(PassageRow.community_id.in_(part))
            .order_by(PassageRow.community_id, PassageRow.place)
        ):
            told[community].append(sentence)
    return [
        CommunityText(
            id_,
            level,
            count,
            tuple(known[id_]),
            summary or " ".join(" ".join(sentence.split()) for sentence in told[id_] if sentence),
        )
        for id_, level, summary, count in found
    ]


async def passages_of(
    session: AsyncSession, community_ids: Collection[int]
) -> dict[int, list[UUID]]:
    """The chunks that tell most of some communities, best first."""
    found: dict[int, list[UUID]] = {id_: [] for id_ in community_ids}
    for part in parts(sorted(community_ids), MOST_PARAMETERS):
        for community, chunk in await session.execute(
            select(PassageRow.community_id, PassageRow.chunk_id)
            .where(PassageRow.community_id.in_(part))
            .order_by(PassageRow.community_id, PassageRow.place)
        ):
            found[community].append(chunk)
    return found


async def stored_graph(session: AsyncSession, collection_id: UUID) -> Graph:
    """A whole graph as it is stored; for tests and exports, not for searches."""
    entities = await session.execute(
        _entity_columns().where(EntityRow.collection_id == collection_id).order_by(EntityRow.key)
    )
    own = select(EntityRow.id).where(EntityRow.collection_id == collection_id)
    of_communities = select(CommunityRow.id).where(CommunityRow.collection_id == collection_id)
    mentions = await session.execute(
        select(MentionRow.entity_id, MentionRow.chunk_id, MentionRow.weight).where(
            MentionRow.entity_id.in_(own)
        )
    )
    relations = await session.execute(
        select(RelationRow.source_id, RelationRow.target_id, RelationRow.weight).where(
            RelationRow.source_id.in_(own)
        )
    )
    members: dict[int, list[int]] = {}
    for community, entity in await session.execute(
        select(MemberRow.community_id, MemberRow.entity_id)
        .where(MemberRow.community_id.in_(of_communities))
        .order_by(MemberRow.entity_id)
    ):
        members.setdefault(community, []).append(entity)
    passages: dict[int, list[GraphPassage]] = {}
    for row in await session.execute(
        select(PassageRow.community_id, PassageRow.chunk_id, PassageRow.start, PassageRow.end)
        .where(PassageRow.community_id.in_(of_communities))
        .order_by(PassageRow.place)
    ):
        passages.setdefault(row[0], []).append(GraphPassage(row[1], row[2], row[3]))
    communities = await session.execute(
        select(CommunityRow.id, CommunityRow.level, CommunityRow.summary)
        .where(CommunityRow.collection_id == collection_id)
        .order_by(CommunityRow.level, CommunityRow.id)
    )
    return Graph(
        [_entity(row) for row in entities],
        {(row[0], row[1]): row[2] for row in mentions},
        {(row[0], row[1]): row[2] for row in relations},
        [
            Community(
                id_, level, tuple(members.get(id_, ())), tuple(passages.get(id_, ())), summary
            )
            for id_, level, summary in communities
        ],
    )


def _entity_columns() -> Any:
    return select(EntityRow.id, EntityRow.key, EntityRow.name, EntityRow.kind, EntityRow.df)


def _entity(row: Any) -> Entity:
    id_, key, name, kind, df = row
    return Entity(id_, key, name, kind, df)
