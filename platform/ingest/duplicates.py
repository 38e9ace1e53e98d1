"""Links chunks that say nearly the same, as documents come in.

What always holds: only chunks of one collection are linked, and only such as share at least the
threshold of their shingles, directly or over others of their group; which chunks are in one group
does not depend on the order in which documents came, up to the bound on chunks kept under one key;
nothing is removed. It runs in the transaction that stores the documents.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from rostra.retrieval import Shingles, band_keys, resemblance, shingles
from rostra.store import (
    MOST_UNDER_A_KEY,
    chunks_by_id,
    chunks_of_documents,
    chunks_under_keys,
    join_groups,
    put_groups,
    put_keys,
)


async def link_duplicates(
    session: AsyncSession, collection_id: UUID, document_ids: Sequence[UUID], threshold: float
) -> None:
    """Links the chunks of documents that were just stored.

    Args:
        session: of the transaction that stored them.
        collection_id: of the documents.
        document_ids: in the order in which they came.
        threshold: least resemblance, 0 to 1; 0 links nothing.
    """
    if not threshold:
        return
    new = await chunks_of_documents(session, document_ids)
    known: dict[UUID, Shingles] = {chunk.id: shingles(chunk.text) for chunk in new}
    keys = {chunk.id: band_keys(known[chunk.id]) for chunk in new}
    under = await chunks_under_keys(
        session, collection_id, (key for own in keys.values() for key in own)
    )
    stored = await chunks_by_id(session, {one for ids in under.values() for one in ids})
    known |= {chunk_id: shingles(chunk.text) for chunk_id, chunk in stored.items()}
    groups = _Groups({one.id: one.group for one in stored.values() if one.group is not None})
    added: list[tuple[int, UUID]] = []
    for chunk in new:
        alike: set[UUID] = set()
        for key in keys[chunk.id]:
            others = under.setdefault(key, [])
            alike.update(other for other in others if other in known)
            if len(others) < MOST_UNDER_A_KEY:
                others.append(chunk.id)
                added.append((key, chunk.id))
        alike.discard(chunk.id)
        for other in sorted(alike):
            if resemblance(known[chunk.id], known[other]) >= threshold:
                groups.link(chunk.id, other)
    await put_keys(session, collection_id, added)
    await join_groups(session, collection_id, groups.joined())
    await put_groups(session, groups.linked)


class _Groups:
    """Which chunks belong together.

    Args:
        stored: the groups of chunks that were there before.
    """

    def __init__(self, stored: dict[UUID, UUID]) -> None:
        self._group = dict(stored)
        self._into: dict[UUID, UUID] = {}
        self._changed: set[UUID] = set()

    def link(self, one: UUID, other: UUID) -> None:
        """Puts two chunks, and all that belong to either, together."""
        found = sorted(
            {self._root(self._group[chunk]) for chunk in (one, other) if chunk in self._group}
        )
        group = found[0] if found else min(one, other)
        for merged in found[1:]:
            self._into[merged] = group
        for chunk in (one, other):
            if chunk not in self._group:
                self._group[chunk] = group
                self._changed.add(chunk)

    def joined(self) -> dict[UUID, UUID]:
        """The group that each group goes into, where it is no more."""
        return {group: self._root(group) for group in self._into}

    @property
    def linked(self) -> dict[UUID, UUID]:
        """The groups of chunks that had none."""
        return {chunk: self._root(self._group[chunk]) for chunk in self._changed}

    def _root(self, group: UUID) -> UUID:
        while group in self._into:
            group = self._into[group]
        return group
