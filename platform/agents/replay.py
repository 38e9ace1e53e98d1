"""A run executed again over its own log: does the program still do what the log says?

What always holds: no tool is called, and no model is asked unless that is wanted; nothing is
written.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any

from rostra.agents.driver import Parts, RunRequest, drive
from rostra.agents.errors import LogEnds, ReplayDiverged
from rostra.agents.events import ApprovalAsked, Paused, Record, RunEnded, RunEvent, Status
from rostra.agents.journal import Journal, MemoryLog
from rostra.agents.tools.tool import CallContext, ToolInfo, ToolResult
from rostra.core import ChatMessage, ChatModel, GenerationOptions

OpenParts = Callable[[RunRequest], AbstractAsyncContextManager[Parts]]


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay found.

    Attributes:
        events: compared.
        difference: the first one; None when the run did the same again.
        status: how the replayed run ended; `running` where its log ends before.
    """

    events: int
    difference: str | None
    status: str


async def replay_run(
    run_id: str,
    request: RunRequest,
    records: Sequence[Record],
    open_parts: OpenParts,
    *,
    ask_models: bool = False,
) -> ReplayReport:
    """Executes a run again over its log and compares.

    Args:
        records: the whole log.
        ask_models: ask the models again too, and compare their answers.
    """
    there = [record for record in records if not isinstance(record.event, RunEnded | Paused)]
    journal = Journal(MemoryLog(), there)
    try:
        async with open_parts(request) as parts:
            models: Mapping[str, ChatModel] = parts.models
            if not ask_models:
                models = {role: _EndOfLog(model.name) for role, model in models.items()}
            parts = replace(parts, models=models, tools=_NoTools(parts.tools.tools))
            last = await drive(run_id, request, journal, parts, ask_again=ask_models)
    except ReplayDiverged as diverged:
        return ReplayReport(len(there), diverged.message, "diverged")
    except LogEnds:
        return ReplayReport(len(there), _missing(journal), "running")
    difference = _missing(journal) or _other_end(records[-1].event, last)
    status = last.status if isinstance(last, RunEnded) else Status.PAUSED
    return ReplayReport(len(there), difference, str(status))


@dataclass(frozen=True, slots=True)
class _EndOfLog:
    """A model that is never asked: what it said is in the log."""

    name: str

    async def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncIterator[Any]:
        raise LogEnds
        yield


@dataclass(frozen=True, slots=True)
class _NoTools:
    """Tools that are never called: what they gave is in the log."""

    tools: Sequence[ToolInfo]

    async def call(self, name: str, arguments: dict[str, Any], context: CallContext) -> ToolResult:
        raise LogEnds


def _missing(journal: Journal) -> str | None:
    if unseen := journal.unseen():
        event = unseen[0].event
        return f"event {unseen[0].seq}, {type(event).__name__}, did not happen again"
    return None


def _other_end(there: RunEvent, now: RunEnded | Paused) -> str | None:
    match there, now:
        case RunEnded(status=Status.CANCELLED), _:
            return None
        case RunEnded(), RunEnded():
            same = (there.status, there.answer) == (now.status, now.answer)
        case Paused(), Paused():
            same = there == now
        case _:
            same = not isinstance(there, RunEnded | Paused | ApprovalAsked)
    return None if same else f"the run ended otherwise: {now}"
