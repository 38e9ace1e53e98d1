"""A run executed again over its own log: does the program still do what the log says?

What always holds: no tool is called, and no model is asked unless that is wanted; nothing is
written.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any

from rostra.agents.driver import Parts, RunRequest, drive, told_tools
from rostra.agents.errors import LogEnds, ReplayDiverged
from rostra.agents.events import (
    INTERRUPTED,
    ApprovalAsked,
    Equipped,
    Paused,
    Record,
    RunEnded,
    RunEvent,
    RunStarted,
    Status,
)
from rostra.agents.journal import Journal, MemoryLog
from rostra.agents.tools.tool import CallContext, ToolInfo, ToolResult
from rostra.core import ChatMessage, ChatModel, GenerationOptions

OpenParts = Callable[[RunRequest], AbstractAsyncContextManager[Parts]]


@dataclass(frozen=True, slots=True)
class Retold:
    """What a log says that its run was executed with.

    Attributes:
        tools: that it was told of; none of them can be called.
        model: bears the name of its model, and cannot be asked.
        ask_models: whether models are to be asked again, so that this one is not enough.
    """

    tools: tuple[ToolInfo, ...]
    model: ChatModel
    ask_models: bool


OpenReplay = Callable[[Retold, RunRequest], AbstractAsyncContextManager[Parts]]
"""Opens what a replay needs beside its log; connects to nothing."""


def retold(records: Sequence[Record], ask_models: bool) -> Retold:
    """See `Retold`; a log that ends before its tools were written down has none."""
    tools: tuple[ToolInfo, ...] = ()
    model = ""
    for record in records:
        match record.event:
            case RunStarted():
                model = record.event.model
            case Equipped() as equipped:
                tools = told_tools(equipped)
    return Retold(tools, _EndOfLog(model), ask_models)


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
    journal = Journal(MemoryLog(), there, strict=True)
    try:
        async with open_parts(request) as parts:
            models: Mapping[str, ChatModel] = parts.models
            if not ask_models:
                models = {role: _EndOfLog(model.name) for role, model in models.items()}
            parts = replace(parts, models=models, tools=NoTools(parts.tools.tools))
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
class NoTools:
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
        case Paused(reason=reason), _ if reason == INTERRUPTED:
            return None
        case Paused(), Paused():
            same = there == now
        case _:
            same = not isinstance(there, RunEnded | Paused | ApprovalAsked)
    return None if same else f"the run ended otherwise: {now}"
