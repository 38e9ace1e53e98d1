"""The runs that other runs hand tasks to: begun once, watched, and ended with who waits for them.

A run's id follows from the call that began it, so that the call, made again after an interruption,
finds it. Its words to a person go through the runs that wait for it: they pause with it, and name
its call as `RUN:CALL`; a decision is written to all of them at once.

What always holds: a call begins at most one run; a run that was handed its task does not outlive
the one that waits for it by more than the step at hand.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol
from uuid import UUID

from rostra.agents.driver import RunRequest
from rostra.agents.errors import RunPaused
from rostra.agents.events import (
    ApprovalAsked,
    Paused,
    PlannedCall,
    Record,
    RunEnded,
    Status,
    ToolEnded,
    ToolStarted,
)
from rostra.agents.outlines import Waiting, read_log, waiting
from rostra.agents.strategies.handoff import HandedBack
from rostra.core import parse_id
from rostra.store import Database

_UUID_CHARS = 36


class Runs(Protocol):
    """What of `Agents` is needed here."""

    async def start(self, request: RunRequest, *, run_id: UUID, parent: UUID) -> UUID: ...

    async def resume(self, run_id: UUID) -> bool: ...

    async def wait(self, run_id: UUID) -> Record: ...


async def hand_over(
    runs: Runs, database: Database, parent: UUID, request: RunRequest, *, patience: float = 10.0
) -> HandedBack:
    """Works on a task in the run that a call has begun, or begins it, and waits for its end.

    Args:
        parent: the run that the call is made in.
        request: its `handed` names the call.
        patience: seconds after which it is looked whether the process that executes it has died.

    Raises:
        RunPaused: it waits for a person.
        RunConflict: the parent has ended.
        Overloaded: too many runs are executed here.
    """
    if request.handed is None:
        raise ValueError("a request that nobody handed over")
    child = child_id(parent, request.handed.call)
    await runs.start(request, run_id=child, parent=parent)
    while True:
        await runs.resume(child)
        last: Record | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                last = await runs.wait(child)
        match last.event if last is not None else None:
            case RunEnded() as ended:
                return _handed_back(child, ended)
            case Paused(reason=reason, error=error) if error is not None:
                # It could not go on; who resumes this run has it tried again.
                raise RunPaused(reason, [], error=error)
            case Paused():
                # Unless somebody has decided meanwhile.
                if asked := waiting(await read_log(database, child)):
                    raise _passed_on(child, request.handed.agent, asked)


def child_id(parent: UUID, call: str) -> UUID:
    """The run that a call begins: a UUIDv7 of the parent's time, so that both are listed together,
    its other bits of a hash."""
    mark = hashlib.sha256(f"{parent}:{call}".encode()).digest()
    number = int.from_bytes(parent.bytes[:6] + mark[:10])
    number = number & ~(0xF << 76) | 0x7 << 76
    return UUID(int=number & ~(0x3 << 62) | 0x2 << 62)


def call_of(run: UUID, call: str) -> tuple[UUID, str]:
    """The run that a call belongs to, and its name there, as a run's pause names it."""
    head, colon, name = call[:_UUID_CHARS], call[_UUID_CHARS:][:1], call[_UUID_CHARS + 1 :]
    other = parse_id(head) if colon == ":" else None
    return (run, call) if other is None else (other, name)


def open_children(run: UUID, records: Sequence[Record]) -> list[UUID]:
    """The runs that calls without an end in a log may have begun."""
    lent: dict[str, None] = {}
    for record in records:
        match record.event:
            case ToolStarted(key=key, lent=given) if given is not None:
                lent[key] = None
            case ToolEnded(key=key):
                lent.pop(key, None)
    return [child_id(run, f"{run}:{key}") for key in lent]


def _handed_back(child: UUID, ended: RunEnded) -> HandedBack:
    error = None
    if ended.status is Status.CANCELLED:
        error = "it was cancelled."
    elif ended.status not in (Status.COMPLETED, Status.ABSTAINED):
        told = (ended.error or {}).get("message", str(ended.status))
        error = f"{str(told).rstrip('.')}."
    return HandedBack(str(child), ended.spent, ended.answer, error)


def _passed_on(child: UUID, agent: str, asked: Sequence[Waiting]) -> RunPaused:
    """The pause of the run that waits, which asks for what the other asks for."""
    events = []
    for one in asked:
        leaf, name = call_of(child, one.call.id)
        call = PlannedCall(f"{leaf}:{name}", one.call.tool, one.call.arguments)
        why = list(one.why) or ["The call began, and nobody knows whether it happened."]
        if leaf == child:
            why.insert(0, f"The agent {agent} asks, in run {child}.")
        # The same call may be asked about twice, for different reasons.
        events.append(ApprovalAsked(f"{call.id}!{one.reason}", call, one.effect, why))
    return RunPaused(asked[0].reason, [event.call.id for event in events], events)
