"""Runs of agents and their logs: executed by one process at a time, appended to, never changed.

What always holds: a run's events are numbered from 1 without gaps, and `last_seq` is the last one's
number; only the holder of the newest fencing token appends, and only while the run is running, so
of two processes that believe to execute a run one is told `LostLease` and has written nothing. A
paused run goes on only by a decision. A run that has ended never changes.

What the events mean is known to `rostra.agents`; here they are a time, a type and bytes.
"""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.core import Conflict, NotFound, new_id
from rostra.store.leases import lost, report, unheld
from rostra.store.prepared import Prepared
from rostra.store.tables import Base, RunEventRow, RunRow, utc_now

Entry = tuple[datetime, str, bytes]
"""An event to be appended: when it happened, its type, and its JSON."""

_RUNS = Base.metadata.tables[RunRow.__tablename__]
_EVENTS = Base.metadata.tables[RunEventRow.__tablename__]

# Made once: an append is on the path of every step, and most of its cost would be building these.
_ADVANCE = (
    update(_RUNS)
    .where(
        _RUNS.c.id == bindparam("run"),
        _RUNS.c.fencing_token == bindparam("token"),
        _RUNS.c.last_seq == bindparam("after"),
        _RUNS.c.status == "running",
    )
    .values(last_seq=bindparam("last"), updated_at=bindparam("now"))
)
_ADVANCE_AND_STOP = _ADVANCE.values(
    status=bindparam("new_status"), attempts=0, lease_owner=None, lease_expires_at=None
)
_ADD = insert(_EVENTS)
_WEAK = text("SET LOCAL synchronous_commit = off")
_STRONG = text("SET LOCAL synchronous_commit = on")


class RunNotFound(NotFound):
    """No run has this id."""

    code = "run_not_found"


class RunConflict(Conflict):
    """A run is not in the state that this needs: it has ended, is not paused, or is executed."""

    code = "run_conflict"


@dataclass(frozen=True, slots=True)
class Run:
    """A run without its events.

    Attributes:
        config: how it was asked for, as given to `create_run`.
        status: `running`, `paused`, or how it ended.
        attempts: how often its execution was begun and neither ended, paused nor given back.
        held: whether somebody executes it now, `holder` until `held_until` if it is not heard of.
    """

    id: UUID
    task: str
    strategy: str
    config: dict[str, Any]
    user: str
    parent: UUID | None
    status: str
    last_seq: int
    attempts: int
    held: bool = field(compare=False)
    created_at: datetime
    updated_at: datetime = field(compare=False)
    holder: str | None = field(default=None, compare=False)
    held_until: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class RunClaim:
    """A process's hold on a run."""

    run: Run
    fencing_token: int


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event of a run's log; `data` is its JSON."""

    seq: int
    at: datetime
    type: str
    data: bytes


# --- Runs ---


async def create_run(
    session: AsyncSession,
    *,
    task: str,
    strategy: str,
    config: dict[str, Any] | None = None,
    user: str = "",
    parent: UUID | None = None,
    run_id: UUID | None = None,
) -> Run:
    """Adds a run with an empty log; it waits to be claimed. Its id is a new one by default."""
    row = RunRow(
        id=run_id or new_id(),
        task=task,
        strategy=strategy,
        config=config or {},
        user=user,
        parent=parent,
        status="running",
        last_seq=0,
        attempts=0,
        fencing_token=0,
    )
    session.add(row)
    await session.flush()
    return _run(row)


async def get_run(session: AsyncSession, run_id: UUID) -> Run:
    """A run by id.

    Raises:
        RunNotFound: there is none.
    """
    row = await session.get(RunRow, run_id, populate_existing=True)
    if row is None:
        raise _missing(run_id)
    return _run(row)


async def lock_run(session: AsyncSession, run_id: UUID) -> Run:
    """A run by id, as it stays until this transaction ends.

    Raises:
        RunNotFound: there is none.
    """
    return _run(await _locked(session, run_id))


async def list_runs(
    session: AsyncSession,
    user: str | None = None,
    status: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> tuple[list[Run], int]:
    """One page of runs, the newest first, and how many there are in all.

    Args:
        session: any.
        user: whose; None is everybody's.
        status: only of this one.
        limit: most of the page.
        offset: left out before it.
    """
    conditions = []
    if user is not None:
        conditions.append(RunRow.user == user)
    if status is not None:
        conditions.append(RunRow.status == status)
    total = await session.scalar(select(func.count()).select_from(RunRow).where(*conditions))
    rows = await session.scalars(
        select(RunRow)
        .where(*conditions)
        .order_by(RunRow.id.desc())
        .limit(limit)
        .offset(offset)
        .execution_options(populate_existing=True)
    )
    return [_run(row) for row in rows], total or 0


async def delete_run(session: AsyncSession, run_id: UUID) -> None:
    """Removes a run with its events.

    Raises:
        RunNotFound: there is none.
        RunConflict: it is executed; cancel it first.
    """
    row = await _locked(session, run_id)
    if row.status == "running" and _run(row).held:
        raise RunConflict(f"run {run_id} is being executed", hint="Cancel it first.")
    await session.execute(delete(RunRow).where(RunRow.id == run_id))


# --- Holds ---


async def claim_run(
    session: AsyncSession,
    owner: str,
    lease: timedelta,
    run_id: UUID | None = None,
    *,
    only: Mapping[str, str] | None = None,
    but: Collection[UUID] = (),
) -> RunClaim | None:
    """Takes a run that nobody executes; None when there is none.

    Args:
        session: a writing session.
        owner: name of the process, for people to read.
        lease: how long the hold lasts without a heartbeat.
        run_id: this one only; by default the oldest.
        only: values that its `config` has to have.
        but: none of these.
    """
    now = utc_now()
    query = (
        select(RunRow)
        .where(RunRow.status == "running", unheld(RunRow, now))
        .order_by(RunRow.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    if run_id is not None:
        query = query.where(RunRow.id == run_id)
    if but:
        query = query.where(RunRow.id.not_in(but))
    for name, value in (only or {}).items():
        query = query.where(RunRow.config[name].as_string() == value)
    row = await session.scalar(query)
    return None if row is None else await _hold(session, row, owner, lease)


async def seize_run(session: AsyncSession, run_id: UUID, owner: str, lease: timedelta) -> RunClaim:
    """Takes a run whoever holds it, as one does to cancel it; a paused one runs again.

    The former holder's next append or heartbeat is refused. Until this transaction ends nobody
    else appends, so what is read of the log now is all of it.

    Raises:
        RunNotFound: there is none.
        RunConflict: it has ended.
    """
    row = await _locked(session, run_id)
    if row.status not in ("running", "paused"):
        raise RunConflict(f"run {run_id} has ended: it is {row.status}")
    row.status = "running"
    return await _hold(session, row, owner, lease)


async def heartbeat_run(session: AsyncSession, held: RunClaim, lease: timedelta) -> None:
    """Extends the hold.

    Raises:
        LostLease: the hold is no longer ours, or the run has stopped.
    """
    await report(
        session, RunRow, held.run.id, held.fencing_token, lease_expires_at=utc_now() + lease
    )


async def release_run(session: AsyncSession, held: RunClaim) -> None:
    """Gives an unfinished run back, as an orderly shutdown does; it does not count as an attempt.

    Raises:
        LostLease: the hold is no longer ours, or the run has stopped.
    """
    await report(
        session,
        RunRow,
        held.run.id,
        held.fencing_token,
        attempts=RunRow.attempts - 1,
        lease_owner=None,
        lease_expires_at=None,
    )


async def change_config(session: AsyncSession, held: RunClaim, **values: Any) -> None:
    """Sets values of a run's `config`, as its holder.

    Raises:
        LostLease: the hold is no longer ours, or the run has stopped.
    """
    config = {**held.run.config, **values}
    await report(session, RunRow, held.run.id, held.fencing_token, config=config)


# --- Events ---


async def append_events(
    session: AsyncSession,
    run_id: UUID,
    after_seq: int,
    events: Sequence[Entry],
    *,
    token: int,
    status: str | None = None,
) -> None:
    """Appends events as the run's holder, in this session's transaction.

    `RunLog` does the same in a transaction of its own, faster.

    Args:
        session: a writing session.
        run_id: whose log.
        after_seq: number of the last event that the caller knows of.
        events: numbered from the next on.
        token: the holder's.
        status: `paused`, or how the run ended; both end the hold.

    Raises:
        LostLease: somebody else holds the run, it has stopped, or its log has gone on.
    """
    connection = await session.connection()
    await connection.run_sync(append, run_id, after_seq, events, token, status)


def append(
    connection: Connection,
    run_id: UUID,
    after_seq: int,
    events: Sequence[Entry],
    token: int,
    status: str | None = None,
    durable: bool = True,
) -> None:
    """`append_events` over a connection; `durable` is `RunLog`'s, for PostgreSQL."""
    if connection.dialect.name == "postgresql":
        connection.execute(_STRONG if durable else _WEAK)
    advance = _ADVANCE if status is None else _ADVANCE_AND_STOP
    changed = connection.execute(advance, _advanced(run_id, after_seq, events, token, status))
    if changed.rowcount != 1:
        raise lost(RunRow, run_id)
    if events:
        connection.execute(_ADD, _added(run_id, after_seq, events))


class SqliteAppend:
    """`append` as one transaction straight over SQLite's driver, at a fraction of its cost."""

    def __init__(self) -> None:
        self._advance = Prepared(_ADVANCE)
        self._advance_and_stop = Prepared(_ADVANCE_AND_STOP)
        self._add = Prepared(_ADD, ("run_id", "seq", "at", "type", "data"))

    def __call__(
        self,
        connection: sqlite3.Connection,
        run_id: UUID,
        after_seq: int,
        events: Sequence[Entry],
        token: int,
        status: str | None = None,
    ) -> None:
        """See `append_events`.

        Args:
            connection: in no transaction, and none begins by itself.

        Raises:
            LostLease: nothing is written.
            sqlite3.Error: nothing is written.
        """
        advance = self._advance if status is None else self._advance_and_stop
        connection.execute("BEGIN IMMEDIATE")
        try:
            values = _advanced(run_id, after_seq, events, token, status)
            if advance.execute(connection, values) != 1:
                raise lost(RunRow, run_id)
            if events:
                self._add.execute_many(connection, _added(run_id, after_seq, events))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _advanced(
    run_id: UUID, after_seq: int, events: Sequence[Entry], token: int, status: str | None
) -> dict[str, Any]:
    values: dict[str, Any] = {
        "run": run_id,
        "token": token,
        "after": after_seq,
        "last": after_seq + len(events),
        "now": utc_now(),
    }
    if status is not None:
        values["new_status"] = status
    return values


def _added(run_id: UUID, after_seq: int, events: Sequence[Entry]) -> list[dict[str, Any]]:
    return [
        {"run_id": run_id, "seq": seq, "at": at, "type": kind, "data": data}
        for seq, (at, kind, data) in enumerate(events, after_seq + 1)
    ]


async def read_events(
    session: AsyncSession, run_id: UUID, after: int = 0, limit: int = 1000
) -> list[StoredEvent]:
    """A run's events from number `after + 1` on, at most `limit`; of no run there are none."""
    rows = await session.execute(
        select(_EVENTS.c.seq, _EVENTS.c.at, _EVENTS.c.type, _EVENTS.c.data)
        .where(_EVENTS.c.run_id == run_id, _EVENTS.c.seq > after)
        .order_by(_EVENTS.c.seq)
        .limit(limit)
    )
    return [StoredEvent(seq, at, kind, bytes(data)) for seq, at, kind, data in rows]


async def copy_events(session: AsyncSession, source: UUID, target: UUID, upto: int) -> int:
    """Begins a run's empty log with another's events 1 to `upto`; how many that were.

    Raises:
        RunNotFound: the target is gone.
        RunConflict: the target's log is not empty.
    """
    row = await _locked(session, target)
    if row.last_seq:
        raise RunConflict(f"run {target} has events already")
    copied = select(
        literal(target, _EVENTS.c.run_id.type),
        _EVENTS.c.seq,
        _EVENTS.c.at,
        _EVENTS.c.type,
        _EVENTS.c.data,
    ).where(_EVENTS.c.run_id == source, _EVENTS.c.seq <= upto)
    await session.execute(
        insert(_EVENTS).from_select(["run_id", "seq", "at", "type", "data"], copied)
    )
    last = await session.scalar(select(func.max(_EVENTS.c.seq)).where(_EVENTS.c.run_id == target))
    row.last_seq = last or 0
    await session.flush()
    return row.last_seq


async def add_decision(
    session: AsyncSession, run_id: UUID, after_seq: int, event: Entry, *, resume: bool = True
) -> None:
    """Appends a person's word to a paused run's log.

    Args:
        session: a writing session.
        run_id: the run.
        after_seq: number of the last event that the person's view showed; of two who decide at
            once, one is refused.
        event: the decision.
        resume: whether the run can now be claimed; False while more is to be decided.

    Raises:
        RunNotFound: there is none.
        RunConflict: it is not paused, or its log has gone on.
    """
    row = await _locked(session, run_id)
    if row.status != "paused":
        raise RunConflict(f"run {run_id} is not paused: it is {row.status}")
    if row.last_seq != after_seq:
        raise RunConflict(f"run {run_id} has gone on", hint="Look at it again.")
    row.status = "running" if resume else "paused"
    row.last_seq = after_seq + 1
    row.attempts = 0
    row.updated_at = utc_now()
    await session.flush()
    at, kind, data = event
    await session.execute(
        insert(_EVENTS),
        {"run_id": run_id, "seq": after_seq + 1, "at": at, "type": kind, "data": data},
    )


async def _hold(session: AsyncSession, row: RunRow, owner: str, lease: timedelta) -> RunClaim:
    now = utc_now()
    row.fencing_token += 1
    row.attempts += 1
    row.lease_owner = owner[:64]
    row.lease_expires_at = now + lease
    row.updated_at = now
    await session.flush()
    return RunClaim(_run(row), row.fencing_token)


async def _locked(session: AsyncSession, run_id: UUID) -> RunRow:
    row = await session.scalar(
        select(RunRow)
        .where(RunRow.id == run_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise _missing(run_id)
    return row


def _run(row: RunRow) -> Run:
    return Run(
        id=row.id,
        task=row.task,
        strategy=row.strategy,
        config=row.config,
        user=row.user,
        parent=row.parent,
        status=row.status,
        last_seq=row.last_seq,
        attempts=row.attempts,
        held=row.lease_expires_at is not None and row.lease_expires_at >= utc_now(),
        created_at=row.created_at,
        updated_at=row.updated_at,
        holder=row.lease_owner,
        held_until=row.lease_expires_at,
    )


def _missing(run_id: UUID) -> RunNotFound:
    return RunNotFound(f"there is no run {run_id}")
