"""Small chunks are searched, the passages around them are read.

What always holds: a passage's text is its document's `[start, end)`, read afresh; a passage is
there once, in the place and with the score of its best chunk; a chunk without a passage around it
stays as it is.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncSession

from rostra.retrieval.hits import Hit
from rostra.store import chunk_parents


async def expand(session: AsyncSession, hits: Sequence[Hit]) -> list[Hit]:
    """Hits with the passages around their chunks; fewer than before where chunks share one.

    A passage keeps the chunk's id, page and context; `start`, `end` and `text` are its own.

    Args:
        session: a reading session.
        hits: best first.
    """
    parents = await chunk_parents(session, [hit.chunk_id for hit in hits])
    found: dict[tuple[object, int, int], Hit] = {}
    for hit in hits:
        parent = parents.get(hit.chunk_id)
        if parent is not None:
            hit = replace(hit, start=parent.start, end=parent.end, text=parent.text)
        found.setdefault((hit.document_id, hit.start, hit.end), hit)
    return list(found.values())
