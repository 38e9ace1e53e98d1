"""The graph of a collection: entities, where they are mentioned, what is close to what.

It follows from all that was read from the chunks (see `rostra.store.graph_reads`), and only rows
that differ are written.

What always holds: every mention is of a chunk that exists; an entity without a mention goes with
the document that mentioned it last; what was deleted while a graph was made is not in it.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Table,
    bindparam,
    delete,
    exists,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.core import CollectionNotFound
from rostra.store.graph_parts import MOST_PARAMETERS, parts
from rostra.store.graph_reads import existing_chunks
from rostra.store.graph_tables import (
    CommunityRow,
    EntityRow,
    GraphReadRow,
    GraphRow,
    MemberRow,
    MentionRow,
    PassageRow,
    RelationRow,
)
from rostra.store.tables import ChunkRow, CollectionRow, utc_now

_ROWS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class GraphState:
    """How large a graph is, and which state of the collection it was built from."""

    recipe: str
    generation: int
    chunks: int
    entities: int
    relations: int
    communities: int
    built_at: datetime


@dataclass(frozen=True, slots=True)
class Entity:
    """A thing that chunks speak of; `df` is the number of chunks that mention it."""

    id: int
    key: str
    name: str
    kind: str
    df: int


@dataclass(frozen=True, slots=True)
class GraphPassage:
    """A chunk that tells of a community; `[start, end)` of its text is a sentence."""

    chunk_id: UUID
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Community:
    """Entities that are close to each other, and the chunks that tell most of them, best first."""

    id: int
    level: int
    members: tuple[int, ...]
    passages: tuple[GraphPassage, ...]
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """A whole graph.

    Attributes:
        mentions: weight by entity and chunk.
        relations: weight by entity and the one that it is close to.
    """

    entities: Sequence[Entity] = ()
    mentions: Mapping[tuple[int, UUID], int] = field(default_factory=dict)
    relations: Mapping[tuple[int, int], int] = field(default_factory=dict)
    communities: Sequence[Community] = ()


def entity_id(collection_id: UUID, key: str) -> int:
    """The id of an entity: a digest, so that it is the same whenever it is found again."""
    return _digest(collection_id.bytes, key.encode())


def community_id(collection_id: UUID, level: int, members: Iterable[int]) -> int:
    """The id of a community: a digest of its members."""
    packed = b"".join(member.to_bytes(8, "big") for member in sorted(members))
    return _digest(collection_id.bytes, level.to_bytes(2, "big"), packed)


def _digest(*parts: bytes) -> int:
    hashed = hashlib.blake2b(digest_size=8)
    for part in parts:
        hashed.update(len(part).to_bytes(8, "big") + part)
    return int.from_bytes(hashed.digest(), "big") >> 1  # databases have signed integers


async def put_graph(
    session: AsyncSession, collection_id: UUID, graph: Graph, *, recipe: str, generation: int
) -> GraphState:
    """Puts a graph in the place of the collection's; rows that stay the same are not written.

    What was deleted while it was made is left out.

    Args:
        graph: its ids are those of `entity_id` and `community_id`.
        recipe: by which the chunks were read.
        generation: of the collection when they were.

    Raises:
        CollectionNotFound: the collection is gone.
    """
    # Builds take turns, and wait for whoever deletes documents; they lock in the same order.
    locked = select(CollectionRow.id).where(CollectionRow.id == collection_id).with_for_update()
    if await session.scalar(locked) is None:
        raise CollectionNotFound("the collection was deleted while its graph was built")
    wanted = {chunk for _, chunk in graph.mentions}
    wanted |= {passage.chunk_id for one in graph.communities for passage in one.passages}
    there = await existing_chunks(session, collection_id, list(wanted))
    mentions = {key: weight for key, weight in graph.mentions.items() if key[1] in there}
    known = {entity for entity, _ in mentions}
    entities = {one.id: one for one in graph.entities if one.id in known}
    mentions = {key: weight for key, weight in mentions.items() if key[0] in entities}
    relations = {
        key: weight
        for key, weight in graph.relations.items()
        if key[0] in entities and key[1] in entities
    }
    communities = {
        one.id: one
        for one in graph.communities
        if all(member in entities for member in one.members)
        and all(passage.chunk_id in there for passage in one.passages)
    }
    # From the leaves up for what goes, and from the root down for what comes.
    await _differ(
        session,
        CommunityRow,
        ("id",),
        _of(CommunityRow.collection_id == collection_id, CommunityRow),
        {
            (one.id,): {"collection_id": collection_id, "level": one.level, "summary": one.summary}
            for one in communities.values()
        },
    )
    await _differ(
        session,
        EntityRow,
        ("id",),
        _of(EntityRow.collection_id == collection_id, EntityRow),
        {
            (one.id,): {
                "collection_id": collection_id,
                "key": one.key,
                "name": one.name,
                "kind": one.kind,
                "df": one.df,
            }
            for one in entities.values()
        },
    )
    own = select(EntityRow.id).where(EntityRow.collection_id == collection_id)
    of_communities = select(CommunityRow.id).where(CommunityRow.collection_id == collection_id)
    await _differ(
        session,
        MentionRow,
        ("entity_id", "chunk_id"),
        _of(MentionRow.entity_id.in_(own), MentionRow),
        {key: {"weight": weight} for key, weight in mentions.items()},
    )
    await _differ(
        session,
        RelationRow,
        ("source_id", "target_id"),
        _of(RelationRow.source_id.in_(own), RelationRow),
        {key: {"weight": weight} for key, weight in relations.items()},
    )
    await _differ(
        session,
        MemberRow,
        ("community_id", "entity_id"),
        _of(MemberRow.community_id.in_(of_communities), MemberRow),
        {(one.id, member): {} for one in communities.values() for member in one.members},
    )
    await _differ(
        session,
        PassageRow,
        ("community_id", "chunk_id"),
        _of(PassageRow.community_id.in_(of_communities), PassageRow),
        {
            (one.id, passage.chunk_id): {"place": at, "start": passage.start, "end": passage.end}
            for one in communities.values()
            for at, passage in enumerate(one.passages)
        },
    )
    state = GraphState(
        recipe,
        generation,
        len({chunk for _, chunk in mentions}),
        len(entities),
        len(relations),
        len(communities),
        utc_now(),
    )
    await session.execute(delete(GraphRow).where(GraphRow.collection_id == collection_id))
    values = {name: getattr(state, name) for name in GraphState.__slots__}
    await session.execute(insert(GraphRow).values(collection_id=collection_id, **values))
    return state


async def drop_graph(session: AsyncSession, collection_id: UUID) -> bool:
    """Removes a collection's graph and all that was read for it; whether there was any."""
    there = await graph_state(session, collection_id) is not None
    for row in (GraphRow, GraphReadRow, CommunityRow, EntityRow):
        await session.execute(delete(row).where(row.collection_id == collection_id))
    return there


async def entities_mentioned(session: AsyncSession, document_id: UUID) -> list[int]:
    """The entities that a document mentions: those to look after once it is gone."""
    rows = await session.scalars(
        select(MentionRow.entity_id)
        .distinct()
        .join(ChunkRow, ChunkRow.id == MentionRow.chunk_id)
        .where(ChunkRow.document_id == document_id)
    )
    return sorted(rows)


async def drop_told_summaries(session: AsyncSession, document_id: UUID) -> None:
    """Removes the communities whose summary a model wrote from this document, among others."""
    told = (
        select(PassageRow.community_id)
        .join(ChunkRow, ChunkRow.id == PassageRow.chunk_id)
        .where(ChunkRow.document_id == document_id)
    )
    await session.execute(
        delete(CommunityRow)
        .where(CommunityRow.summary != "", CommunityRow.id.in_(told))
        .execution_options(synchronize_session=False)
    )


async def drop_unmentioned(session: AsyncSession, entity_ids: Sequence[int]) -> None:
    """Removes those of these entities that no chunk mentions any more."""
    mentioned = exists().where(MentionRow.entity_id == EntityRow.id)
    for part in parts(entity_ids, MOST_PARAMETERS):
        await session.execute(
            delete(EntityRow)
            .where(EntityRow.id.in_(part), ~mentioned)
            .execution_options(synchronize_session=False)
        )


async def graph_state(session: AsyncSession, collection_id: UUID) -> GraphState | None:
    """What is known of a collection's graph; None where it has none."""
    row = await session.get(GraphRow, collection_id)
    if row is None:
        return None
    return GraphState(**{name: getattr(row, name) for name in GraphState.__slots__})


def _of(condition: Any, row: type[Any]) -> Any:
    table: Table = row.__table__
    return select(*table.columns).where(condition)


async def _differ(
    session: AsyncSession,
    row: type[Any],
    key: tuple[str, ...],
    stored: Any,
    wanted: Mapping[tuple[Any, ...], dict[str, Any]],
) -> None:
    """Makes the stored rows those that are wanted, by deleting, changing and adding.

    Args:
        key: the columns of the primary key.
        stored: selects all columns of the rows there are.
        wanted: the other columns by the key's.
    """
    table: Table = row.__table__
    others = [column.name for column in table.columns if column.name not in key]
    there: dict[tuple[Any, ...], dict[str, Any]] = {}
    for found in (await session.execute(stored)).mappings():
        there[tuple(found[name] for name in key)] = {name: found[name] for name in others}
    gone = sorted(there.keys() - wanted.keys())
    new = sorted(wanted.keys() - there.keys())
    changed = sorted(one for one in wanted.keys() & there.keys() if wanted[one] != there[one])
    where = [table.c[name] == bindparam(f"key_{name}") for name in key]
    named = [dict(zip((f"key_{name}" for name in key), one, strict=True)) for one in gone]
    connection = await session.connection()
    for part in parts(named, _ROWS_AT_ONCE):
        await connection.execute(delete(table).where(*where), list(part))
    if others:
        statement = (
            update(table).where(*where).values({name: bindparam(f"new_{name}") for name in others})
        )
        values = [
            dict(zip((f"key_{name}" for name in key), one, strict=True))
            | {f"new_{name}": value for name, value in wanted[one].items()}
            for one in changed
        ]
        for part in parts(values, _ROWS_AT_ONCE):
            await connection.execute(statement, list(part))
    rows = [dict(zip(key, one, strict=True)) | wanted[one] for one in new]
    for part in parts(rows, _ROWS_AT_ONCE):
        await connection.execute(insert(table), list(part))
