"""Streams as OpenAI's clients read them, and readers who leave.

What always holds: a failure before the first event has its own HTTP status, a later one becomes an
event and ends the stream; a reader who leaves ends the generation, whether it streams or not.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec
from litestar import Request, Response
from litestar.background_tasks import BackgroundTask
from litestar.response import Stream

from rostra.api.background import Background
from rostra.api.openai.errors import ClientGone, ErrorBody, error_of
from rostra.api.sse import EVENT_STREAM, HEADERS, Relay, json_line

T = TypeVar("T")

DONE = b"data: [DONE]\n\n"


def data_frame(value: Any) -> bytes:
    """An event without a name."""
    return b"data: %s\n\n" % json_line(value)


def json_response(value: Any, status: int = 200) -> Response[bytes]:
    """A value as the body of a response."""
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")


async def stream_response(
    request: Request[Any, Any, Any],
    frames: AsyncGenerator[bytes, None],
    background: Background,
    error_frame: Callable[[ErrorBody], bytes] = data_frame,
) -> Response[Any]:
    """Sends frames as they come; waits for the first.

    Raises:
        ClientGone: the reader left before it.
        Exception: whatever the source raises before it.
    """
    relay = Relay(_guarded(frames, error_frame), background)
    try:
        first = await while_connected(request, relay.first())
    except BaseException:
        relay.stop()
        raise
    return Stream(
        relay.frames(first, lambda frame: (frame,)),
        media_type=EVENT_STREAM,
        headers=HEADERS,
        status_code=200,
        # Also when the reader left before the first byte, and the frames never began.
        background=BackgroundTask(_stop, relay),
    )


async def while_connected(request: Request[Any, Any, Any], work: Coroutine[Any, Any, T]) -> T:
    """Awaits work whose result nobody wants any more once the client has gone.

    Raises:
        ClientGone: the client closed the connection; the work was cancelled.
    """
    doing = asyncio.create_task(work)
    leaving = asyncio.create_task(_left(request))
    try:
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise ClientGone("the client closed the connection")
        return doing.result()
    finally:
        leaving.cancel()
        doing.cancel()
        await asyncio.shield(asyncio.gather(doing, leaving, return_exceptions=True))


async def _left(request: Request[Any, Any, Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _guarded(
    frames: AsyncGenerator[bytes, None], error_frame: Callable[[ErrorBody], bytes]
) -> AsyncGenerator[bytes, None]:
    started = False
    async with aclosing(frames):
        try:
            async for frame in frames:
                started = True
                yield frame
        except Exception as error:  # the reader is told, whatever it is
            if not started:
                raise
            yield error_frame(error_of(error)[1])


async def _stop(relay: Relay[bytes]) -> None:
    relay.stop()
