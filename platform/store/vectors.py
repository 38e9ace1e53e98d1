"""Vectors by content: equal text in one collection is embedded once.

What always holds: a stored vector is float32, of its space's width, finite and not of zeros;
every chunk of a collection has one in the collection's space.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar
from uuid import UUID

import numpy as np
from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.core import FloatVector, RostraError
from rostra.store.inserting import insert_rows
from rostra.store.tables import ChunkRow, CollectionRow, SpaceRow, VectorRow

# Under SQLite's and PostgreSQL's limits on bound parameters.
MOST_PARAMETERS = 500


class UnusableVector(RostraError):
    """A vector of zeros, or with a value that is not finite, cannot be searched for."""

    status: ClassVar[int] = 422
    code: ClassVar[str] = "unusable_vector"


async def known_hashes(
    session: AsyncSession, collection_id: UUID, space_id: UUID, hashes: Iterable[bytes]
) -> set[bytes]:
    """Which of these contents already have a vector."""
    wanted = list(dict.fromkeys(hashes))
    known: set[bytes] = set()
    for at in range(0, len(wanted), MOST_PARAMETERS):
        rows = await session.scalars(
            select(VectorRow.content_hash).where(
                VectorRow.collection_id == collection_id,
                VectorRow.space_id == space_id,
                VectorRow.content_hash.in_(wanted[at : at + MOST_PARAMETERS]),
            )
        )
        known.update(bytes(row) for row in rows)
    return known


async def put_vectors(
    session: AsyncSession,
    collection_id: UUID,
    space_id: UUID,
    vectors: Mapping[bytes, FloatVector],
) -> None:
    """Stores vectors by content hash; one that is there already stays.

    Raises:
        UnusableVector: one is of zeros or not finite; none was stored.
        ValueError: one is not of the space's width; likewise.
    """
    if not vectors:
        return
    dimensions = await session.scalar(select(SpaceRow.dimensions).where(SpaceRow.id == space_id))
    for content_hash, vector in vectors.items():
        if vector.shape != (dimensions,):
            raise ValueError(
                f"the vector of {content_hash.hex()} has shape {vector.shape}, "
                f"its space has {dimensions} dimensions"
            )
    for content_hash, reason in unusable_vectors(vectors).items():
        raise UnusableVector(
            f"the vector of content {content_hash.hex()[:16]} {reason}",
            hint="Look at what the embedding model makes of this text.",
        )
    # Sorted, so that two writers of the same contents wait for each other in one order.
    hashes = sorted(vectors)
    matrix = np.stack([vectors[content_hash] for content_hash in hashes])
    await insert_rows(
        session,
        VectorRow.metadata.tables[VectorRow.__tablename__],
        ("collection_id", "space_id", "content_hash", "vector"),
        [
            (collection_id, space_id, content_hash, row.tobytes())
            for content_hash, row in zip(hashes, matrix.astype("<f4"), strict=True)
        ],
        ignore=True,
    )


def unusable_vectors(vectors: Mapping[bytes, FloatVector]) -> dict[bytes, str]:
    """Those of these vectors that cannot be searched for, and what each is or has."""
    if not vectors:
        return {}
    hashes = sorted(vectors)
    matrix = np.stack([vectors[content_hash] for content_hash in hashes])
    is_finite = np.all(np.isfinite(matrix), axis=1).tolist()
    is_zero = (~np.any(matrix, axis=1)).tolist()
    return {
        content_hash: "is of zeros" if finite else "has a value that is not finite"
        for content_hash, finite, zero in zip(hashes, is_finite, is_zero, strict=True)
        if zero or not finite
    }


async def get_vectors(
    session: AsyncSession, collection_id: UUID, space_id: UUID, hashes: Sequence[bytes]
) -> dict[bytes, FloatVector]:
    """The stored vectors of these contents, float32 [dimensions] each; absent ones are left out."""
    found: dict[bytes, FloatVector] = {}
    wanted = list(dict.fromkeys(hashes))
    for at in range(0, len(wanted), MOST_PARAMETERS):
        rows = await session.execute(
            select(VectorRow.content_hash, VectorRow.vector).where(
                VectorRow.collection_id == collection_id,
                VectorRow.space_id == space_id,
                VectorRow.content_hash.in_(wanted[at : at + MOST_PARAMETERS]),
            )
        )
        found.update({bytes(key): np.frombuffer(value, "<f4") for key, value in rows})
    return found


async def vectors_of_chunks(
    session: AsyncSession, chunks: Sequence[UUID]
) -> dict[UUID, FloatVector]:
    """The vectors of chunks in their collections' spaces, float32 [dimensions] each, by chunk."""
    found: dict[UUID, FloatVector] = {}
    wanted = list(dict.fromkeys(chunks))
    for at in range(0, len(wanted), MOST_PARAMETERS):
        rows = await session.execute(
            select(ChunkRow.id, VectorRow.vector)
            .join(CollectionRow, CollectionRow.id == ChunkRow.collection_id)
            .join(
                VectorRow,
                (VectorRow.collection_id == ChunkRow.collection_id)
                & (VectorRow.space_id == CollectionRow.space_id)
                & (VectorRow.content_hash == ChunkRow.content_hash),
            )
            .where(ChunkRow.id.in_(wanted[at : at + MOST_PARAMETERS]))
        )
        found.update({chunk: np.frombuffer(value, "<f4") for chunk, value in rows})
    return found


async def release_vectors(
    session: AsyncSession, collection_id: UUID, hashes: Iterable[bytes]
) -> None:
    """Removes those of these contents' vectors that no chunk of the collection names any more."""
    used = exists().where(
        ChunkRow.collection_id == VectorRow.collection_id,
        ChunkRow.content_hash == VectorRow.content_hash,
    )
    released = sorted(set(hashes))
    for at in range(0, len(released), MOST_PARAMETERS):
        await session.execute(
            delete(VectorRow)
            .where(
                VectorRow.collection_id == collection_id,
                VectorRow.content_hash.in_(released[at : at + MOST_PARAMETERS]),
                ~used,
            )
            .execution_options(synchronize_session=False)
        )
