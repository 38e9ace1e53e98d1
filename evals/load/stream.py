"""A streamed answer, read: bytes to events, events to times and counts.

What always holds: the result depends on the bytes and their times alone, not on how they were cut
into pieces, except that an event has the time of the piece that completes it; memory is bounded.
"""

from array import array
from typing import Any

import msgspec

from evals.load.records import BROKEN, EMPTY, GARBLED, TOLD_ERROR, TokenCount

MAX_EVENT_BYTES = 1024 * 1024
# Events of an answer: some endpoints send a token in parts, all send some that hold none.
_EVENTS_A_TOKEN = 4
_MORE_EVENTS = 1024
_DONE = b"[DONE]"
_WORDS = 200


class BadStream(Exception):
    """The stream is no answer.

    Args:
        reason: of `records`.
        words: what is wrong.
    """

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason
        self.words = words


class EventReader:
    """The data of server-sent events; lines end with LF or CRLF, as endpoints write them."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of all events that a further piece completes.

        Raises:
            BadStream: an event is larger than `MAX_EVENT_BYTES`.
        """
        *lines, self._rest = (self._rest + piece).split(b"\n")
        found: list[bytes] = []
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                data = line[5:].removeprefix(b" ")
                self._data.append(data)
                self._size += len(data)
            elif not line and self._data:
                found.append(b"\n".join(self._data))
                self._data, self._size = [], 0
            self._check(self._size)
        self._check(self._size + len(self._rest))
        return found

    def _check(self, size: int) -> None:
        if size > MAX_EVENT_BYTES:
            raise BadStream(GARBLED, f"an event has more than {MAX_EVENT_BYTES:,} bytes")


class _Delta(msgspec.Struct):
    content: Any = None
    reasoning_content: Any = None  # as most servers of open models name it
    reasoning: Any = None
    refusal: Any = None
    tool_calls: Any = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None


class AnswerTally:
    """Takes the events of one answer as they come.

    Args:
        max_tokens: that were asked for; an answer of many times as many events is refused.

    Attributes:
        pieces: when each piece of text came. A first chunk that names the role and has no text is
            no token.
        is_over: nothing more is to come.
    """

    def __init__(self, max_tokens: int) -> None:
        self.pieces: array[float] = array("d")
        self.is_over = False
        self._finished = False
        self._events_left = _EVENTS_A_TOKEN * max_tokens + _MORE_EVENTS
        self._usage: _Usage | None = None

    def take(self, data: bytes, at: float) -> None:
        """One event.

        Raises:
            BadStream: it is no chunk of an answer, or tells of an error.
        """
        if data.strip() == _DONE:
            self.is_over = True
            return
        self._events_left -= 1
        if self._events_left < 0:
            raise BadStream(GARBLED, "many more events than tokens were asked for")
        try:
            chunk = _decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BadStream(GARBLED, str(error)) from None
        if chunk.error is not None:
            raise BadStream(TOLD_ERROR, error_words(chunk.error))
        if chunk.usage is not None:
            self._usage = chunk.usage
        for choice in chunk.choices or ():
            if choice.finish_reason is not None:
                self._finished = True
            if choice.delta is not None and _has_text(choice.delta):
                self.pieces.append(at)

    def end(self) -> None:
        """Says that the stream is closed.

        Raises:
            BadStream: the answer is not whole, or has no text.
        """
        if not (self.is_over or self._finished):
            raise BadStream(BROKEN, "the stream ended within the answer")
        if not self.pieces:
            raise BadStream(EMPTY, "the answer has no text")

    def prompt(self, chars: int) -> TokenCount:
        """As told, or a quarter of the characters."""
        told = self._usage.prompt_tokens if self._usage is not None else None
        return TokenCount(-(-chars // 4), estimated=True) if told is None else TokenCount(told)

    def output(self) -> TokenCount:
        """As told, or one a piece of text."""
        told = self._usage.completion_tokens if self._usage is not None else None
        return TokenCount(len(self.pieces), estimated=True) if told is None else TokenCount(told)

    @property
    def cached_tokens(self) -> int | None:
        """Of the prompt, where the endpoint tells."""
        details = self._usage.prompt_tokens_details if self._usage is not None else None
        return None if details is None else details.cached_tokens


def error_words(error: object) -> str:
    """What an error object or the body of a refusal says, on one short line."""
    if isinstance(error, bytes):
        try:
            error = msgspec.json.decode(error)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            error = error.decode(errors="replace") if isinstance(error, bytes) else error
    if isinstance(error, dict):
        inner = error.get("error", error)
        error = inner.get("message") or inner if isinstance(inner, dict) else inner
    # Cut before it is looked at: it is somebody else's and may be long.
    return " ".join(str(error)[: 4 * _WORDS].split())[:_WORDS]


def _has_text(delta: _Delta) -> bool:
    return bool(
        delta.content
        or delta.reasoning_content
        or delta.reasoning
        or delta.refusal
        or delta.tool_calls
    )


_decoder = msgspec.json.Decoder(_Chunk)
