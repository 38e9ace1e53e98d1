"""The tables: what the platform knows, and nothing that can be rebuilt from it.

What always holds: a chunk's `text` is `documents.text[start:end]`; a document's chunks and the
document itself are written in one transaction; every change to a collection's documents raises its
`generation`, and each document carries the generation that wrote it, so that an index can follow.
Constraint names follow one convention on every engine, so that migrations can name them.
"""

from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from rostra.core import new_id

JsonValue = JSON().with_variant(JSONB(), "postgresql")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time on every engine; SQLite alone would forget the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a stored time needs its zone")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def utc_now() -> datetime:
    """The present as stored: aware, UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """Registry of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        UUID: Uuid(),
        datetime: UtcDateTime(),
        dict[str, Any]: JsonValue,
        list[dict[str, Any]]: JsonValue,
    }


class SpaceRow(Base):
    """An embedding space; see `rostra.core.EmbeddingSpace`."""

    __tablename__ = "embedding_spaces"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    fingerprint: Mapped[str] = mapped_column(String(64), unique=True)
    model: Mapped[str] = mapped_column(Text)
    revision: Mapped[str] = mapped_column(String(64))
    dimensions: Mapped[int] = mapped_column(Integer)
    rotation: Mapped[str] = mapped_column(String(64))
    query_prompt: Mapped[str] = mapped_column(Text)
    document_prompt: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class CollectionRow(Base):
    """A set of documents that is searched, indexed and given access to as one."""

    __tablename__ = "collections"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    description: Mapped[str] = mapped_column(Text, default="")
    space_id: Mapped[UUID] = mapped_column(ForeignKey("embedding_spaces.id"), index=True)
    generation: Mapped[int] = mapped_column(BigInteger, default=0)
    tuning: Mapped[dict[str, Any] | None] = mapped_column(
        JsonValue, default=None, doc="how its hits are ranked, where that was tuned"
    )
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)


class DocumentRow(Base):
    """One source's text, exactly as cited."""

    __tablename__ = "documents"
    __table_args__ = (
        UniqueConstraint("collection_id", "uri"),
        Index(None, "collection_id", "generation"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    collection_id: Mapped[UUID] = mapped_column(ForeignKey("collections.id", ondelete="CASCADE"))
    uri: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    media_type: Mapped[str] = mapped_column(String(128))
    sha256: Mapped[str] = mapped_column(String(64), doc="of the source's bytes")
    recipe: Mapped[str] = mapped_column(
        String(64), doc="fingerprint of the settings that decide text and chunks"
    )
    bytes: Mapped[int] = mapped_column(BigInteger, doc="size of the source")
    length: Mapped[int] = mapped_column(Integer, doc="code points of `text`")
    text: Mapped[str] = mapped_column(Text, deferred=True)
    spans: Mapped[list[dict[str, Any]]] = mapped_column(JsonValue, deferred=True)
    meta: Mapped[dict[str, Any]] = mapped_column("metadata", JsonValue)
    generation: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)


class DocumentRemovalRow(Base):
    """A document that was deleted, under the generation that did it; pruned when old."""

    __tablename__ = "document_removals"

    collection_id: Mapped[UUID] = mapped_column(
        ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True
    )
    generation: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    document_id: Mapped[UUID] = mapped_column()


class ChunkRow(Base):
    """A slice of a document; what is embedded, indexed and found."""

    __tablename__ = "chunks"
    __table_args__ = (
        UniqueConstraint("document_id", "ordinal"),
        Index(None, "collection_id", "content_hash"),
        Index(None, "collection_id", "twins"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    document_id: Mapped[UUID] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"))
    collection_id: Mapped[UUID] = mapped_column(ForeignKey("collections.id", ondelete="CASCADE"))
    ordinal: Mapped[int] = mapped_column(Integer)
    start: Mapped[int] = mapped_column(Integer)
    end: Mapped[int] = mapped_column(Integer)
    page: Mapped[int | None] = mapped_column(Integer)
    context: Mapped[str] = mapped_column(
        Text, doc="headings above; embedded and indexed, not cited"
    )
    text: Mapped[str] = mapped_column(Text)
    content_hash: Mapped[bytes] = mapped_column(
        LargeBinary(32), doc="sha256 of what is embedded; names the vector"
    )
    parent_start: Mapped[int | None] = mapped_column(
        Integer, doc="of the passage around it that a generator reads; null for itself"
    )
    parent_end: Mapped[int | None] = mapped_column(Integer)
    twins: Mapped[UUID | None] = mapped_column(doc="its group of near duplicates")


class ChunkBandRow(Base):
    """A chunk under one of its MinHash keys: where near duplicates meet."""

    __tablename__ = "chunk_bands"

    collection_id: Mapped[UUID] = mapped_column(
        ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    chunk_id: Mapped[UUID] = mapped_column(
        ForeignKey("chunks.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class VectorRow(Base):
    """The vector of one content in one collection; equal chunks share it."""

    __tablename__ = "vectors"

    collection_id: Mapped[UUID] = mapped_column(
        ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True
    )
    space_id: Mapped[UUID] = mapped_column(ForeignKey("embedding_spaces.id"), primary_key=True)
    content_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    vector: Mapped[bytes] = mapped_column(LargeBinary, doc="float32, little endian, unit length")


class ChatRow(Base):
    """A conversation about one collection."""

    __tablename__ = "chats"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    collection_id: Mapped[UUID] = mapped_column(
        ForeignKey("collections.id", ondelete="CASCADE"), index=True
    )
    title: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)


class MessageRow(Base):
    """One turn of a chat."""

    __tablename__ = "messages"
    __table_args__ = (UniqueConstraint("chat_id", "ordinal"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    chat_id: Mapped[UUID] = mapped_column(ForeignKey("chats.id", ondelete="CASCADE"))
    ordinal: Mapped[int] = mapped_column(Integer)
    role: Mapped[str] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(Text)
    mode: Mapped[str | None] = mapped_column(String(16))
    found: Mapped[bool | None] = mapped_column(Boolean)
    citations: Mapped[list[dict[str, Any]]] = mapped_column(JsonValue, default=list)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class RatingRow(Base):
    """What a person thinks of an answer."""

    __tablename__ = "ratings"

    message_id: Mapped[UUID] = mapped_column(
        ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True
    )
    value: Mapped[str] = mapped_column(String(8))
    note: Mapped[str] = mapped_column(Text, default="")
    rated_at: Mapped[datetime] = mapped_column(default=utc_now)


class JobRow(Base):
    """Work that outlives a request. A worker holds it by a lease and a fencing token."""

    __tablename__ = "jobs"
    __table_args__ = (Index(None, "status", "lease_expires_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(32))
    payload: Mapped[dict[str, Any]] = mapped_column(JsonValue)
    status: Mapped[str] = mapped_column(String(16), default="queued")
    progress: Mapped[dict[str, Any]] = mapped_column(JsonValue, default=dict)
    result: Mapped[dict[str, Any] | None] = mapped_column(JsonValue)
    error: Mapped[str | None] = mapped_column(Text)
    error_code: Mapped[str | None] = mapped_column(String(64))
    stage: Mapped[str] = mapped_column(String(32), default="", server_default="")
    checkpoint: Mapped[dict[str, Any]] = mapped_column(
        JsonValue,
        default=dict,
        server_default="{}",
        doc="what a worker that takes over goes on from",
    )
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    fruitful_attempt: Mapped[int] = mapped_column(
        Integer, default=0, server_default="0", doc="the last one that got any further"
    )
    not_before: Mapped[datetime | None] = mapped_column(doc="when it is tried again")
    fencing_token: Mapped[int] = mapped_column(BigInteger, default=0)
    lease_owner: Mapped[str | None] = mapped_column(String(64))
    lease_expires_at: Mapped[datetime | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)


class FileRow(Base):
    """A file that a client uploaded or a batch wrote; its bytes lie beside the database."""

    __tablename__ = "files"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    filename: Mapped[str] = mapped_column(Text)
    purpose: Mapped[str] = mapped_column(String(32))
    bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class BatchRow(Base):
    """Requests of a file, run in the background. A runner holds it by a lease and a token."""

    __tablename__ = "batches"
    __table_args__ = (Index(None, "status", "lease_expires_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    endpoint: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16), default="validating")
    input_file_id: Mapped[UUID] = mapped_column(doc="the file may be deleted before the batch")
    output_file_id: Mapped[UUID] = mapped_column(default=new_id, doc="a file once it has ended")
    error_file_id: Mapped[UUID] = mapped_column(default=new_id, doc="a file once it has ended")
    meta: Mapped[dict[str, Any]] = mapped_column("metadata", JsonValue, default=dict)
    counts: Mapped[dict[str, Any]] = mapped_column(JsonValue, default=dict)
    errors: Mapped[list[dict[str, Any]]] = mapped_column(JsonValue, default=list)
    times: Mapped[dict[str, Any]] = mapped_column(
        JsonValue, default=dict, doc="Unix seconds at which each status was reached"
    )
    fencing_token: Mapped[int] = mapped_column(BigInteger, default=0)
    lease_expires_at: Mapped[datetime | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)


class RunRow(Base):
    """An agent's run; what happened in it is its events. Who executes it holds it by a lease."""

    __tablename__ = "runs"
    __table_args__ = (Index(None, "status", "lease_expires_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    task: Mapped[str] = mapped_column(Text)
    strategy: Mapped[str] = mapped_column(String(64))
    config: Mapped[dict[str, Any]] = mapped_column(JsonValue, default=dict)
    user: Mapped[str] = mapped_column("user_name", String(128), index=True)
    parent: Mapped[UUID | None] = mapped_column("parent_id", doc="it may have been deleted since")
    status: Mapped[str] = mapped_column(String(16), default="running")
    last_seq: Mapped[int] = mapped_column(Integer, default=0, doc="of its events")
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    fencing_token: Mapped[int] = mapped_column(BigInteger, default=0)
    lease_owner: Mapped[str | None] = mapped_column(String(64))
    lease_expires_at: Mapped[datetime | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)


class RunEventRow(Base):
    """One event of a run, as the agents wrote it."""

    __tablename__ = "run_events"

    run_id: Mapped[UUID] = mapped_column(
        ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
    )
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column()
    type: Mapped[str] = mapped_column(String(32))
    data: Mapped[bytes] = mapped_column(LargeBinary, doc="JSON")


class MemoryRow(Base):
    """A fact about a user, kept between runs."""

    __tablename__ = "memories"
    __table_args__ = (UniqueConstraint("user_name", "digest"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    user: Mapped[str] = mapped_column("user_name", String(128))
    text: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text, doc="who or what said so")
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), doc="sha256 of the text")
    expires_at: Mapped[datetime | None] = mapped_column(index=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)


class ToolPinRow(Base):
    """A tool of a server as a person approved it."""

    __tablename__ = "tool_pins"

    server: Mapped[str] = mapped_column(String(128), primary_key=True)
    tool: Mapped[str] = mapped_column(String(256), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), doc="of name, description and schema")
    approved_by: Mapped[str] = mapped_column(String(128), default="")
    approved_at: Mapped[datetime] = mapped_column(default=utc_now)
    told: Mapped[str] = mapped_column(
        Text, default="", server_default="", doc="what was approved; empty where it was not kept"
    )
