"""The log of one execution of a run: it gives back what is there and writes what is new.

What always holds: an event is written once, however often its run is executed. Where an event is
there and would be written differently now, because the model or a prompt has changed since, the
log's holds: what was said and done is. A replay is strict: there it raises `ReplayDiverged`. `keep`
is on disk when it returns, with all that was `put` before it; what was only `put` may be lost with
the process, and is written by the next execution. Who is cancelled in `keep` is so once the write
has ended.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Protocol, TypeVar

import msgspec

from rostra.agents.errors import ReplayDiverged
from rostra.agents.events import (
    ApprovalDecided,
    Budget,
    Decided,
    Equipped,
    ModelAnswered,
    ModelAsked,
    ModelCut,
    Paused,
    Planned,
    Record,
    Resumed,
    RunEnded,
    RunEvent,
    RunStarted,
    Spent,
    ToolEnded,
    ToolStarted,
    Usage,
    Verified,
)
from rostra.agents.lending import Loans, plus

E = TypeVar("E")
_REPEATED = (ModelAsked, ModelAnswered, ToolEnded, Decided, Planned, Verified)


class Log(Protocol):
    """Where a run's events are kept, for the one who executes it."""

    async def append(self, records: Sequence[Record]) -> None:
        """Writes further events, all or none; on disk when it returns.

        Raises:
            LostLease: somebody else executes the run now.
        """
        ...


class MemoryLog:
    """A log that is gone with the process."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    async def append(self, records: Sequence[Record]) -> None:
        """See `Log.append`."""
        self.records += records


class Journal:
    """See this module.

    Args:
        log: takes new events.
        records: all that the log has.
        clock: the time as recorded; aware, UTC.
        strict: refuse events that differ from the log's; models' names aside, which say nothing
            of the program.
    """

    def __init__(
        self,
        log: Log,
        records: Iterable[Record] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        strict: bool = False,
    ) -> None:
        self.records = list(records)
        self._log = log
        self._clock = clock
        self._strict = strict
        self._waiting: list[Record] = []
        self._writing = asyncio.Lock()
        self._found = {_place(record.event): record.event for record in self.records}
        self._old = len(self.records)
        self._seen: set[tuple[type, str]] = set()
        self._spent = _spent_by(self.records)
        self._earlier = self._spent.seconds
        self._began: datetime | None = None
        self.loans = Loans()
        for record in self.records:
            self.loans.see(record.event)

    def find(self, kind: type[E], key: str) -> E | None:
        """The event of a kind under a key (or, of a decision, for a call), if it is there."""
        place = (kind, key)
        event = self._found.get(place)
        if not isinstance(event, kind):
            return None
        self._seen.add(place)
        return event

    def put(self, event: RunEvent) -> None:
        """Writes an event with the next `keep`, unless it is there.

        Raises:
            ReplayDiverged: another one is there, and the journal is strict.
        """
        place = _place(event)
        self._seen.add(place)
        there = self._found.get(place)
        if there is not None:
            if self._strict and _compared(there) != _compared(event):
                raise another(event, place[1])
            return
        record = Record(len(self.records) + 1, self._clock(), event)
        self._found[place] = event
        self.records.append(record)
        self._waiting.append(record)
        self._spent = _with(self._spent, event)
        self.loans.see(event)

    async def keep(self, *events: RunEvent) -> None:
        """Writes events, and all that waits, before it returns."""
        for event in events:
            self.put(event)
        # One at a time, in order; who waits meanwhile is written together.
        async with self._writing:
            if not self._waiting:
                return
            waiting, self._waiting = self._waiting, []
            writing = asyncio.create_task(self._log.append(waiting))
            try:
                await _ended(writing)
            finally:
                # Cancelled or not: what is on disk is not written again, what is not waits on.
                if writing.cancelled() or writing.exception() is not None:
                    self._waiting = waiting + self._waiting
            writing.result()

    def unseen(self) -> list[Record]:
        """Effects and conclusions that were there at the beginning and did not happen again.

        What people and the world did to the run (decisions, pauses, attempts that were broken
        off) is no part of what an execution does.
        """
        return [
            record
            for record in self.records[: self._old]
            if isinstance(record.event, _REPEATED) and _place(record.event) not in self._seen
        ]

    def spent(self) -> Spent:
        """What the run has used up to now."""
        seconds = self._earlier + _between(self._began, self._clock())
        return msgspec.structs.replace(self._spent, seconds=seconds)

    def begin(self) -> None:
        """Starts the clock of this execution, unless it runs; before, none does."""
        if self._began is None:
            self._began = self._clock()


def another(event: RunEvent, key: str) -> ReplayDiverged:
    """The error of an event in whose place the log has another one."""
    return ReplayDiverged(
        f"the run's log has another {type(event).__name__} under {key!r}",
        hint="The program or its prompts changed since.",
    )


def _compared(event: RunEvent) -> RunEvent:
    return msgspec.structs.replace(event, model="") if isinstance(event, ModelAsked) else event


async def _ended(writing: asyncio.Task[None]) -> None:
    """Waits for the end of a write; who is cancelled meanwhile learns of it afterwards."""
    cancelled: asyncio.CancelledError | None = None
    while not writing.done():
        try:
            await asyncio.wait([writing])
        except asyncio.CancelledError as again:
            cancelled = again
    if cancelled is not None:
        raise cancelled


def over(spent: Spent, budget: Budget) -> str | None:
    """The name of a budget that is used up, if one is."""
    for name in ("steps", "tokens", "seconds", "cost", "calls"):
        most = getattr(budget, name)
        if most is not None and getattr(spent, name) >= most:
            return name
    return None


def _place(event: RunEvent) -> tuple[type, str]:
    """Where an event is found again: equal for an event and its like in another execution."""
    match event:
        case RunStarted() | Equipped() | RunEnded():
            return type(event), ""
        case Paused() | Resumed() | ModelCut():
            # Of one execution; no other has the like.
            return type(event), f"@{id(event)}"
        case ApprovalDecided(call=call, attempts=attempts):
            return ApprovalDecided, decision_key(call, attempts)
        case ToolStarted(key=key, attempt=attempt):
            return ToolStarted, attempt_key(key, attempt)
    return type(event), event.key


def attempt_key(key: str, attempt: int) -> str:
    """The key under which the start of a call's attempt is found."""
    return key if attempt == 1 else f"{key}#{attempt}"


def decision_key(call: str, attempts: int) -> str:
    """The key under which a word on a call is found, after so many attempts at it."""
    return call if attempts == 0 else f"{call}#{attempts}"


def _spent_by(records: Iterable[Record]) -> Spent:
    """What a log's executions used together; one that died did so after its last event."""
    spent, seconds = Spent(), 0.0
    began: datetime | None = None
    ended: datetime | None = None
    for record in records:
        spent = _with(spent, record.event)
        match record.event:
            case RunStarted() | Resumed():
                seconds += _between(began, ended)
                began = ended = record.at
            case Paused():
                seconds += _between(began, record.at)
                began = ended = None
            case ApprovalDecided():
                pass  # A person's, at any time.
            case _:
                ended = record.at
    return msgspec.structs.replace(spent, seconds=seconds + _between(began, ended))


def _between(began: datetime | None, ended: datetime | None) -> float:
    if began is None or ended is None:
        return 0.0
    return max(0.0, (ended - began).total_seconds())


def _with(spent: Spent, event: RunEvent) -> Spent:
    """What is spent once an event has happened; seconds apart."""
    match event:
        case ModelAsked():
            more = Spent(steps=1)
        case ModelAnswered(usage=usage):
            more = _used(usage)
        case ModelCut(usage=usage):
            more = _used(usage)
        case ToolStarted(attempt=1):
            more = Spent(calls=1)
        case ToolEnded(spent=Spent() as more):
            pass
        case _:
            return spent
    return plus(spent, more)


def _used(usage: Usage) -> Spent:
    tokens = usage.prompt_tokens + usage.completion_tokens
    return Spent(tokens=tokens, cost=usage.cost, estimated=usage.estimated)
