"""Files of clients, and batches: requests of a file that are run in the background.

What always holds: a file's row is there only once its bytes are; only the holder of the current
fencing token reports on a batch; one whose runner died is claimed again once its lease has run out;
a batch that has ended never changes.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.core import Conflict, NotFound
from rostra.store.leases import LostLease, hold_oldest, unheld
from rostra.store.tables import BatchRow, FileRow, utc_now

UNFINISHED = ("validating", "in_progress", "finalizing", "cancelling")


class FileNotFound(NotFound):
    """No file has this id."""

    code = "file_not_found"


class BatchNotFound(NotFound):
    """No batch has this id."""

    code = "batch_not_found"


class BatchEnded(Conflict):
    """The batch has ended and can no longer be cancelled."""

    code = "batch_ended"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file without its bytes."""

    id: UUID
    filename: str
    purpose: str
    bytes: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as users see it.

    Attributes:
        output_file_id: of what succeeded; a file only once the batch has ended.
        error_file_id: of what failed; likewise.
        counts: `total`, `completed`, `failed` requests.
        errors: what is wrong with the input file: `code`, `message`, `line`, `param`.
        times: Unix seconds at which each status was reached.
    """

    id: UUID
    endpoint: str
    status: str
    input_file_id: UUID
    output_file_id: UUID
    error_file_id: UUID
    metadata: dict[str, Any]
    counts: dict[str, Any]
    errors: list[dict[str, Any]]
    times: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class BatchClaim:
    """A runner's hold on a batch."""

    batch: Batch
    fencing_token: int


async def add_file(
    session: AsyncSession, file_id: UUID, filename: str, purpose: str, size: int
) -> StoredFile:
    """Adds a file whose bytes are in their place."""
    row = FileRow(id=file_id, filename=filename, purpose=purpose, bytes=size)
    session.add(row)
    await session.flush()
    return _file(row)


async def get_file(session: AsyncSession, file_id: UUID) -> StoredFile:
    """A file by id.

    Raises:
        FileNotFound: there is none.
    """
    row = await session.get(FileRow, file_id)
    if row is None:
        raise FileNotFound(f"there is no file file-{file_id.hex}")
    return _file(row)


async def list_files(
    session: AsyncSession,
    *,
    purpose: str | None = None,
    after: UUID | None = None,
    limit: int = 100,
    newest_first: bool = True,
) -> list[StoredFile]:
    """Some files, beginning after one of them."""
    order = FileRow.id.desc() if newest_first else FileRow.id.asc()
    query = select(FileRow).order_by(order).limit(limit)
    if purpose is not None:
        query = query.where(FileRow.purpose == purpose)
    if after is not None:
        query = query.where(FileRow.id < after if newest_first else FileRow.id > after)
    return [_file(row) for row in await session.scalars(query)]


async def files_size(session: AsyncSession) -> tuple[int, int]:
    """How many files there are, and their bytes together."""
    query = select(func.count(), func.coalesce(func.sum(FileRow.bytes), 0))
    count, size = (await session.execute(query.select_from(FileRow))).one()
    return int(count), int(size)


async def delete_file(session: AsyncSession, file_id: UUID) -> None:
    """Removes a file's row.

    Raises:
        FileNotFound: there is none.
        Conflict: a batch still reads it.
    """
    await get_file(session, file_id)
    reader = await session.scalar(
        select(BatchRow.id)
        .where(BatchRow.input_file_id == file_id, BatchRow.status.in_(UNFINISHED))
        .limit(1)
    )
    if reader is not None:
        raise Conflict(
            f"batch_{reader.hex} still reads this file", hint="Cancel the batch, or wait for it."
        )
    await session.execute(delete(FileRow).where(FileRow.id == file_id))


async def create_batch(
    session: AsyncSession, endpoint: str, input_file_id: UUID, metadata: dict[str, Any]
) -> Batch:
    """Adds a batch to the queue."""
    row = BatchRow(
        endpoint=endpoint,
        input_file_id=input_file_id,
        meta=metadata,
        counts={"total": 0, "completed": 0, "failed": 0},
        errors=[],
        times={},
    )
    session.add(row)
    await session.flush()
    return _batch(row)


async def get_batch(session: AsyncSession, batch_id: UUID) -> Batch:
    """A batch by id.

    Raises:
        BatchNotFound: there is none.
    """
    row = await session.get(BatchRow, batch_id)
    if row is None:
        raise _missing(batch_id)
    return _batch(row)


async def list_batches(
    session: AsyncSession, *, after: UUID | None = None, limit: int = 20
) -> list[Batch]:
    """Some batches, newest first, beginning after one of them."""
    query = select(BatchRow).order_by(BatchRow.id.desc()).limit(limit)
    if after is not None:
        query = query.where(BatchRow.id < after)
    return [_batch(row) for row in await session.scalars(query)]


async def cancel_batch(session: AsyncSession, batch_id: UUID) -> Batch:
    """Asks for a batch's end; what is done of it stays.

    Raises:
        BatchNotFound: there is none.
        BatchEnded: it has ended already.
    """
    row = await session.scalar(select(BatchRow).where(BatchRow.id == batch_id).with_for_update())
    if row is None:
        raise _missing(batch_id)
    if row.status not in UNFINISHED:
        raise BatchEnded(f"batch_{batch_id.hex} is {row.status}")
    if row.status != "cancelling":
        row.status = "cancelling"
        row.times = row.times | {"cancelling": _seconds()}
        row.updated_at = utc_now()
        await session.flush()
    return _batch(row)


async def claim_batch(session: AsyncSession, lease: timedelta) -> BatchClaim | None:
    """Takes the oldest batch that nobody runs; None when there is none."""
    now = utc_now()
    waiting = and_(BatchRow.status.in_(UNFINISHED), unheld(BatchRow, now))
    row = await hold_oldest(session, BatchRow, waiting, now)
    if row is None:
        return None
    row.lease_expires_at = now + lease
    await session.flush()
    return BatchClaim(_batch(row), row.fencing_token)


async def report_batch(
    session: AsyncSession,
    held: BatchClaim,
    lease: timedelta | None,
    *,
    status: str | None = None,
    **values: Any,
) -> Batch:
    """Reports on a batch; returns how it stands, which tells whether it is to be cancelled.

    Args:
        held: the hold on it.
        lease: how long the hold goes on; None gives it up.
        status: a new status; one that goes on with the work does not undo a cancellation.
        values: columns to set: `counts`, `errors`.

    Raises:
        LostLease: the hold is no longer ours.
    """
    row = await session.scalar(
        select(BatchRow).where(BatchRow.id == held.batch.id).with_for_update()
    )
    if row is None or row.fencing_token != held.fencing_token or row.status not in UNFINISHED:
        raise LostLease(f"batch_{held.batch.id.hex} is held by another runner")
    if status is not None and (row.status != "cancelling" or status not in UNFINISHED):
        row.status = status
        row.times = {status: _seconds()} | row.times  # the first time counts
    now = utc_now()
    row.updated_at = now
    row.lease_expires_at = None if lease is None else now + lease
    for name, value in values.items():
        setattr(row, name, value)
    await session.flush()
    return _batch(row)


async def count_unfinished_batches(session: AsyncSession) -> int:
    """How many batches have not ended."""
    query = select(func.count()).select_from(BatchRow).where(BatchRow.status.in_(UNFINISHED))
    return await session.scalar(query) or 0


async def writes_to(session: AsyncSession, file_id: UUID) -> bool:
    """Whether a batch that has not ended writes its results to this file."""
    own = or_(BatchRow.output_file_id == file_id, BatchRow.error_file_id == file_id)
    found = await session.scalar(
        select(BatchRow.id).where(own, BatchRow.status.in_(UNFINISHED)).limit(1)
    )
    return found is not None


def _missing(batch_id: UUID) -> BatchNotFound:
    return BatchNotFound(f"there is no batch batch_{batch_id.hex}")


def _seconds() -> int:
    return int(utc_now().timestamp())


def _file(row: FileRow) -> StoredFile:
    return StoredFile(row.id, row.filename, row.purpose, row.bytes, row.created_at)


def _batch(row: BatchRow) -> Batch:
    return Batch(
        id=row.id,
        endpoint=row.endpoint,
        status=row.status,
        input_file_id=row.input_file_id,
        output_file_id=row.output_file_id,
        error_file_id=row.error_file_id,
        metadata=row.meta,
        counts=row.counts,
        errors=row.errors,
        times=row.times,
        created_at=row.created_at,
    )
