"""Facts about users, kept between runs.

What always holds: a user's facts differ from each other; a fact whose time is over is not read any
more, and is deleted when the next one is kept; a user has at most as many as `put_memory` is told,
the ones longest not said again giving way.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.core import NotFound, new_id
from rostra.store.tables import MemoryRow, utc_now


class MemoryNotFound(NotFound):
    """No memory of this user has this id."""

    code = "memory_not_found"


@dataclass(frozen=True, slots=True)
class Memory:
    """A fact about a user.

    Attributes:
        source: who or what said so: `user`, or a run.
        expires_at: from then on it is not read any more; None is never.
        updated_at: when it was last said.
    """

    id: UUID
    user: str
    text: str
    source: str
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime


async def put_memory(
    session: AsyncSession,
    user: str,
    text: str,
    *,
    source: str,
    expires_at: datetime | None = None,
    most: int = 1000,
) -> Memory:
    """Keeps a fact; one that is there gets the new source and expiry.

    Args:
        session: a writing session.
        user: about whom.
        text: one statement, not empty.
        source: who or what said so.
        expires_at: aware; None is never.
        most: facts of one user; beyond, the ones longest not said again are deleted.
    """
    now = utc_now()
    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    said = {"source": source, "expires_at": expires_at, "updated_at": now}
    query = make(MemoryRow).values(
        id=new_id(),
        user=user,
        text=text,
        digest=hashlib.sha256(text.encode()).digest(),
        created_at=now,
        **said,
    )
    query = query.on_conflict_do_update(index_elements=["user_name", "digest"], set_=said)
    kept = await session.scalar(query.returning(MemoryRow.id))
    await session.execute(delete(MemoryRow).where(MemoryRow.expires_at < now))
    surplus = (
        select(MemoryRow.id)
        .where(MemoryRow.user == user, MemoryRow.id != kept)
        .order_by(MemoryRow.updated_at.desc(), MemoryRow.id.desc())
        .offset(most - 1)
    )
    await session.execute(
        delete(MemoryRow).where(MemoryRow.id.in_((await session.scalars(surplus)).all()))
    )
    row = (
        await session.scalars(
            select(MemoryRow).where(MemoryRow.id == kept).execution_options(populate_existing=True)
        )
    ).one_or_none()
    if row is None:
        # It was over before it was kept.
        return Memory(new_id(), user, text, source, expires_at, now, now)
    return _memory(row)


async def list_memories(
    session: AsyncSession, user: str, limit: int = 50, offset: int = 0
) -> tuple[list[Memory], int]:
    """One page of a user's facts, the last said first, and how many there are in all."""
    valid = _valid(user)
    total = await session.scalar(select(func.count()).select_from(MemoryRow).where(*valid))
    rows = await session.scalars(
        select(MemoryRow)
        .where(*valid)
        .order_by(MemoryRow.updated_at.desc(), MemoryRow.id.desc())
        .limit(limit)
        .offset(offset)
    )
    return [_memory(row) for row in rows], total or 0


async def delete_memory(session: AsyncSession, user: str, memory_id: UUID) -> None:
    """Removes one fact.

    Raises:
        MemoryNotFound: the user has none with this id.
    """
    found = await session.execute(
        delete(MemoryRow)
        .where(MemoryRow.id == memory_id, MemoryRow.user == user)
        .returning(MemoryRow.id)
    )
    if found.one_or_none() is None:
        raise MemoryNotFound(f"there is no memory {memory_id}")


async def delete_memories(session: AsyncSession, user: str) -> int:
    """Removes all facts about a user; how many they were."""
    found = await session.execute(
        delete(MemoryRow).where(MemoryRow.user == user).returning(MemoryRow.id)
    )
    return len(found.all())


def _valid(user: str) -> tuple[ColumnElement[bool], ...]:
    alive = or_(MemoryRow.expires_at.is_(None), MemoryRow.expires_at >= utc_now())
    return MemoryRow.user == user, alive


def _memory(row: MemoryRow) -> Memory:
    return Memory(
        row.id, row.user, row.text, row.source, row.expires_at, row.created_at, row.updated_at
    )
