"""What a run's log says in short: how it began, how it ended, what it used, what it waits for.

What always holds: it is computed from the log alone, and reads a log that is still being written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from rostra.agents.events import (
    INTERRUPTED,
    ApprovalAsked,
    ApprovalDecided,
    Effect,
    Equipped,
    Paused,
    PlannedCall,
    Record,
    Resumed,
    RunEnded,
    RunStarted,
    Spent,
    ToolStarted,
    decode_event,
)
from rostra.agents.journal import Journal, MemoryLog
from rostra.store import Database, get_run, read_events

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call that a person is to decide on.

    Attributes:
        reason: `approval` or `outcome_unknown`.
        why: reasons for which it needs an approval.
        decisions: what can be said, the most careful last.
    """

    call: PlannedCall
    effect: Effect
    reason: str
    why: tuple[str, ...]
    decisions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """A run in short; None where its log has not come so far.

    Attributes:
        model: name of the main model that it is executed with now.
        error: code and message of what made it end or stop, if something went wrong.
    """

    started: RunStarted | None
    ended: RunEnded | None
    model: str
    error: dict[str, Any] | None
    spent: Spent
    tools: tuple[str, ...]
    problems: tuple[str, ...]
    waiting: tuple[Waiting, ...]


def outline(records: Sequence[Record]) -> Outline:
    """Reads a run's log from its first event on."""
    first = records[0].event if records else None
    last = records[-1].event if records else None
    equipped = next((r.event for r in records if isinstance(r.event, Equipped)), None)
    ended = last if isinstance(last, RunEnded) else None
    return Outline(
        started=first if isinstance(first, RunStarted) else None,
        ended=ended,
        model=_model(records),
        error=last.error if isinstance(last, RunEnded | Paused) else None,
        spent=ended.spent if ended else Journal(MemoryLog(), records).spent(),
        tools=tuple(tool.name for tool in equipped.tools) if equipped else (),
        problems=tuple(equipped.problems) if equipped else (),
        waiting=tuple(waiting(records)),
    )


def _model(records: Sequence[Record]) -> str:
    """Of the last execution; one that went on with the first one's names none."""
    first = records[0].event if records else None
    begun = first.model if isinstance(first, RunStarted) else ""
    resumed = (r.event for r in reversed(records) if isinstance(r.event, Resumed))
    last = next(resumed, None)
    return last.model if last is not None and last.model else begun


def waiting(records: Sequence[Record]) -> list[Waiting]:
    """The calls that a paused run's newest pause waits for and nobody has decided on."""
    decided: set[str] = set()
    for at in range(len(records) - 1, -1, -1):
        match records[at].event:
            case ApprovalDecided(call=call):
                decided.add(call)
            case Paused(reason=reason, calls=calls):
                known = _calls(records[:at])
                return [_waiting(reason, call, known) for call in calls if call not in decided]
            case _:
                return []
    return []


def interruption(records: Sequence[Record]) -> Paused | None:
    """The pause of a run that waits for nothing but somebody who resumes it."""
    match records[-1].event if records else None:
        case Paused(reason=reason) as paused if reason == INTERRUPTED:
            return paused
    return None


async def read_log(database: Database, run_id: UUID) -> list[Record]:
    """A run's whole log as it is now.

    Raises:
        RunNotFound: there is no such run.
    """
    records: list[Record] = []
    async with database.read() as session:
        await get_run(session, run_id)
        while page := await read_events(session, run_id, len(records), _PAGE):
            records += [Record(one.seq, one.at, decode_event(one.data)) for one in page]
    return records


def _calls(records: Sequence[Record]) -> dict[str, ApprovalAsked | ToolStarted]:
    return {
        record.event.call.id: record.event
        for record in records
        if isinstance(record.event, ApprovalAsked | ToolStarted)
    }


def _waiting(reason: str, call: str, known: dict[str, ApprovalAsked | ToolStarted]) -> Waiting:
    event = known.get(call)
    decisions = ("approve", "deny") if reason == "approval" else ("done", "retry", "deny")
    if event is None:
        return Waiting(PlannedCall(call, "", {}), Effect.UNKNOWN, reason, (), decisions)
    why = tuple(event.reasons) if isinstance(event, ApprovalAsked) else ()
    return Waiting(event.call, event.effect, reason, why, decisions)
