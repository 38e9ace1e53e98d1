"""A circuit breaker: an endpoint that keeps failing is left alone for a while, then tried once.

What always holds: while it is open nothing is sent; after the rest one request goes through and
decides, whatever older ones still report; a request that was broken off decides nothing. It belongs
to one event loop and takes no locks.
"""

import time
from collections.abc import Callable

from rostra.models.errors import BreakerOpen


class Breaker:
    """Counts failures in a row.

    Args:
        threshold: so many in a row open it.
        cooldown: seconds that it stays open before the next try.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        threshold: int = 5,
        cooldown: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._threshold = threshold
        self._cooldown = cooldown
        self._clock = clock
        self._failures = 0
        self._opened: float | None = None
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether requests are held back, but for the one that tries."""
        return self._opened is not None

    def admit(self, name: str) -> "Admitted":
        """Lets a request through, which then says how it ended.

        Args:
            name: of the endpoint, for the error.

        Raises:
            BreakerOpen: not now.
        """
        if self._opened is None:
            return Admitted(self, tries=False)
        rest = self._opened + self._cooldown - self._clock()
        if rest > 0 or self._trying:
            raise BreakerOpen(
                f"{name} failed {self._failures} times in a row and is left alone for now",
                hint=f"It is tried again in {max(rest, 0):.0f} s.",
                retry_after=round(max(rest, 0.0), 3),
            )
        self._trying = True
        return Admitted(self, tries=True)

    def _close(self) -> None:
        self._failures, self._opened, self._trying = 0, None, False

    def _succeeded(self, tries: bool) -> None:
        if tries or self._opened is None:
            self._close()

    def _failed(self, tries: bool) -> None:
        self._failures += 1
        if tries or (self._opened is None and self._failures >= self._threshold):
            self._opened = self._clock()
            self._trying = False

    def _left(self) -> None:
        self._trying = False


class Admitted:
    """A request that was let through; of several ends that it reports the first counts."""

    def __init__(self, breaker: Breaker, *, tries: bool) -> None:
        self._breaker = breaker
        self._tries = tries
        self._ended = False

    def answered(self) -> None:
        """The first word of an answer came: if this was the try, others may go, too."""
        if self._tries:
            self._tries = False
            self._breaker._close()

    def succeeded(self) -> None:
        """The endpoint did its work, be it with a refusal."""
        if not self._end():
            self._breaker._succeeded(self._tries)

    def failed(self) -> None:
        """The endpoint could not be reached or did not do its work."""
        if not self._end():
            self._breaker._failed(self._tries)

    def left(self) -> None:
        """The request was broken off by its caller: nothing is known."""
        if not self._end() and self._tries:
            self._breaker._left()

    def _end(self) -> bool:
        """Whether it had ended before."""
        before, self._ended = self._ended, True
        return before
