"""Hits as a search would return them."""

from uuid import UUID, uuid4

from rostra.retrieval import Hit, HitScores


def hit(
    text: str,
    start: int = 0,
    end: int | None = None,
    *,
    document_id: UUID | None = None,
    score: float = 1.0,
    page: int | None = None,
) -> Hit:
    """A hit that is `text[start:end]` of a document."""
    end = len(text) if end is None else end
    return Hit(
        chunk_id=uuid4(),
        document_id=document_id or uuid4(),
        collection="default",
        uri="test:/a",
        title="Title",
        context="",
        text=text[start:end],
        start=start,
        end=end,
        page=page,
        metadata={},
        score=score,
        scores=HitScores(dense=score),
    )
