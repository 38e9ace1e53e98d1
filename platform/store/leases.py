"""Leases: work that one process at a time holds.

What always holds: each hold has a fencing token greater than all before it, and only who has the
newest reports; a hold whose lease ran out counts until somebody else takes the work.
"""

from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.core import Conflict
from rostra.store.tables import BatchRow, JobRow, RunRow, utc_now

Leased = type[BatchRow] | type[JobRow] | type[RunRow]
Row = TypeVar("Row", BatchRow, JobRow, RunRow)


class LostLease(Conflict):
    """Another worker holds the work now; this one must stop working on it."""

    code = "lost_lease"


def unheld(table: Leased, now: datetime) -> ColumnElement[bool]:
    """Nobody holds it, or its holder has not been heard of for too long."""
    return or_(table.lease_expires_at.is_(None), table.lease_expires_at < now)


async def hold_oldest(
    session: AsyncSession, table: type[Row], which: ColumnElement[bool], now: datetime
) -> Row | None:
    """Takes the oldest work among what is wanted and not being taken; its lease is yet to be set.

    Args:
        session: a writing session.
        table: of the work.
        which: what is wanted, see `unheld`.
        now: the time that `which` was made for.
    """
    row = await session.scalar(
        select(table).where(which).order_by(table.id).limit(1).with_for_update(skip_locked=True)
    )
    if row is not None:
        row.fencing_token += 1
        row.updated_at = now
    return row


async def report(
    session: AsyncSession, table: Leased, key: UUID, token: int, **values: Any
) -> None:
    """Sets columns of running work, as its holder.

    Raises:
        LostLease: the token is not the newest, or the work has ended.
    """
    changed = await session.execute(
        update(table)
        .where(table.id == key, table.fencing_token == token, table.status == "running")
        .values(updated_at=utc_now(), **values)
        .returning(table.id)
    )
    if changed.one_or_none() is None:
        raise lost(table, key)


def lost(table: Leased, key: UUID) -> LostLease:
    """The error of a hold that is over."""
    kind = table.__tablename__.removesuffix("s")
    return LostLease(f"{kind} {key} is held by another worker, or has ended")
