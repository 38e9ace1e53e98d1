"""What was read from each chunk for the graph: the part that costs, done once and kept.

What always holds: what was read is of a chunk that exists and goes with it; equal contents under
equal headings need be read once; a chunk that was read by a recipe that begins otherwise
counts as not read.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.store.graph_parts import MOST_PARAMETERS, parts
from rostra.store.graph_tables import GraphReadRow
from rostra.store.tables import ChunkRow, DocumentRow

# What decides what is read from a chunk: its content, its document's title, the headings above it.
ReadContent = tuple[bytes, str, str]


@dataclass(frozen=True, slots=True)
class UnreadChunk:
    """A chunk that nothing was read from yet, with the headings above it."""

    id: UUID
    content_hash: bytes
    title: str
    context: str
    text: str

    @property
    def content(self) -> ReadContent:
        """Chunks that have this in common say the same."""
        return self.content_hash, self.title, self.context


@dataclass(frozen=True, slots=True)
class Read:
    """What was read from a chunk, and how."""

    recipe: str
    found: bytes


@dataclass(frozen=True, slots=True)
class ReadChunk:
    """A chunk and what was read from it."""

    id: UUID
    document_id: UUID
    found: bytes


async def unread_chunks(
    session: AsyncSession, collection_id: UUID, recipe: str, limit: int
) -> list[UnreadChunk]:
    """Some chunks from which nothing was read by a recipe that begins so."""
    rows = await session.execute(
        select(
            ChunkRow.id,
            ChunkRow.content_hash,
            DocumentRow.title,
            ChunkRow.context,
            ChunkRow.text,
        )
        .join(DocumentRow, DocumentRow.id == ChunkRow.document_id)
        .where(ChunkRow.collection_id == collection_id, ~_is_read(recipe))
        .order_by(ChunkRow.id)
        .limit(limit)
    )
    return [UnreadChunk(row[0], bytes(row[1]), *row[2:]) for row in rows]


async def count_unread(session: AsyncSession, collection_id: UUID, recipe: str) -> int:
    """How many chunks nothing was read from by a recipe that begins so."""
    found = await session.scalar(
        select(func.count(ChunkRow.id)).where(
            ChunkRow.collection_id == collection_id, ~_is_read(recipe)
        )
    )
    return found or 0


async def reads_by_content(
    session: AsyncSession, collection_id: UUID, recipe: str, hashes: Iterable[bytes]
) -> dict[ReadContent, Read]:
    """What was read from chunks of these contents by a recipe that begins so, where any was."""
    found: dict[ReadContent, Read] = {}
    for part in parts(sorted(set(hashes)), MOST_PARAMETERS):
        rows = await session.execute(
            select(
                ChunkRow.content_hash,
                DocumentRow.title,
                ChunkRow.context,
                GraphReadRow.recipe,
                GraphReadRow.found,
            )
            .join(GraphReadRow, GraphReadRow.chunk_id == ChunkRow.id)
            .join(DocumentRow, DocumentRow.id == ChunkRow.document_id)
            .where(
                ChunkRow.collection_id == collection_id,
                ChunkRow.content_hash.in_(part),
                GraphReadRow.recipe.startswith(recipe, autoescape=True),
            )
            # Of several the longest recipe, which a model took part in.
            .order_by(func.length(GraphReadRow.recipe), GraphReadRow.chunk_id)
        )
        found.update(
            {
                (bytes(content), title, context): Read(by, bytes(value))
                for content, title, context, by, value in rows
            }
        )
    return found


async def put_reads(session: AsyncSession, collection_id: UUID, found: Mapping[UUID, Read]) -> None:
    """Keeps what was read from chunks, in place of what was before; not of chunks that are gone."""
    there = await existing_chunks(session, collection_id, list(found))
    dialect = session.get_bind().dialect.name
    make = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = make(GraphReadRow)
    statement = statement.on_conflict_do_update(
        index_elements=["chunk_id"],
        set_={"recipe": statement.excluded.recipe, "found": statement.excluded.found},
    )
    rows = [
        {
            "chunk_id": id_,
            "collection_id": collection_id,
            "recipe": found[id_].recipe,
            "found": found[id_].found,
        }
        for id_ in sorted(there)
    ]
    if rows:
        await session.execute(statement, rows)


async def read_chunks(session: AsyncSession, collection_id: UUID, limit: int) -> list[ReadChunk]:
    """All that was read of a collection, by the documents' uris and the order of their text."""
    rows = await session.execute(
        select(
            DocumentRow.uri,
            ChunkRow.ordinal,
            GraphReadRow.chunk_id,
            ChunkRow.document_id,
            GraphReadRow.found,
        )
        .join(ChunkRow, ChunkRow.id == GraphReadRow.chunk_id)
        .join(DocumentRow, DocumentRow.id == ChunkRow.document_id)
        .where(GraphReadRow.collection_id == collection_id)
        .limit(limit)
    )
    # Sorted here: the engines' collations differ, a graph must not.
    ordered = sorted(rows, key=lambda row: (row[0], row[1]))
    return [ReadChunk(row[2], row[3], bytes(row[4])) for row in ordered]


async def chunk_texts(session: AsyncSession, chunk_ids: Collection[UUID]) -> dict[UUID, str]:
    """The texts of some chunks; those that are gone are left out."""
    found: dict[UUID, str] = {}
    for part in parts(sorted(chunk_ids), MOST_PARAMETERS):
        rows = await session.execute(
            select(ChunkRow.id, ChunkRow.text).where(ChunkRow.id.in_(part))
        )
        found.update({row[0]: row[1] for row in rows})
    return found


async def reads_beside(
    session: AsyncSession, collection_id: UUID, known: Collection[UUID]
) -> dict[UUID, bytes]:
    """What was read of a collection's chunks other than these."""
    ids = await session.scalars(
        select(GraphReadRow.chunk_id).where(GraphReadRow.collection_id == collection_id)
    )
    found: dict[UUID, bytes] = {}
    for part in parts(sorted(set(ids) - set(known)), MOST_PARAMETERS):
        rows = await session.execute(
            select(GraphReadRow.chunk_id, GraphReadRow.found).where(GraphReadRow.chunk_id.in_(part))
        )
        found.update((row[0], row[1]) for row in rows)
    return found


async def existing_chunks(
    session: AsyncSession, collection_id: UUID, chunk_ids: Sequence[UUID]
) -> set[UUID]:
    """Those of these chunks that are there, and stay until the transaction ends."""
    found: set[UUID] = set()
    for part in parts(sorted(chunk_ids), MOST_PARAMETERS):
        rows = await session.scalars(
            select(ChunkRow.id)
            .where(ChunkRow.id.in_(part), ChunkRow.collection_id == collection_id)
            .order_by(ChunkRow.id)
            .with_for_update(read=True, key_share=True)
        )
        found.update(rows)
    return found


def _is_read(recipe: str) -> ColumnElement[bool]:
    return exists().where(
        GraphReadRow.chunk_id == ChunkRow.id,
        GraphReadRow.recipe.startswith(recipe, autoescape=True),
    )
