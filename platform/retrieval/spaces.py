"""One encoder, several spaces: a stored collection goes on in the space that it was made in.

Truncated vectors of the packaged encoder are rotated by default. Collections that were truncated
before that have plain vectors: the same encoder serves them without the rotation, since a
collection's row says in which space its vectors are.

What always holds: vectors of two spaces are never compared with each other; each collection is
asked with a query of its own space. Searching several at once needs scores that compare: those of
full-width vectors do, as a rotation leaves cosines what they are; those of truncated ones do not.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from sqlalchemy.ext.asyncio import AsyncSession

from rostra.core import CollectionNotFound, Embedder, EmbeddingSpace, SpaceMismatch
from rostra.store import Collection, ensure_collection, get_collection


@runtime_checkable
class RelatedSpaces(Protocol):
    """An embedder that can give vectors of other spaces than its own."""

    @property
    def is_truncated(self) -> bool:
        """Whether cosines differ between its spaces."""
        ...

    def within(self, space: EmbeddingSpace) -> Embedder | None:
        """The embedder of a space; None where that is another encoder's, or was not asked for."""
        ...


def embedder_within(embedder: Embedder, space: EmbeddingSpace) -> Embedder:
    """What embeds for a stored space: a relative of the embedder, or itself where none fits."""
    if embedder.space.fingerprint == space.fingerprint or not isinstance(embedder, RelatedSpaces):
        return embedder
    return embedder.within(space) or embedder


async def collection_for(
    session: AsyncSession, name: str, embedder: Embedder
) -> tuple[Collection, Embedder]:
    """The collection of a name, made when missing, and what embeds for it.

    Raises:
        SpaceMismatch: it has vectors of another space than the embedder can give.
        InvalidRequest: the name is malformed.
    """
    try:
        found = await get_collection(session, name)
    except CollectionNotFound:
        pass
    else:
        embedder = embedder_within(embedder, found.space)
    return await ensure_collection(session, name, embedder.space), embedder


def check_comparable(embedder: Embedder, collections: Sequence[Collection]) -> None:
    """That scores of these collections compare, each being in a space of the embedder.

    Raises:
        SpaceMismatch: their spaces differ, and vectors are truncated.
    """
    if not isinstance(embedder, RelatedSpaces) or not embedder.is_truncated:
        return
    for one in collections:
        if one.space.fingerprint != collections[0].space.fingerprint:
            older = next(
                one for one in collections if one.space.fingerprint != embedder.space.fingerprint
            )
            raise SpaceMismatch(
                f"collection {collections[0].name!r} has vectors of {collections[0].space}, "
                f"{one.name!r} of {one.space}: truncated vectors do not compare",
                hint=f"Run `rostra embed apply --collection {older.name}`, or search one by one.",
            )
