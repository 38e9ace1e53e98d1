"""Ends of what a run leaves open when it ends: calls that began and whose end nobody has seen.

What always holds: in the log of a run that has ended, a call that can change something has an end,
and where nobody knows whether it happened that end says so. Runs that tasks were handed to are left
out: their own logs say what happened.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rostra.agents.events import Outcome, Record, RunEnded, RunEvent, ToolEnded, ToolStarted

_LOST = "The run ended during this call. What it does may have happened all the same."


def lost_calls(records: Iterable[Record]) -> list[ToolEnded]:
    """The ends of a log's open calls that can change something, in the order of their starts."""
    begun: dict[str, ToolStarted] = {}
    for record in records:
        match record.event:
            case ToolStarted(key=key, effect=effect, lent=None) as event if not effect.repeatable:
                begun[key] = event
            case ToolEnded(key=key):
                begun.pop(key, None)
    return [ToolEnded(key, one.call.id, Outcome.UNKNOWN, _LOST) for key, one in begun.items()]


def closing(records: Sequence[Record], ended: RunEnded) -> list[Record]:
    """What is to be written after the last event of a log that ends so."""
    events: list[RunEvent] = [*lost_calls(records), ended]
    now = datetime.now(UTC)
    return [Record(seq, now, event) for seq, event in enumerate(events, len(records) + 1)]
