"""Stores the token vectors that late interaction reads, for one collection."""

import asyncio
from collections.abc import Callable

from rostra.core import ModelUnavailable, SpaceMismatch
from rostra.retrieval import (
    SentenceEmbedder,
    TokenManifest,
    embedder_within,
    searchable_text,
    store_tokens,
)
from rostra.runtime.runtime import Runtime
from rostra.store import collection_texts, get_collection, list_collections

_MOST_COLLECTIONS = 10_000


async def store_collection_tokens(
    runtime: Runtime,
    collection: str,
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> TokenManifest:
    """Computes what is missing of a collection's token vectors and stores them.

    Args:
        on_done: called with the passages done since the last call, and how many there are.

    Raises:
        CollectionNotFound: there is no such collection.
        InvalidRequest: it is empty.
        SpaceMismatch: its vectors are not of the model that the settings name.
        ModelUnavailable: that model gives no vectors of tokens.
    """
    async with runtime.database.read() as session:
        found = await get_collection(session, collection)
        passages = [searchable_text(*pair) for pair in await collection_texts(session, found.id)]
        known, _ = await list_collections(session, _MOST_COLLECTIONS)
    embedder = await asyncio.to_thread(runtime.embedder)
    if not isinstance(embedder, SentenceEmbedder):
        raise ModelUnavailable("this embedding model gives no vectors of tokens")
    if found.space.fingerprint != embedder_within(embedder, found.space).space.fingerprint:
        raise SpaceMismatch(
            f"collection {collection!r} has vectors of {found.space}, "
            f"the settings ask for {embedder.space}",
            hint=f"Run `rostra embed apply --collection {collection}`.",
        )
    # What is left of collections that were deleted goes too.
    if len(known) < _MOST_COLLECTIONS:
        runtime.late.folder.keep_only([one.id for one in known])
    return await asyncio.to_thread(
        store_tokens,
        runtime.late.folder,
        found.id,
        embedder,
        passages,
        lambda done: on_done(done, len(set(passages))),
    )


async def drop_collection_tokens(runtime: Runtime, collection: str) -> bool:
    """Removes a collection's stored token vectors; whether there were any.

    Raises:
        CollectionNotFound: there is no such collection.
    """
    async with runtime.database.read() as session:
        found = await get_collection(session, collection)
    return await asyncio.to_thread(runtime.late.drop, found.id)
