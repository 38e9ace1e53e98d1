"""Drives an engine's loop with requests that arrive at given times, and keeps when what happened.

What always holds: the loop runs in this process and thread, so that a time is the engine's own;
every request is driven to its end.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rostra.serving import EngineCore, EngineRequest, RequestEnd, Tokens


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request and when it comes, in seconds after the start."""

    at: float
    request: EngineRequest


@dataclass(slots=True)
class Trace:
    """What became of one request; times are seconds after the start.

    Attributes:
        arrived: when it was handed to the engine.
        times: of each new token, all sequences together.
        ended: of the terminal event.
        cached_tokens: prompt tokens that the prefix cache had.
        tokens: the new tokens of sequence 0.
        error: the code of what ended the request, None when nothing went wrong.
    """

    arrived: float
    times: list[float] = field(default_factory=list)
    ended: float = 0.0
    cached_tokens: int = 0
    tokens: list[int] = field(default_factory=list)
    error: str | None = None

    @property
    def ttft(self) -> float:
        """Seconds to the first token."""
        return self.times[0] - self.arrived

    @property
    def gaps(self) -> list[float]:
        """Seconds between a token and the next."""
        return [b - a for a, b in zip(self.times, self.times[1:], strict=False)]


def drive(
    core: EngineCore,
    arrivals: Sequence[Arrival],
    *,
    after_step: Callable[[], None] | None = None,
) -> list[Trace]:
    """Runs until all requests have ended; their traces in the order given.

    Args:
        core: idle.
        arrivals: ids are unique, times ascend.
        after_step: called after each step.
    """
    traces: dict[str, Trace] = {}
    waiting = list(reversed(arrivals))
    began = time.perf_counter()

    def now() -> float:
        return time.perf_counter() - began

    while waiting or core.has_work:
        while waiting and waiting[-1].at <= now():
            due = waiting.pop()
            # Waiting for its turn in this loop is the engine's doing: it counts.
            traces[due.request.id] = Trace(arrived=max(due.at, 0.0))
            core.add(due.request)
        events = core.step()
        at = now()
        for event in events:
            trace = traces[event.request_id]
            match event:
                case Tokens():
                    trace.times += [at] * len(event.token_ids)
                    if event.index == 0:
                        trace.tokens += event.token_ids
                case RequestEnd():
                    trace.ended = at
                    trace.cached_tokens = event.usage.cached_tokens
                    trace.error = event.error["code"] if event.error else None
        if after_step is not None:
            after_step()
        if not core.has_work and waiting:
            time.sleep(max(0.0, waiting[-1].at - now()))
    return [traces[arrival.request.id] for arrival in arrivals]
