"""Drives one run over its journal, to its end or to where it waits.

What always holds: a run that is driven gets exactly one `RunEnded`, or a `Paused`, or the driver
raises and the log is as if the process had died there. Whatever a strategy, a model or a tool does
wrong ends this run alone.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

import msgspec

from rostra.agents.endings import lost_calls
from rostra.agents.equipment import Guard, Limits, Tools
from rostra.agents.errors import BudgetSpent, LogEnds, NothingUsable, ReplayDiverged, RunPaused
from rostra.agents.events import (
    Answer,
    Budget,
    Decided,
    Equipped,
    Noted,
    Paused,
    Resumed,
    RunEnded,
    RunStarted,
    Status,
    ToolRecord,
)
from rostra.agents.execution import Execution
from rostra.agents.journal import Journal, over
from rostra.agents.strategies.strategy import Strategy
from rostra.agents.tools.tool import CallContext, ToolFailure, ToolInfo, ToolResult
from rostra.core import ChatModel, RostraError, get_logger
from rostra.store import LostLease

log = get_logger(__name__)

# Of approvals for tools that are not there: how many are named, and characters of each.
_MOST = 20
_NAME = 64


class Handed(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a run was handed its task by another.

    Attributes:
        agent: name of the agent that it is.
        depth: how many times the task was handed on.
        call: of the other run, which waits for this one; empty in a fork, for which nobody waits.
    """

    agent: str
    depth: int = 1
    call: str = ""


class RunRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to do and how.

    Attributes:
        strategy: name of one; see `rostra.agents.strategies`.
        tools: patterns of names as in shells, of the tools that may be used; None is all.
        options: of the strategy.
        approve: names of tools whose calls the user allowed beforehand; a call that untrusted text
            influenced still needs a yes of its own.
        user: for whom.
        sources: untrusted sources that influenced the task, which a model wrote then.
        handed: by another run; None where a person began it.
    """

    task: str
    strategy: str = "react"
    tools: list[str] | None = None
    budget: Budget = Budget()
    options: dict[str, Any] = {}
    approve: list[str] = []
    user: str = ""
    sources: list[str] = []
    handed: Handed | None = None


class Prompts(Protocol):
    """The prompt library, as `rostra.agents.prompts` has it."""

    def render(self, name: str, values: Mapping[str, Any]) -> str: ...

    def versions(self) -> dict[str, str]: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a run is executed with.

    Attributes:
        models: by role; `main` is always there.
        tools: the catalog, already cut to what the request allows.
        problems: tools that are missing and why; approvals of tools that the run does not have are
            added to them.
    """

    models: Mapping[str, ChatModel]
    tools: Tools
    strategy: Strategy
    guard: Guard
    prompts: Prompts
    limits: Limits = field(default_factory=Limits)
    problems: tuple[str, ...] = ()
    workspace: str = ""


def started(
    request: RunRequest, model: str, prompts: Prompts, parent: UUID | None = None
) -> RunStarted:
    """The first event of a run; `parent` handed it its task."""
    return RunStarted(
        task=request.task,
        strategy=request.strategy,
        model=model,
        budget=request.budget,
        options=request.options,
        prompts=prompts.versions(),
        user=request.user,
        parent=None if parent is None else str(parent),
    )


async def drive(
    run_id: str,
    request: RunRequest,
    journal: Journal,
    parts: Parts,
    *,
    by: str = "",
    ask_again: bool = False,
) -> RunEnded | Paused:
    """Executes a run whose journal begins with `RunStarted`; gives its last event.

    Args:
        by: who executes it, for the log.
        ask_again: of a replay; see `Execution.ask_again`.

    Raises:
        LostLease: somebody else executes the run.
        ReplayDiverged: the log is of another program; nothing was done.
        LogEnds: of a replay, when the log does not go on.
        asyncio.CancelledError: as if the process had died.
    """
    journal.begin()
    if (ended := journal.find(RunEnded, "")) is not None:
        return ended
    equipped = journal.find(Equipped, "")
    if equipped is None:
        records = [
            ToolRecord(
                tool.name,
                tool.description,
                tool.parameters,
                tool.effect,
                tool.source,
                tool.outbound,
            )
            for tool in parts.tools.tools
        ]
        problems = [*parts.problems, *_not_there(request.approve, parts.tools.tools)]
        equipped = Equipped(records, problems)
        await journal.keep(equipped)
    else:
        await journal.keep(_resumed(journal, parts, by))
    execution = Execution(
        run_id=run_id,
        task=request.task,
        user=request.user,
        journal=journal,
        budget=request.budget,
        models=parts.models,
        tools=_TheSame(equipped, parts.tools),
        guard=parts.guard,
        prompts=parts.prompts.render,
        limits=parts.limits,
        workspace=parts.workspace,
        sources=tuple(request.sources),
        ask_again=ask_again,
    )
    last = await _run(execution, parts.strategy)
    if isinstance(last, RunEnded):
        for lost in lost_calls(journal.records):
            journal.put(lost)
    await journal.keep(last)
    return last


def _resumed(journal: Journal, parts: Parts, by: str) -> Resumed:
    """An execution that goes on, and with what else than the run began."""
    first = journal.find(RunStarted, "")
    now = parts.models["main"].name
    if first is None or not first.model:
        return Resumed(by)
    versions = parts.prompts.versions()
    changed = sorted(name for name, one in first.prompts.items() if versions.get(name) != one)
    return Resumed(by, now if now != first.model else "", changed)


def _not_there(approved: Sequence[str], tools: Sequence[ToolInfo]) -> list[str]:
    """What to say of approvals for tools that the run does not have."""
    names = {tool.name for tool in tools}
    missing = [name for name in dict.fromkeys(approved) if name not in names]
    told = [f"{name[:_NAME]!r} is approved, and no tool is called so" for name in missing[:_MOST]]
    if len(missing) > _MOST:
        told.append(f"{len(missing) - _MOST} more approved names are no tools")
    return told


async def _run(execution: Execution, strategy: Strategy) -> RunEnded | Paused:
    journal, budget = execution.journal, execution.budget
    left = None
    if budget.seconds is not None:
        left = max(0.0, budget.seconds - journal.spent().seconds)
    answer: Answer | None = None
    error: RostraError | None = None
    clock = asyncio.timeout(left)
    try:
        async with clock:
            answer = await strategy.run(execution.scope())
    except RunPaused as paused:
        return Paused(paused.reason, paused.calls, paused.error)
    except BudgetSpent as spent:
        error = spent
    except (LostLease, ReplayDiverged, LogEnds):
        raise
    except RostraError as failure:
        error = failure
    except TimeoutError as failure:
        if not clock.expired():
            error = internal(failure)
        else:
            error = BudgetSpent(f"the run has used its budget of {budget.seconds} seconds")
    except Exception as failure:  # A mistake in a strategy ends its run, not the server.
        error = internal(failure)
    if answer is not None:
        answer = _cleaned(execution, answer)
    elif error is None and _ran_out(execution):
        error = BudgetSpent(
            f"the run used its {budget.steps} steps without coming to an answer",
            hint="Start it again with more steps, or fork it.",
            budget="steps",
        )
    status = _status(answer, error)
    if answer is None and error is None:
        error = _unusable(execution)
    told = error.to_dict() if error is not None else None
    return RunEnded(status, journal.spent(), answer, told)


def _unusable(execution: Execution) -> NothingUsable | None:
    """Why there is no answer, where the last that a model wrote was a mistake."""
    decided = (r.event for r in reversed(execution.journal.records) if isinstance(r.event, Decided))
    last = next(decided, None)
    if last is None or last.error is None:
        return None
    return NothingUsable(f"the model wrote nothing that could be used: {last.error}")


def _ran_out(execution: Execution) -> bool:
    """Whether the last step that the budget allowed was no answer, not even that there is none."""
    journal = execution.journal
    decided = [one.event for one in journal.records if isinstance(one.event, Decided)]
    open_end = bool(decided) and decided[-1].final is None
    return open_end and over(journal.spent(), execution.budget) == "steps"


def _status(answer: Answer | None, error: RostraError | None) -> Status:
    if isinstance(error, BudgetSpent):
        return Status.EXHAUSTED
    if error is not None:
        return Status.FAILED
    return Status.COMPLETED if answer is not None else Status.ABSTAINED


def internal(failure: BaseException) -> RostraError:
    """A mistake of the program's as users are told of it; the log has the rest."""
    log.error("a run failed", error=repr(failure), exc_info=failure)
    return RostraError("the run failed by a mistake of the program's", hint="The log says more.")


def _cleaned(execution: Execution, answer: Answer) -> Answer:
    """The answer without what must not reach a page; quotes stay as they are stored."""
    text, found, _ = execution.guard.clean(answer.text, ())
    claims = []
    for claim in answer.claims:
        said, more, _ = execution.guard.clean(claim.text, ())
        claims.append(msgspec.structs.replace(claim, text=said))
        found = [*found, *more]
    if found:
        execution.journal.put(Noted("answer!", "guard.removed", data={"found": [*found]}))
    return Answer(text, claims)


def told_tools(equipped: Equipped) -> tuple[ToolInfo, ...]:
    """The tools that a run was told of when it began."""
    return tuple(
        ToolInfo(
            tool.name,
            tool.description,
            tool.parameters,
            tool.effect,
            tool.source,
            tool.outbound,
        )
        for tool in equipped.tools
    )


class _TheSame:
    """The run's tools as it was first told of them, called where they are now."""

    def __init__(self, equipped: Equipped, tools: Tools) -> None:
        self.tools = told_tools(equipped)
        self._digests = {tool.name: tool.digest for tool in self.tools}
        self._now = {tool.name: tool for tool in tools.tools}
        self._tools = tools

    async def call(self, name: str, arguments: dict[str, Any], context: CallContext) -> ToolResult:
        now = self._now.get(name)
        if now is None:
            raise ToolFailure(f"The tool {name!r} is not there at present.", began=False)
        if now.digest != self._digests[name]:
            raise ToolFailure(f"The tool {name!r} is another one now.", began=False)
        return await self._tools.call(name, arguments, context)
