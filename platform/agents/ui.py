"""A run's events as parts of the AI SDK's UI message stream, version 1.

One run is one assistant message; a question to a model opens a step. The parts are those that
clients of the SDK's version 5 and later read; what the protocol has no part for is a `data-` part
of ours. Source: the SDK's `UIMessageChunk` and its page on stream protocols.

What always holds: a record gives the same parts whenever it is asked; no text of the final answer
is sent before the run has ended, because only then has the guard looked at it; in a whole stream
every output of a tool follows its input.
"""

from typing import Any

import msgspec

from rostra.agents.events import (
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
    RunStarted,
    Status,
    ToolEnded,
    ToolStarted,
    Verified,
)
from rostra.agents.sentences import numbered

Part = dict[str, Any]

_FINISH = {
    Status.COMPLETED: "stop",
    Status.ABSTAINED: "stop",
    Status.EXHAUSTED: "length",
    Status.FAILED: "error",
}


def ui_parts(record: Record, run_id: str = "") -> list[Part]:
    """The parts of one event, in their order; some events have none.

    Args:
        record: of the run's log.
        run_id: names the message.
    """
    match record.event:
        case RunStarted() as event:
            told = {"strategy": event.strategy, "model": event.model, "task": event.task}
            return [{"type": "start", "messageId": run_id, "messageMetadata": told}]
        case Equipped(tools=tools, problems=problems):
            names = [tool.name for tool in tools]
            return [_data("tools", "tools", {"tools": names, "problems": problems})]
        case Paused() as paused:
            why: Part = {"reason": paused.reason, "calls": paused.calls}
            if paused.error is not None:
                why["error"] = paused.error
            return [_data("paused", str(record.seq), why)]
        case Resumed(model=model, prompts=prompts):
            changed: Part = {"model": model, "prompts": prompts}
            told = {name: value for name, value in changed.items() if value}
            return [_data("resumed", str(record.seq), told)]
        case RunEnded() as event:
            return _end(event)
        case ModelAsked() as event:
            step = {"purpose": event.purpose, "model": event.model}
            return [{"type": "start-step"}, _data("step", event.key, step)]
        case ModelAnswered() as event:
            answered: Part = {"finish": event.finish, "usage": _plain(event.usage)}
            if event.error is not None:
                answered["error"] = event.error
            return [_data("usage", event.key, answered), {"type": "finish-step"}]
        case ModelCut() as event:
            cut = {"finish": "cut", "usage": _plain(event.usage)}
            return [_data("usage", event.key, cut), {"type": "finish-step"}]
        case Decided() as event:
            return _decision(event)
        case ToolStarted(call=call, attempt=1):
            return _input(call)
        case ToolStarted(call=call, attempt=attempt):
            return [*_input(call), _data("attempt", call.id, {"attempt": attempt})]
        case ToolEnded() as event:
            return [_output(event)]
        case ApprovalAsked() as event:
            asked = {
                "call": event.call.id,
                "tool": event.call.tool,
                "arguments": event.call.arguments,
                "effect": str(event.effect),
                "reasons": event.reasons,
            }
            return [*_input(event.call), _data("approval", event.call.id, asked)]
        case ApprovalDecided() as event:
            said = {"decision": event.decision, "by": event.by, "note": event.note}
            return [_data("decision", event.call, said)]
        case Planned() as event:
            plan = {"steps": _plain(event.steps), "reason": event.reason}
            return [_data("plan", event.key, plan)]
        case Verified() as event:
            found = {"subject": event.subject, "passed": event.passed, "reason": event.reason}
            return [_data("verification", event.key, found)]
        case Noted() as event:
            note = {"kind": event.kind, "text": event.text, "data": event.data}
            return [_data("note", event.key, note)]
    return []


class UiMessage:
    """The parts of a run's records, one after the other from the first.

    A client of the SDK refuses a tool's output whose input it has not seen; calls that are turned
    down before they begin have no start in the log, so theirs is made up here.
    """

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._begun: set[str] = set()
        # Sentences that have a number; of calls side by side, those that have ended.
        self._numbered = 0
        self._beside: dict[str, dict[int, ToolEnded]] = {}
        self._planned: dict[str, PlannedCall] = {}

    def parts(self, record: Record) -> list[Part]:
        """The next record's parts."""
        if isinstance(record.event, Decided):
            self._planned |= {call.id: call for call in record.event.calls}
        found: list[Part] = []
        before = frozenset(self._begun)
        for part in ui_parts(record, self._run_id):
            kind, call = part["type"], part.get("toolCallId", "")
            if kind.startswith("tool-input"):
                if call in before:
                    continue
                self._begun.add(call)
            elif kind.startswith("tool-output") and call not in self._begun:
                self._begun.add(call)
                found += _input(self._planned.get(call) or PlannedCall(call, "unknown", {}))
            found.append(part)
        if isinstance(record.event, ToolEnded):
            found += self._numbers(record.event)
        return found

    def _numbers(self, ended: ToolEnded) -> list[Part]:
        """What the sentences of calls side by side are numbered from, once all have ended."""
        if ended.beside is None:
            last = ended.first + len(numbered(ended, ended.first)) - 1
            self._numbered = max(self._numbered, last)
            return []
        group = self._beside.setdefault(ended.beside.group, {})
        group[ended.beside.place] = ended
        if len(group) < ended.beside.of:
            return []
        firsts: dict[str, int] = {}
        for _, one in sorted(self._beside.pop(ended.beside.group).items()):
            firsts[one.call] = self._numbered + 1
            self._numbered += len(numbered(one, 1))
        return [_data("sentences", ended.beside.group, {"first": firsts})]


def _decision(event: Decided) -> list[Part]:
    parts: list[Part] = []
    if event.thought:
        parts += [
            {"type": "reasoning-start", "id": event.key},
            {"type": "reasoning-delta", "id": event.key, "delta": event.thought},
            {"type": "reasoning-end", "id": event.key},
        ]
    for call in event.calls:
        parts += _input(call)
    if event.error is not None:
        parts.append(_data("mistake", event.key, {"error": event.error}))
    return parts


def _input(call: PlannedCall) -> list[Part]:
    named = {"toolCallId": call.id, "toolName": call.tool, "dynamic": True}
    return [
        {"type": "tool-input-start", **named},
        {"type": "tool-input-available", **named, "input": call.arguments},
    ]


def _output(event: ToolEnded) -> Part:
    named = {"toolCallId": event.call, "dynamic": True}
    if event.outcome is not Outcome.OK:
        text = f"{event.outcome}: {event.text}"
        return {"type": "tool-output-error", **named, "errorText": text}
    output: Part = {
        "text": event.text,
        "origin": str(event.origin),
        "bytes": event.bytes,
        "truncated": event.truncated,
        "documents": _plain(event.documents),
    }
    if event.beside is None:  # The others' numbers are known when all of them have ended.
        output["first"] = event.first
    return {"type": "tool-output-available", **named, "output": output}


def _end(event: RunEnded) -> list[Part]:
    parts: list[Part] = []
    if event.answer is not None:
        parts += [
            {"type": "text-start", "id": "answer"},
            {"type": "text-delta", "id": "answer", "delta": event.answer.text},
            {"type": "text-end", "id": "answer"},
            _data(
                "answer",
                "answer",
                {
                    "claims": _plain(event.answer.claims),
                    "unsupported": event.answer.unsupported,
                },
            ),
        ]
    told = {"status": str(event.status), "spent": _plain(event.spent)}
    if event.error is not None:
        told["error"] = event.error
    parts.append(_data("run", "run", told))
    if event.status is Status.FAILED:
        message = (event.error or {}).get("message", "the run failed")
        parts.append({"type": "error", "errorText": str(message)})
    elif event.status is Status.CANCELLED:
        parts.append({"type": "abort", "reason": "cancelled"})
    reason = _FINISH.get(event.status, "other")
    return [*parts, {"type": "finish", "finishReason": reason, "messageMetadata": told}]


def _data(name: str, key: str, value: Any) -> Part:
    return {"type": f"data-{name}", "id": key, "data": value}


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value)
