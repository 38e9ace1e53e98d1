"""Server-sent events (WHATWG HTML, 9.2) from an asynchronous iterator.

What always holds: the source runs in a task of its own, so that neither a keep-alive nor a reader
who leaves cuts it in mid-write; a reader who leaves before the source has settled ends it, one who
leaves after does not; an error before the first event is raised to the caller, one after it
becomes an `error` event.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from typing import Any, Generic, TypeVar

import msgspec

from rostra.api.background import Background
from rostra.api.errors import problem_of

T = TypeVar("T")

EVENT_STREAM = "text/event-stream"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_KEEP_ALIVE = b": keep-alive\n\n"
_KEEP_ALIVE_SECONDS = 15.0
_SEPARATORS = tuple((mark.encode(), b"\\u%04x" % ord(mark)) for mark in "\x85\u2028\u2029")


class _End:
    """Follows the last event; with the error that ended the source, if one did."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error


class Relay(Generic[T]):
    """Runs a source beside the response that reads it.

    Args:
        source: the events; closed in every case.
        background: keeps the task.
        settles: tells the event after which the source is to run to its end, reader or not.
        keep_alive: seconds of silence after which a comment is sent.
    """

    def __init__(
        self,
        source: AsyncGenerator[T, None],
        background: Background,
        settles: Callable[[T], bool] = lambda _: False,
        keep_alive: float = _KEEP_ALIVE_SECONDS,
    ) -> None:
        self._settles = settles
        self._settled = False
        self._abandoned = False
        self._keep_alive = keep_alive
        # One at a time: what the reader has not taken yet is not made in advance.
        self._queue: asyncio.Queue[T | _End] = asyncio.Queue(maxsize=1)
        self._task = background.start("event stream", self._pump(source))

    async def first(self) -> T:
        """The first event.

        Raises:
            Exception: whatever the source raises before it.
        """
        item = await self._queue.get()
        if isinstance(item, _End):
            raise item.error or RuntimeError("an event stream ended before its first event")
        return item

    async def frames(
        self, first: T, encode: Callable[[T], Iterable[bytes]]
    ) -> AsyncGenerator[bytes, None]:
        """The events as bytes, from the first on, until the source ends."""
        try:
            for frame in encode(first):
                yield frame
            while True:
                try:
                    async with asyncio.timeout(self._keep_alive):
                        item = await self._queue.get()
                except TimeoutError:
                    yield _KEEP_ALIVE
                    continue
                if isinstance(item, _End):
                    if item.error is not None:
                        yield event_frame("error", problem_of(item.error))
                    return
                for frame in encode(item):
                    yield frame
        finally:
            self.stop()

    def stop(self) -> None:
        """Says that nobody reads any more. Never waits, so it is safe while being cancelled."""
        self._abandoned = True
        if not self._settled:
            self._task.cancel()
        elif not self._queue.empty():
            self._queue.get_nowait()

    async def _pump(self, source: AsyncGenerator[T, None]) -> None:
        error: Exception | None = None
        try:
            async with aclosing(source):
                async for item in source:
                    self._settled = self._settled or self._settles(item)
                    await self._put(item)
        except Exception as raised:  # the reader is told, whatever it is
            error = raised
        await self._put(_End(error))

    async def _put(self, item: T | _End) -> None:
        if not self._abandoned:
            await self._queue.put(item)


def event_frame(event: str, data: Any) -> bytes:
    """One event."""
    return b"event: %s\ndata: %s\n\n" % (event.encode(), json_line(data))


def json_line(value: Any) -> bytes:
    """JSON on one line, whatever a reader takes for the end of a line.

    Many clients end lines as `str.splitlines` does, at separators that JSON lets stand and this
    format does not know.
    """
    encoded = msgspec.json.encode(value)
    for separator, escaped in _SEPARATORS:
        encoded = encoded.replace(separator, escaped)
    return encoded
