"""Traffic that was recorded: JSON lines of when a request came and what it asked.

A line has `offset_s`, `max_tokens`, one of `prompt`, `messages` and `prompt_tokens`, and perhaps a
`session`. Offsets ascend. Fields beyond these are not looked at, since recordings have them.

What always holds: the whole file is checked before anything is sent; what is wrong is told with the
number of its line.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated, Any

import msgspec

from evals.load.errors import InvalidTraffic
from evals.load.plan import (
    MAX_REQUESTS,
    MAX_TOKENS,
    Message,
    PlannedRequest,
    TokenRuler,
    bounded,
    text_of,
    user_message,
)

MAX_LINE_BYTES = 4 * 1024 * 1024
MAX_FILE_BYTES = 256 * 1024 * 1024

Count = Annotated[int, msgspec.Meta(ge=1, le=MAX_TOKENS)]


class RecordedRequest(msgspec.Struct, frozen=True):
    """A line of the file."""

    offset_s: Annotated[float, msgspec.Meta(ge=0)]
    max_tokens: Count
    prompt: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    messages: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1)] | None = None
    prompt_tokens: Count | None = None
    session: str | int | None = None


@dataclass(frozen=True, slots=True)
class RecordedTraffic:
    """The requests of a file.

    Attributes:
        name: of the file.
        requests: at least one; offsets ascend.
        seed: of the words of prompts of which only the length was recorded.
    """

    name: str
    requests: tuple[RecordedRequest, ...]
    seed: int = 0

    @property
    def needs_ruler(self) -> bool:
        """Whether of some prompts only the length is known."""
        return any(request.prompt_tokens is not None for request in self.requests)

    @property
    def notes(self) -> tuple[str, ...]:
        """That prompts come again with every rate."""
        if all(request.prompt_tokens is not None for request in self.requests):
            return ()
        return (
            "recorded prompts are the same at every rate: from the second on, a prefix cache may "
            "know them",
        )

    def mean_rate(self) -> float | None:
        """Gaps per second; None for a single moment."""
        span = self.requests[-1].offset_s - self.requests[0].offset_s
        return (len(self.requests) - 1) / span if span > 0 else None

    def plan(self, rate: float | None, turn: int, ruler: TokenRuler) -> list[PlannedRequest]:
        """See `Traffic`; another rate stretches or shrinks all gaps alike."""
        scale = 1.0
        if rate is not None:
            own = self.mean_rate()
            if own is None:
                raise InvalidTraffic(
                    f"{self.name}: all requests come at once and have no rate to change",
                    hint="Leave --rates out.",
                )
            scale = own / rate
        first = self.requests[0].offset_s
        random = Random(f"{self.seed} {turn} recorded")
        return bounded(
            PlannedRequest(
                (request.offset_s - first) * scale,
                self._messages(request, turn, ruler, random),
                request.max_tokens,
                None if request.session is None else str(request.session),
            )
            for request in self.requests
        )

    def _messages(
        self, request: RecordedRequest, turn: int, ruler: TokenRuler, random: Random
    ) -> tuple[Message, ...]:
        if request.messages is not None:
            return tuple(request.messages)
        if request.prompt is not None:
            return (user_message(request.prompt),)
        words = ruler.words(request.prompt_tokens or 1)
        if request.session is None:
            return (user_message(text_of(words, random)),)
        # A longer prompt of the same session begins with the shorter one, as conversations do.
        return (user_message(text_of(words, Random(f"{self.seed} {turn} {request.session}"))),)

    def to_dict(self) -> dict[str, Any]:
        """See `Traffic`."""
        return {
            "kind": "recorded",
            "file": self.name,
            "requests": len(self.requests),
            "mean_rate": self.mean_rate(),
            "seed": self.seed,
        }


def read_traffic(path: Path, *, seed: int = 0) -> RecordedTraffic:
    """Reads a file.

    Raises:
        InvalidTraffic: it cannot be read, has no request or too many, or a line is wrong.
    """
    requests: list[RecordedRequest] = []
    before = 0.0
    for number, line in _lines(path):
        try:
            request = _decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise _wrong(path, number, str(error)) from None
        if problem := _problem(request, before):
            raise _wrong(path, number, problem)
        if len(requests) == MAX_REQUESTS:
            raise _wrong(path, number, f"more than {MAX_REQUESTS:,} requests")
        before = request.offset_s
        requests.append(request)
    if not requests:
        raise InvalidTraffic(
            f"{path}: no requests", hint="A line a request: see this command's help."
        )
    return RecordedTraffic(path.name, tuple(requests), seed)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1."""
    try:
        with path.open("rb") as file:
            number = size = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                size += len(line)
                if size > MAX_FILE_BYTES:
                    raise _wrong(path, number, f"the file has more than {MAX_FILE_BYTES:,} bytes")
                if len(line) > MAX_LINE_BYTES:
                    raise _wrong(path, number, f"longer than {MAX_LINE_BYTES:,} bytes")
                if line.strip():
                    yield number, line
    except OSError as error:
        raise InvalidTraffic(f"{path}: {error.strerror or error}") from None


def _problem(request: RecordedRequest, before: float) -> str | None:
    """What the types do not say."""
    asked = [
        name
        for name in ("prompt", "messages", "prompt_tokens")
        if getattr(request, name) is not None
    ]
    if len(asked) != 1:
        found = " and ".join(asked) or "none"
        return f"needs one of prompt, messages and prompt_tokens, has {found}"
    if any(not isinstance(message.get("role"), str) for message in request.messages or ()):
        return "a message needs a role"
    if not math.isfinite(request.offset_s):
        return "offset_s is not finite"
    if request.offset_s < before:
        return f"offset_s {request.offset_s:g} comes after {before:g}: sort the lines"
    return None


def _wrong(path: Path, number: int, what: str) -> InvalidTraffic:
    return InvalidTraffic(f"{path}, line {number}: {what}", line=number)


_decoder = msgspec.json.Decoder(RecordedRequest)
