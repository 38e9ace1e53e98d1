"""Embeds a stored collection anew, into the embedding space of the settings.

What always holds: the collection stays searchable with its old vectors until every chunk has a new
one; then one commit switches it over. Broken off, the work done so far is kept and found again.
"""

import asyncio
from collections.abc import Callable

from rostra.core import Embedder
from rostra.ingest.chunking import Beside, Content, content_key, embed_contents
from rostra.retrieval import Indexes, searchable_text
from rostra.store import (
    Database,
    PendingChunk,
    ensure_space,
    get_collection,
    move_to_space,
    pending_chunks,
    put_vectors,
)

_BATCH_CHUNKS = 2048


async def reembed(
    database: Database,
    indexes: Indexes,
    collection: str,
    embedder: Embedder,
    on_chunks: Callable[[int], None] = lambda _: None,
) -> int:
    """Moves a collection to the embedder's space; returns the number of contents embedded.

    Args:
        database: where the collection is.
        indexes: brought up to date at the end.
        collection: by name.
        embedder: of the space to move to.
        on_chunks: called with the number of contents done so far.

    Raises:
        CollectionNotFound: there is none of this name.
    """
    async with database.write() as session:
        target = await get_collection(session, collection)
        if target.space.fingerprint == embedder.space.fingerprint:
            return 0
        space_id = (await ensure_space(session, embedder.space)).id
    done = 0
    while True:
        async with database.read() as session:
            pending = await pending_chunks(session, target.id, space_id, _BATCH_CHUNKS)
        if pending:
            contents = [_content(chunk) for chunk in pending]
            vectors = await asyncio.to_thread(embed_contents, contents, embedder, None)
            keys = [chunk.content_hash for chunk in pending]
            async with database.write() as session:
                await put_vectors(
                    session, target.id, space_id, dict(zip(keys, vectors, strict=True))
                )
            done += len(pending)
            on_chunks(done)
            continue
        async with database.write() as session:
            # An ingest may have added chunks since we looked.
            if not await pending_chunks(session, target.id, space_id, 1):
                await move_to_space(session, target.id, embedder.space)
                break
    await indexes.save(collection)
    return done


def _content(chunk: PendingChunk) -> Content:
    """What its vector was made of, by its key: its text and those beside it, else its text alone.

    So are parts of longer passages (`late`), since these are not stored.
    """
    text = searchable_text(chunk.context, chunk.text)
    if chunk.neighbours:
        beside = Beside(text, tuple(searchable_text(*one) for one in chunk.neighbours))
        if content_key(beside) == chunk.content_hash:
            return beside
    return text
