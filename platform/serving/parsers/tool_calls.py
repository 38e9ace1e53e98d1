"""Tool calls in a model's text, as Llama 3, Qwen and Hermes, and Mistral write them.

What always holds: how the text was cut into pieces changes nothing; no part of a marker is ever
shown; only tools that were offered are called; what looks like a call and is none comes out as
content, to the character. A parser that holds calls back shows a call once it is complete; one that
does not shows its arguments as they come, for text that a grammar already keeps well-formed: should
such a call break off, its arguments stay incomplete.

Formats: Llama 3 writes `{"name": ..., "parameters": {...}}`, several joined by `;`, alone or after
`<|python_tag|>`; Qwen and Hermes `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`;
Mistral `[TOOL_CALLS][{"name": ..., "arguments": {...}}]`, newer ones `[TOOL_CALLS]name[ARGS]{...}`
for each call.
"""

import contextlib
import json
import secrets
from collections.abc import Callable, Collection
from itertools import groupby
from typing import Literal

from rostra.serving.parsers.deltas import ContentDelta, ParsedDelta, ToolCallDelta
from rostra.serving.parsers.json_steps import read_string, read_value
from rostra.serving.parsers.steps import END, WHITESPACE, Malformed, Steps, Tape

ToolFormat = Literal["llama3", "hermes", "mistral"]

_BEGINNINGS: dict[ToolFormat, str] = {
    "llama3": "<|python_tag|>",
    "hermes": "<tool_call>",
    "mistral": "[TOOL_CALLS]",
}
_HERMES_END = "</tool_call>"
_MISTRAL_ID = "[CALL_ID]"
_MISTRAL_ARGUMENTS = "[ARGS]"
_MAX_NAME = 256
# Tokens of their own in many vocabularies.
MARKERS = (*_BEGINNINGS.values(), _HERMES_END, _MISTRAL_ID, _MISTRAL_ARGUMENTS)


def new_call_id() -> str:
    """A fresh id: nine letters and digits, which is what Mistral's chat templates insist on."""
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return "".join(secrets.choice(alphabet) for _ in range(9))


class ToolCallParser:
    """Tells the calls in one text from its content.

    Args:
        format: how the model writes calls.
        names: the tools that may be called.
        hold: show a call only once it is complete.
        new_id: makes a call's id.
    """

    def __init__(
        self,
        format: ToolFormat,
        names: Collection[str],
        *,
        hold: bool = True,
        new_id: Callable[[], str] = new_call_id,
    ) -> None:
        self._format = format
        self._names = frozenset(names)
        self._hold = hold
        self._new_id = new_id
        self._tape = Tape()
        self._ready: list[ContentDelta | ToolCallDelta] = []
        self._calls = 0
        self._call: _Call | None = None
        # Whitespace that a call may follow, which is then no content.
        self._space = ""
        self._is_after_call = False
        self._read = self._all()
        next(self._read)

    def feed(self, text: str) -> list[ParsedDelta]:
        """What a further piece of the text shows."""
        for char in text:
            self._read.send(char)
        return self._take()

    def finish(self) -> list[ParsedDelta]:
        """What the end of the text shows; nothing may be fed afterwards."""
        with contextlib.suppress(StopIteration):
            self._read.send(END)
        return self._take()

    @property
    def calls(self) -> int:
        """How many calls were shown."""
        return self._calls

    def _take(self) -> list[ParsedDelta]:
        """The deltas so far, neighbours joined."""
        ready, self._ready = self._ready, []
        joined: list[ParsedDelta] = []
        for index, run in groupby(ready, key=_call_index):
            deltas = list(run)
            if index is None:
                text = "".join(each.text for each in deltas if isinstance(each, ContentDelta))
                joined.append(ContentDelta(text))
                continue
            calls = [each for each in deltas if isinstance(each, ToolCallDelta)]
            more = "".join(call.arguments for call in calls)
            joined.append(ToolCallDelta(index, more, calls[0].id, calls[0].name))
        return joined

    # --- The text around calls ---------------------------------------------------------------

    def _all(self) -> Steps[None]:
        tape = self._tape
        yield from tape.load()
        if self._format == "llama3":
            yield from self._bare_calls()
        while tape.char != END:
            yield from self._text()
        if not self._is_after_call:
            self._show(self._space)

    def _text(self) -> Steps[None]:
        """Content up to the next marker, and the calls that follow it."""
        tape, marker = self._tape, _BEGINNINGS[self._format]
        seen = ""
        while tape.char != END:
            seen += tape.char
            if seen == marker:
                break
            while seen and not marker.startswith(seen):
                self._content(seen[0])
                seen = seen[1:]
            yield from tape.advance()
            tape.raw.clear()
        if seen != marker:
            for char in seen:
                self._content(char)
            return
        tape.raw = list(marker[:-1])
        yield from tape.advance()
        match self._format:
            case "llama3":
                yield from self._attempt(self._joined())
            case "hermes":
                yield from self._attempt(self._tagged())
            case "mistral":
                yield from self._attempt(self._mistral())

    def _bare_calls(self) -> Steps[None]:
        """Calls that begin the text without a marker."""
        tape = self._tape
        tape.raw = []
        yield from tape.skip_whitespace()
        self._space, tape.raw = "".join(tape.raw), []
        if tape.char == "{":
            yield from self._attempt(self._joined())

    def _attempt(self, calls: Steps[None]) -> Steps[None]:
        """Reads calls; where they break off, what was not shown of them becomes content."""
        tape = self._tape
        try:
            yield from calls
        except Malformed:
            call, self._call = self._call, None
            if call is not None and call.is_shown:
                self._space = ""
                self._is_after_call = True
            else:
                for char in tape.raw:
                    self._content(char)
        tape.raw = []

    def _content(self, char: str) -> None:
        if char in WHITESPACE:
            self._space += char
        else:
            self._show(self._space + char)
            self._space = ""
            self._is_after_call = False

    def _show(self, text: str) -> None:
        if text:
            self._ready.append(ContentDelta(text))

    # --- The formats -------------------------------------------------------------------------

    def _tagged(self) -> Steps[None]:
        tape = self._tape
        yield from tape.skip_whitespace()
        yield from self._object()
        yield from tape.skip_whitespace()
        try:
            yield from tape.expect(_HERMES_END)
        except Malformed:
            if tape.char != END:  # what a stop string or the token limit cut off is not missed
                raise
        self._end_call()

    def _joined(self) -> Steps[None]:
        tape = self._tape
        yield from tape.skip_whitespace()
        yield from self._object()
        self._end_call()
        while True:
            yield from tape.skip_whitespace()
            if tape.char == ";":
                yield from tape.advance()
                yield from tape.skip_whitespace()
            if tape.char != "{":
                break
            yield from self._object()
            self._end_call()
        if "".join(tape.raw).strip(WHITESPACE):  # a `;` that no call follows
            raise Malformed

    def _mistral(self) -> Steps[None]:
        tape = self._tape
        yield from tape.skip_whitespace()
        if tape.char == "[":
            yield from self._listed()
        else:
            yield from self._named()

    def _listed(self) -> Steps[None]:
        tape = self._tape
        yield from tape.expect("[")
        while True:
            yield from tape.skip_whitespace()
            yield from self._object()
            self._end_call()
            yield from tape.skip_whitespace()
            if tape.char != ",":
                break
            yield from tape.advance()
        yield from tape.expect("]")

    def _named(self) -> Steps[None]:
        tape = self._tape
        name = ""
        while tape.char not in ("[", "{", END) and len(name) < _MAX_NAME:
            name += tape.char
            yield from tape.advance()
        if tape.char == "[":
            yield from tape.advance()
            if tape.char == _MISTRAL_ID[1]:
                yield from tape.expect(_MISTRAL_ID[1:])
                while tape.char not in ("[", END):
                    yield from tape.advance()
                yield from tape.expect("[")
            yield from tape.expect(_MISTRAL_ARGUMENTS[1:])
        call = self._begin_call()
        self._name(call, name.strip(WHITESPACE))
        yield from tape.skip_whitespace()
        yield from self._arguments(call)
        self._end_call()

    def _object(self) -> Steps[None]:
        """A call as an object: a name, its arguments, and what else the model puts there."""
        tape = self._tape
        call = self._begin_call()
        yield from tape.expect("{")
        while True:
            yield from tape.skip_whitespace()
            key = yield from self._string()
            yield from tape.skip_whitespace()
            yield from tape.expect(":")
            yield from tape.skip_whitespace()
            if key == "name":
                self._name(call, (yield from self._string()))
            elif key in ("arguments", "parameters"):
                yield from self._arguments(call)
            else:
                yield from read_value(tape, _nothing)
            yield from tape.skip_whitespace()
            if tape.char != ",":
                break
            yield from tape.advance()
        yield from tape.expect("}")
        if call.name is None:
            raise Malformed
        if not call.has_arguments:
            call.has_arguments = True
            self._argue(call, "{}")

    def _string(self) -> Steps[str]:
        text: list[str] = []
        yield from read_string(self._tape, text.append)
        return str(json.loads("".join(text)))

    def _arguments(self, call: "_Call") -> Steps[None]:
        if call.has_arguments or self._tape.char != "{":
            raise Malformed
        call.has_arguments = True
        yield from read_value(self._tape, lambda char: self._argue(call, char))

    # --- One call ----------------------------------------------------------------------------

    def _begin_call(self) -> "_Call":
        self._call = _Call()
        return self._call

    def _name(self, call: "_Call", name: str) -> None:
        if call.name is not None or name not in self._names:
            raise Malformed
        call.name = name
        self._argue(call, "")

    def _argue(self, call: "_Call", text: str) -> None:
        call.waiting += text
        if not self._hold and call.name is not None and call.has_arguments:
            self._reveal(call)

    def _reveal(self, call: "_Call") -> None:
        if call.is_shown:
            if call.waiting:
                self._ready.append(ToolCallDelta(self._calls - 1, call.waiting))
        else:
            call.is_shown = True
            self._ready.append(ToolCallDelta(self._calls, call.waiting, self._new_id(), call.name))
            self._calls += 1
        call.waiting = ""

    def _end_call(self) -> None:
        """Shows what is held back of a complete call."""
        if self._call is not None:
            self._reveal(self._call)
        self._call = None
        self._space = ""
        self._is_after_call = True
        self._tape.raw = []


class _Call:
    """A call being read; `waiting` is what was not shown of its arguments."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.has_arguments = False
        self.is_shown = False
        self.waiting = ""


def _call_index(delta: ContentDelta | ToolCallDelta) -> int | None:
    return delta.index if isinstance(delta, ToolCallDelta) else None


def _nothing(_: str) -> None:
    """Takes what nobody needs."""
