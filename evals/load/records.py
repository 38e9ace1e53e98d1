"""What became of a request, as times: everything that is reported is computed from these.

What always holds: all times are seconds after the start of the run, by one clock; a request that
was planned has exactly one record, sent or not.
"""

from array import array
from dataclasses import dataclass, field

# The generator's own reasons; an endpoint's are `shed_429`, `shed_503` and `http_` with the status.
TIMEOUT = "timeout"
UNREACHABLE = "no_connection"
BROKEN = "broken_stream"
TOLD_ERROR = "error_in_stream"
GARBLED = "garbled_stream"
NO_STREAM = "no_stream"
EMPTY = "empty_answer"
NOT_SENT = "not_sent_too_many_open"


@dataclass(frozen=True, slots=True)
class TokenCount:
    """Tokens of a prompt or an answer; estimated where the endpoint told none."""

    tokens: int
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request.

    Attributes:
        scheduled: when it was to be sent.
        sent: when it was; None if it never was.
        ended: when its answer, or the attempt, did.
        pieces: when each piece of text came; one piece may be several tokens.
        prompt, output: token counts.
        cached_tokens: of the prompt, that a prefix cache had; None where nobody told.
        failure: why there is no answer; None for a complete one.
        words: of the failure, as the endpoint or the library put it.
        interrupted: the run was ended before the request; it is in no figure.
    """

    scheduled: float
    sent: float | None
    ended: float
    pieces: "array[float]" = field(default_factory=lambda: array("d"))
    prompt: TokenCount = TokenCount(0, estimated=True)
    output: TokenCount = TokenCount(0, estimated=True)
    cached_tokens: int | None = None
    failure: str | None = None
    words: str = ""
    interrupted: bool = False

    @property
    def completed(self) -> bool:
        """Whether there is a whole answer."""
        return self.failure is None and not self.interrupted

    @property
    def send_delay(self) -> float | None:
        """Seconds that the generator was late; None if it never sent."""
        return None if self.sent is None else self.sent - self.scheduled

    @property
    def ttft(self) -> float | None:
        """Seconds from when it was to be sent to the first text.

        From that moment, not from when it was sent: a generator that falls behind then makes the
        figures worse, and hides nothing.
        """
        return self.pieces[0] - self.scheduled if self.pieces else None

    @property
    def tpot(self) -> float | None:
        """Mean seconds between tokens after the first; None for an answer of one token."""
        if len(self.pieces) == 0 or self.output.tokens < 2:
            return None
        return (self.pieces[-1] - self.pieces[0]) / (self.output.tokens - 1)

    @property
    def e2e(self) -> float:
        """Seconds from when it was to be sent to the end of its answer."""
        return self.ended - self.scheduled
