"""The tables of a collection's graph of entities; see `rostra.store.graph`.

What always holds: nothing of a text outlives it. What was read from a chunk, where an entity is
mentioned, and which passages tell of a community go with the chunk, an entity with its last
mention, and a summary that a model wrote with any of the passages that it was written from.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from rostra.store.tables import Base, utc_now


class GraphRow(Base):
    """That a collection has a graph, and how far it follows the documents."""

    __tablename__ = "graphs"

    collection_id: Mapped[UUID] = mapped_column(
        ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True
    )
    recipe: Mapped[str] = mapped_column(String(64), doc="of what was read from the chunks")
    generation: Mapped[int] = mapped_column(BigInteger, doc="of the collection, as it was read")
    chunks: Mapped[int] = mapped_column(Integer)
    entities: Mapped[int] = mapped_column(Integer)
    relations: Mapped[int] = mapped_column(Integer)
    communities: Mapped[int] = mapped_column(Integer)
    built_at: Mapped[datetime] = mapped_column(default=utc_now)


class GraphReadRow(Base):
    """What was read from one chunk: names and relations, before any is chosen."""

    __tablename__ = "graph_reads"
    __table_args__ = (Index(None, "collection_id", "recipe"),)

    chunk_id: Mapped[UUID] = mapped_column(
        ForeignKey("chunks.id", ondelete="CASCADE"), primary_key=True
    )
    collection_id: Mapped[UUID] = mapped_column(ForeignKey("collections.id", ondelete="CASCADE"))
    recipe: Mapped[str] = mapped_column(String(64), doc="rules, then the model if one took part")
    found: Mapped[bytes] = mapped_column(LargeBinary, doc="JSON, deflated")


class EntityRow(Base):
    """A thing that chunks speak of. Its id is a digest of collection and key."""

    __tablename__ = "graph_entities"
    __table_args__ = (UniqueConstraint("collection_id", "key"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    collection_id: Mapped[UUID] = mapped_column(ForeignKey("collections.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(200), doc="what its names have in common")
    name: Mapped[str] = mapped_column(Text, doc="as it is written most often")
    kind: Mapped[str] = mapped_column(String(16))
    df: Mapped[int] = mapped_column(Integer, doc="chunks that mention it")


class MentionRow(Base):
    """An entity in a chunk or in the headings above it."""

    __tablename__ = "graph_mentions"

    entity_id: Mapped[int] = mapped_column(
        ForeignKey("graph_entities.id", ondelete="CASCADE"), primary_key=True
    )
    chunk_id: Mapped[UUID] = mapped_column(
        ForeignKey("chunks.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    weight: Mapped[int] = mapped_column(Integer, doc="2 where a heading names it, else 1")


class RelationRow(Base):
    """That one entity is close to another; each has its closest ones alone."""

    __tablename__ = "graph_relations"

    source_id: Mapped[int] = mapped_column(
        ForeignKey("graph_entities.id", ondelete="CASCADE"), primary_key=True
    )
    target_id: Mapped[int] = mapped_column(
        ForeignKey("graph_entities.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    weight: Mapped[int] = mapped_column(Integer, doc="1 to 100")


class CommunityRow(Base):
    """Entities that are closer to each other than to others."""

    __tablename__ = "graph_communities"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    collection_id: Mapped[UUID] = mapped_column(
        ForeignKey("collections.id", ondelete="CASCADE"), index=True
    )
    level: Mapped[int] = mapped_column(Integer, doc="0 is the finest")
    summary: Mapped[str] = mapped_column(
        Text, default="", doc="as a model wrote it; empty where its passages speak for it"
    )


class MemberRow(Base):
    """An entity in a community."""

    __tablename__ = "graph_members"

    community_id: Mapped[int] = mapped_column(
        ForeignKey("graph_communities.id", ondelete="CASCADE"), primary_key=True
    )
    entity_id: Mapped[int] = mapped_column(
        ForeignKey("graph_entities.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class PassageRow(Base):
    """One of the chunks that tell most of a community; a sentence of it is in the summary."""

    __tablename__ = "graph_passages"

    community_id: Mapped[int] = mapped_column(
        ForeignKey("graph_communities.id", ondelete="CASCADE"), primary_key=True
    )
    chunk_id: Mapped[UUID] = mapped_column(
        ForeignKey("chunks.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    place: Mapped[int] = mapped_column(Integer, doc="0 is the best")
    start: Mapped[int] = mapped_column(Integer, doc="of the sentence, within the chunk")
    end: Mapped[int] = mapped_column(Integer)
