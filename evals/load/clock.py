"""The clock that a run goes by, as a seam for tests."""

import asyncio
from typing import Protocol


class Clock(Protocol):
    """Seconds after the start of a run."""

    def now(self) -> float:
        """The time."""
        ...

    async def wait(self, until: float, stop: asyncio.Event) -> None:
        """Returns at that time, or as soon as `stop` is set.

        Other tasks get their turn even when the time has passed.
        """
        ...


class LoopClock:
    """The running loop's clock, from now on."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()

    def now(self) -> float:
        """See `Clock`."""
        return self._loop.time() - self._start

    async def wait(self, until: float, stop: asyncio.Event) -> None:
        """See `Clock`."""
        if self.now() >= until:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout_at(self._start + until):
                await stop.wait()
        except TimeoutError:
            return
