"""A run as lines on a terminal, each event as it comes.

What always holds: whatever a model or a tool wrote is shown as text; it can neither mark up nor
steer the terminal, and takes a bounded number of lines.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any
from uuid import UUID

import msgspec
from rich.console import Console
from rich.text import Text

from rostra.agents import (
    Answer,
    ApprovalAsked,
    ApprovalDecided,
    Decided,
    Equipped,
    ModelAnswered,
    ModelAsked,
    ModelCut,
    Noted,
    Outcome,
    Paused,
    Planned,
    PlannedCall,
    Record,
    Resumed,
    RunEnded,
    RunEvent,
    RunStarted,
    Status,
    ToolEnded,
    ToolStarted,
    Usage,
    Verified,
)
from rostra.cli.output import console
from rostra.core import DocumentNotFound
from rostra.store import Database, Document, get_document

_MAX_LINES = 6
_MAX_CHARS = 600
_MAX_ARGUMENTS = 200
_MAX_NAMES = 30
# Everything that a terminal might take for a command, but for line ends and tabs.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class RunView:
    """Prints a run's records, in their order.

    Args:
        seen: the first of them, which are not printed again.
    """

    def __init__(self, out: Console | None = None, seen: Sequence[Record] = ()) -> None:
        self._out = Console(quiet=True)
        self._asked: dict[str, Record] = {}
        self._error = ""  # The last of a model that was printed.
        self._calls: dict[str, PlannedCall] = {}
        self._approvals: set[str] = set()
        # Calls that are being made, and those that were made beside others.
        self._running: set[str] = set()
        self._beside: set[str] = set()
        for record in seen:
            self.show(record)
        self._out = out or console()

    def busy(self, what: str) -> AbstractContextManager[Any]:
        """Shows that something goes on, where somebody looks."""
        if not sys.stdout.isatty():
            return nullcontext()
        return self._out.status(what)

    def show(self, record: Record, documents: Mapping[str, Document] | None = None) -> None:
        """Prints one event; many print nothing.

        Args:
            documents: that its answer cites, by id; others are told by their id alone.
        """
        match record.event:
            case RunStarted() as event:
                told = f"{event.strategy}, {event.model or 'no model'}"
                self._line("task", f"{event.task}  ({told})", "bold")
            case Equipped(tools=tools, problems=problems):
                names = [tool.name for tool in tools]
                more = f" and {len(names) - _MAX_NAMES:,} more" if len(names) > _MAX_NAMES else ""
                self._line("tools", (", ".join(names[:_MAX_NAMES]) or "none") + more, "dim")
                for problem in problems:
                    self._line("", problem, "yellow")
            case Resumed() as event:
                self._line("resumed", _changed(event), "dim")
            case Paused(reason=reason, error=error):
                why = f": {error.get('message', '')}" if error else ""
                self._line("paused", f"{reason.replace('_', ' ')}{why}", "yellow")
            case ModelAsked() as asked:
                self._asked[asked.key] = record
            case ModelAnswered() as event:
                self._answered(record, event)
            case ModelCut() as event:
                self._line("cut off", _tokens(event.usage), "yellow")
            case Decided() as event:
                self._decided(event)
            case Planned() as event:
                self._planned(event)
            case ToolStarted() as event:
                self._calls[event.call.id] = event.call
                if self._running:
                    self._beside |= {event.call.id, *self._running}
                self._running.add(event.call.id)
                again = f"  (attempt {event.attempt})" if event.attempt > 1 else ""
                self._line("call", f"{call_text(event.call)}{again}", "cyan")
            case ToolEnded() as event:
                good = event.outcome is Outcome.OK
                cut = f"  (of {event.bytes:,} bytes)" if event.truncated else ""
                self._running.discard(event.call)
                # Which of several it is of.
                of = f"{self._call(event.call)}: " if event.call in self._beside else ""
                self._line(
                    "result" if good else str(event.outcome),
                    of + _short(event.text) + cut,
                    "dim" if good else "red",
                )
            case ApprovalAsked() as event:
                self._calls[event.call.id] = event.call
                self._approvals.add(event.call.id)
                why = "; ".join(event.reasons)
                self._line("approval", f"{call_text(event.call)}: {why}", "yellow")
            case ApprovalDecided() as event:
                self._line("decision", self._decision(event), "yellow")
            case Verified() as event:
                found = "passed" if event.passed else "failed"
                self._line("check", f"{event.subject} {found}. {event.reason}", "magenta")
            case Noted() as event:
                self._line("note", _note(event), "yellow")
            case RunEnded() as event:
                self._ended(event, documents or {})

    def _answered(self, record: Record, event: ModelAnswered) -> None:
        asked = self._asked.pop(event.key, None)
        if asked is None or not isinstance(asked.event, ModelAsked):
            return
        seconds = (record.at - asked.at).total_seconds()
        self._line(asked.event.purpose, f"{_tokens(event.usage)}, {seconds:.1f} s", "dim")
        if event.error is not None:
            self._error = str(event.error.get("message", ""))
            self._line("error", self._error, "red")

    def _decision(self, event: ApprovalDecided) -> str:
        """What was decided, in words that say of which call."""
        known = self._calls.get(event.call)
        call = call_text(known) if known is not None else event.call
        note = f": {event.note}" if event.note else ""
        match event.decision:
            case "approve":
                return f"allowed {call}{note}"
            case "deny" if event.call in self._approvals:
                return f"not allowed {call}{note}"
            case "done":
                return f"it has happened: {call}{note}"
            case "retry":
                return f"to be made again: {call}{note}"
        return f"given up {call}{note}"

    def _decided(self, event: Decided) -> None:
        if event.thought:
            self._line("thought", _short(event.thought), "italic")
        if event.error is not None:
            self._line("mistake", _short(event.error), "red")

    def _planned(self, event: Planned) -> None:
        if event.reason:
            self._line("plan", f"anew: {event.reason}", "magenta")
        for step in event.steps:
            after = f" (after {', '.join(step.needs)})" if step.needs else ""
            self._line("plan", f"{step.id}  {_short(step.goal)}{after}", "magenta")

    def _ended(self, event: RunEnded, documents: Mapping[str, Document]) -> None:
        self._out.print()
        if event.answer is not None:
            self._answer(event.answer, documents)
        elif event.status is Status.ABSTAINED:
            self._out.print("No answer that its sources support was found.")
        message = str((event.error or {}).get("message", ""))
        if message and message != self._error:
            self._line("error", message, "red")
        bare = event.answer.unsupported if event.answer is not None else 0
        if bare:
            claims = event.answer.claims if event.answer is not None else []
            self._line("", f"{bare} of {len(claims) or 1} statements without a source", "yellow")
        spent = event.spent
        about = "about " if spent.estimated else ""
        cost = f", cost {spent.cost:.4f}" if spent.cost else ""
        self._line(
            str(event.status),
            f"{spent.steps} steps, {about}{spent.tokens} tokens, {spent.calls} calls, "
            f"{spent.seconds:.1f} s{cost}",
            "green" if event.status is Status.COMPLETED else "yellow",
        )

    def _answer(self, answer: Answer, documents: Mapping[str, Document]) -> None:
        cited = [one for claim in answer.claims for one in claim.evidence]
        numbers = {one.number: at for at, one in enumerate(cited, 1)}
        if not answer.claims:
            self._out.print(Text(cleaned(answer.text)))
        for claim in answer.claims:
            marks = "".join(f"[{numbers[one.number]}]" for one in claim.evidence)
            source = Text(marks, "cyan") if marks else Text("[no source]", "yellow")
            self._out.print(Text(cleaned(claim.text)), source)
        for one in cited:
            place = one.document_id or self._tool(one.call)
            between = "  "
            if (document := documents.get(place)) is not None:
                place = cleaned(f"{document.title}, {document.uri}")
                between = "\n    "
            if one.document_id:
                place += f" {one.start}-{one.end}"
            line = Text(f"[{numbers[one.number]}] ", "cyan")
            self._out.print(line.append(_short(one.quote) + between, "").append(place, "dim"))

    def _tool(self, call: str) -> str:
        known = self._calls.get(call)
        return known.tool if known is not None else call

    def _call(self, call: str) -> str:
        known = self._calls.get(call)
        return call_text(known) if known is not None else call

    def _line(self, name: str, text: str, style: str) -> None:
        self._out.print(Text(f"{name:>9}  ", "bold").append(cleaned(text), style))


async def cited_documents(database: Database, event: RunEvent) -> dict[str, Document]:
    """The documents that a run's answer cites, by id; without those that are no more."""
    answer = event.answer if isinstance(event, RunEnded) else None
    cited = [one for claim in answer.claims for one in claim.evidence] if answer else []
    named = {one.document_id for one in cited if one.document_id is not None}
    found: dict[str, Document] = {}
    if named:
        async with database.read() as session:
            for name in named:
                with suppress(ValueError, DocumentNotFound):
                    found[name] = await get_document(session, UUID(name))
    return found


def _tokens(usage: Usage) -> str:
    """How many there were; `about` where nobody counted."""
    about = "about " if usage.estimated else ""
    return f"{about}{usage.prompt_tokens + usage.completion_tokens} tokens"


def call_text(call: PlannedCall) -> str:
    """A call on one line."""
    told = ", ".join(
        f"{name}={msgspec.json.encode(value).decode()}" for name, value in call.arguments.items()
    )
    return cleaned(f"{call.tool}({_cut(told, _MAX_ARGUMENTS)})")


def _changed(event: Resumed) -> str:
    """With what else than before a run goes on."""
    told = [f"with {event.model}"] if event.model else []
    if event.prompts:
        names = ", ".join(event.prompts[:_MAX_NAMES])
        told.append(f"with other prompts: {names}")
    return _short("; ".join(told))


def _note(event: Noted) -> str:
    """What is noted; of what the guard removed, what kinds of things."""
    found = event.data.get("found")
    told = "; ".join(str(one) for one in found) if isinstance(found, list) else ""
    return _short(f"{event.kind} {' '.join(part for part in (event.text, told) if part)}")


def _short(text: str) -> str:
    lines = [line for line in cleaned(text).splitlines() if line.strip()]
    more = f" ... {len(lines) - _MAX_LINES} more lines" if len(lines) > _MAX_LINES else ""
    return _cut("\n           ".join(lines[:_MAX_LINES]), _MAX_CHARS) + more


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + " ..."


def cleaned(text: str) -> str:
    """Without what a terminal would obey."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
