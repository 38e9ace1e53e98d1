"""What is known of a server that could not be used: since when, why, and until when nobody waits.

A failure that took its time is remembered for a while, so that one dead server costs one run its
patience and not every run. What fails at once costs nothing and is tried each time.

What always holds: whoever is refused is told why and since when; a server that answers again is
forgotten at once.
"""

from asyncio import CancelledError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rostra.agents.mcp.text import bounded
from rostra.agents.tools.tool import ToolFailure

# How long a failure is remembered, and what it must have taken to be.
REMEMBERED_SECONDS = 60.0
_WORTH_SECONDS = 1.0


class Outage:
    """See this module.

    Args:
        server: its name.
        clock: seconds.
    """

    def __init__(self, server: str, clock: Callable[[], float]) -> None:
        self._server = server
        self._clock = clock
        self._since: datetime | None = None
        self._why = ""
        self._until = clock()
        self._given_up: float | None = None

    def check(self) -> None:
        """Refuses who would wait for a server that did not answer a moment ago.

        Raises:
            ToolFailure: it did not.
        """
        if self._since is None or self._clock() >= self._until:
            return
        raise ToolFailure(
            f"Server {self._server!r} unavailable since {self._since:%Y-%m-%d %H:%M:%S} UTC: "
            f"{self._why}",
            began=False,
        )

    def give_up(self) -> None:
        """Notes that nobody waits from now on; what follows is the server's time to leave."""
        self._given_up = self._clock()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Learns from an attempt to use the server how it went."""
        began = self._clock()
        self._given_up = None
        try:
            yield
        except CancelledError:
            took = self._waited_until() - began
            self._failed(f"no answer within {took:.3g} s", took)
            raise
        # Whatever it is, the server could not be used; it goes on to who has asked.
        except Exception as error:
            self._failed(self._plain(str(error)), self._clock() - began)
            raise
        self._since = None

    def _waited_until(self) -> float:
        return self._clock() if self._given_up is None else self._given_up

    def _failed(self, why: str, took: float) -> None:
        self._since = self._since or datetime.now(UTC)
        self._why = why
        if took >= _WORTH_SECONDS:
            self._until = self._clock() + REMEMBERED_SECONDS

    def _plain(self, said: str) -> str:
        """A failure's words without what stands before them in ours."""
        for opening in (f"Server {self._server!r} cannot be used: ", f"Server {self._server!r}: "):
            said = said.removeprefix(opening)
        return bounded(said)
