"""What a search finds.

What always holds: a hit's `text` is its document's `[start, end)`, as the database holds it now.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from rostra.store import ChunkRecord


@dataclass(frozen=True, slots=True)
class HitScores:
    """Partial scores; None where a stage did not score this hit.

    Attributes:
        dense: cosine of query and chunk.
        lexical: BM25; 0 when no term is shared.
        fused: comparable within one result only.
        rerank: the reranker's own scale.
    """

    dense: float | None = None
    lexical: float | None = None
    fused: float | None = None
    rerank: float | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that was found, or the passage around it.

    Attributes:
        near_duplicates: ids of other chunks that would stand here too and say nearly the same.
    """

    chunk_id: UUID
    document_id: UUID
    collection: str
    uri: str
    title: str
    context: str
    text: str
    start: int
    end: int
    page: int | None
    metadata: dict[str, Any]
    score: float
    scores: HitScores
    near_duplicates: tuple[UUID, ...] = ()


def hit_of(record: ChunkRecord, score: float, scores: HitScores) -> Hit:
    """A chunk as it is now, found with these scores."""
    return Hit(
        chunk_id=record.chunk_id,
        document_id=record.document_id,
        collection=record.collection,
        uri=record.uri,
        title=record.title,
        context=record.context,
        text=record.text,
        start=record.start,
        end=record.end,
        page=record.page,
        metadata=record.metadata,
        score=score,
        scores=scores,
    )
