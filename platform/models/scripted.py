"""A model that says what it was told to, for tests, demonstrations and documentation.

What always holds: nothing is random and nothing is waited for but turns of the event loop; its
tokens are words, told apart by whitespace, in prompts and answers alike, so that budgets can be
counted by hand; `max_tokens` and `stop` are kept, constraints are not looked at.

A list of answers is given one after the other. A conversation whose last answer is one that this
model has yet to give was begun by another one over the same script, in a process that is gone, and
is gone on with behind that answer. That is right for one conversation; where several go on side by
side, or one begins anew, nothing in it tells the place, and a function or `loop` is what is needed.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from rostra.core import (
    ChatEvent,
    ChatMessage,
    ConfigError,
    Delta,
    Finish,
    FinishReason,
    GenerationOptions,
    Role,
    ToolCall,
)
from rostra.models.errors import ScriptEnded

# Requests remembered; older ones are dropped.
_SEEN = 10_000
_WORD = re.compile(r"\s*\S+(?:\s+$)?")


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer.

    Attributes:
        calls: of tools; they follow the text.
        finish: of an answer without calls; with calls it ends with TOOL_CALLS.
        delay_events: turns of the event loop waited for before each event.
        raises: raised in place of the end, after text and calls.
        usage: told in place of the words counted.
    """

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    finish: FinishReason = FinishReason.STOP
    delay_events: int = 0
    raises: BaseException | None = None
    usage: Mapping[str, int] | None = None


Script = Sequence[str | Turn] | Callable[[Sequence[ChatMessage], GenerationOptions], str | Turn]


class ScriptedModel:
    """A `ChatModel` that takes its answers from a script.

    Args:
        script: answers one after the other, or a function of the request. Where several requests
            go on at the same time only a function tells them apart.
        loop: begin again at the script's end.
        context: tells `max_context`; prompts are not held to it.

    Attributes:
        seen: the latest requests, oldest first.
        open: streams begun and not yet ended.
    """

    def __init__(
        self,
        script: Script,
        *,
        name: str = "scripted",
        loop: bool = False,
        context: int | None = None,
    ) -> None:
        self._script = script if callable(script) else list(script)
        self._name = name
        self._loop = loop
        self._context = context
        self._next = 0
        self.seen: list[tuple[tuple[ChatMessage, ...], GenerationOptions]] = []
        self.open = 0

    @property
    def name(self) -> str:
        """As it was given."""
        return self._name

    async def count_tokens(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> int:
        """Words of a prompt, those of calls and tools included."""
        return _prompt_words(messages, options)

    async def max_context(self) -> int | None:
        """As it was given."""
        return self._context

    async def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncGenerator[ChatEvent, None]:
        """Says the next turn, word by word.

        Raises:
            ScriptEnded: there is none.
            BaseException: what the turn says.
        """
        self.seen.append((tuple(messages), options))
        del self.seen[:-_SEEN]
        turn = self._turn(messages, options)
        text, calls, reason, used = _within(turn, options)
        self.open += 1
        try:
            for word in _WORD.findall(text) or ([text] if text else []):
                await _turns(turn.delay_events)
                yield Delta(word)
            for call in calls:
                await _turns(turn.delay_events)
                yield call
            await _turns(turn.delay_events)
            if turn.raises is not None:
                raise turn.raises
            counted = {
                "prompt_tokens": _prompt_words(messages, options),
                "completion_tokens": used,
                "cached_tokens": 0,
            }
            yield Finish(reason, counted if turn.usage is None else dict(turn.usage))
        finally:
            self.open -= 1

    def _turn(self, messages: Sequence[ChatMessage], options: GenerationOptions) -> Turn:
        if callable(self._script):
            said = self._script(messages, options)
        else:
            if self._loop and self._script:
                self._next %= len(self._script)
            else:
                self._next = _place(self._script, self._next, messages)
            if self._next >= len(self._script):
                raise ScriptEnded(
                    f"the script of {self._name} has {len(self._script)} turns, and one more was "
                    "asked for"
                )
            said = self._script[self._next]
            self._next += 1
        return Turn(said) if isinstance(said, str) else said


def load_script(
    path: Path, *, name: str = "scripted", loop: bool = False, context: int | None = None
) -> ScriptedModel:
    """A scripted model from a file of JSON lines.

    A line is a text, or an object `{"text": ..., "calls": [{"name": ..., "arguments": {...}}]}`.

    Raises:
        ConfigError: the file cannot be read; the message names the line.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"script {path}: {error}") from None
    turns: list[str | Turn] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            written = msgspec.json.decode(line, type=_Written | str)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise ConfigError(f"script {path}, line {number}: {error}") from None
        turns.append(written if isinstance(written, str) else written.turn(number))
    return ScriptedModel(turns, name=name, loop=loop, context=context)


class _WrittenCall(msgspec.Struct, forbid_unknown_fields=True):
    """A call in a file."""

    name: str
    arguments: dict[str, Any] = {}


class _Written(msgspec.Struct, forbid_unknown_fields=True):
    """A turn in a file."""

    text: str = ""
    calls: list[_WrittenCall] = []

    def turn(self, number: int) -> Turn:
        """As a turn; ids are made from the number of its line."""
        calls = (
            ToolCall(f"call_{number}_{place}", call.name, json.dumps(call.arguments))
            for place, call in enumerate(self.calls)
        )
        return Turn(self.text, tuple(calls))


def _place(script: Sequence[str | Turn], there: int, messages: Sequence[ChatMessage]) -> int:
    """Where a script goes on with a conversation, by what was said last in it; never backwards."""
    spoken = [message for message in messages if message.role is Role.ASSISTANT]
    if not spoken or any(_is_of(turn, spoken[-1]) for turn in script[:there]):
        return there
    # Of equal turns, the one that as many answers lead to.
    for at in range(max(there, len(spoken) - 1), len(script)):
        if _is_of(script[at], spoken[-1]):
            return at + 1
    return there


def _is_of(turn: str | Turn, message: ChatMessage) -> bool:
    """Whether a message is this turn, whatever ids its calls were given since."""
    if isinstance(turn, str):
        return turn == message.content
    said = [(call.name, call.arguments) for call in message.calls]
    return turn.text == message.content and [(c.name, c.arguments) for c in turn.calls] == said


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def _prompt_words(messages: Sequence[ChatMessage], options: GenerationOptions) -> int:
    words = 0
    for message in messages:
        words += len(message.content.split()) + _call_words(message.calls)
    for tool in options.tools:
        words += len(tool.description.split()) + len(json.dumps(tool.parameters).split()) + 1
    return words


def _call_words(calls: Sequence[ToolCall]) -> int:
    return sum(1 + len(call.arguments.split()) for call in calls)


def _within(
    turn: Turn, options: GenerationOptions
) -> tuple[str, Sequence[ToolCall], FinishReason, int]:
    """Text, calls, reason and words of a turn, cut as the options say."""
    text, calls = turn.text, turn.calls
    reason = FinishReason.TOOL_CALLS if calls else turn.finish
    if stops := [at for stop in options.stop if (at := text.find(stop)) >= 0]:
        text, calls, reason = text[: min(stops)], (), FinishReason.STOP
    used = len(text.split()) + _call_words(calls)
    if used <= options.max_tokens:
        return text, calls, reason, used
    words = _WORD.findall(text)[: options.max_tokens]
    return "".join(words), (), FinishReason.LENGTH, len(words)
