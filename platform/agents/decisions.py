"""What people decide on calls that runs wait for.

What always holds: a decision goes to the run whose call it is about and to all that wait for that
run, in one transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from rostra.agents.events import (
    ApprovalDecided,
    Paused,
    Record,
    ToolStarted,
    encode_event,
)
from rostra.agents.handing import call_of
from rostra.agents.rows import parent_of
from rostra.agents.stored_log import StoredLogs
from rostra.store import RunNotFound, add_decision, get_run

Decision = Literal["approve", "deny", "done", "retry"]
# Those that fit a pause, by its reason.
FITTING: Mapping[str, tuple[Decision, ...]] = MappingProxyType(
    {"approval": ("approve", "deny"), "outcome_unknown": ("done", "retry", "deny")}
)


def waits_for(records: Sequence[Record]) -> Paused | None:
    """The newest pause, with the calls that nobody has decided on yet."""
    decided: set[str] = set()
    for record in reversed(records):
        match record.event:
            case ApprovalDecided(call=call):
                decided.add(call)
            case Paused(reason=reason, calls=calls):
                return Paused(reason, [call for call in calls if call not in decided])
            case _:
                return None
    return None


async def write_decision(
    session: AsyncSession, logs: StoredLogs, run_id: UUID, word: ApprovalDecided
) -> dict[UUID, bool]:
    """Writes a decision to the run whose call it is about, and to those that wait for that run.

    Gives for each whether it was the last one that it waited for.
    """
    leaf, call = call_of(run_id, word.call)
    told: dict[UUID, bool] = {}
    attempts = 0
    at: UUID | None = leaf
    while at is not None:
        named = call if at == leaf else f"{leaf}:{call}"
        try:
            records = await logs.read(at)
            run = await get_run(session, at)
        except RunNotFound:  # Deleted since.
            if told or at == run_id:
                break
            at = run_id
            continue
        if at == leaf:
            attempts = _attempts(records, call)
        paused = waits_for(records)
        if paused is not None and named in paused.calls:
            event = msgspec.structs.replace(word, call=named, attempts=attempts)
            entry = (datetime.now(UTC), type(event).__name__, encode_event(event))
            told[at] = len(paused.calls) == 1
            await add_decision(session, at, records[-1].seq, entry, resume=told[at])
        at = parent_of(run)
    return told


def _attempts(records: Sequence[Record], call: str) -> int:
    """How often a call has begun."""
    begun = [one.event for one in records if isinstance(one.event, ToolStarted)]
    return sum(event.call.id == call for event in begun)
