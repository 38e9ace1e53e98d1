"""Bodies of answers over HTTP, made so that the protocol's library can read them.

What always holds: a body that the library can read passes as it is; of one that it cannot, the
messages are those of `read_message`, as over stdio. A body that breaks off or grows too large ends
in a `StreamError`, which the library takes as an error of the one request; others would end the
connection.
"""

import re
from collections.abc import AsyncIterator

import httpx2

from rostra.agents.mcp.messages import readable
from rostra.agents.mcp.text import reason_of

_LINE_END = re.compile(rb"\r\n|\n|\r")
# The end of an event: two ends of lines, the second of which may be half there.
_EVENT_END = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
_LONGEST_END = 4


class Body(httpx2.AsyncByteStream):
    """A body in which failures of the network are `StreamError`s.

    Args:
        limit: bytes; None for none.
    """

    def __init__(self, body: httpx2.AsyncByteStream, limit: int | None = None) -> None:
        self._body = body
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        try:
            async for chunk in self._body:
                size += len(chunk)
                if self._limit is not None and size > self._limit:
                    raise httpx2.StreamError(f"the answer has more than {self._limit:,} bytes")
                yield chunk
        except httpx2.TransportError as error:
            raise httpx2.StreamError(f"the answer broke off: {reason_of(error)}") from error

    async def aclose(self) -> None:
        await self._body.aclose()


class JsonBody(Body):
    """One message."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        whole = bytearray()
        async for chunk in super().__aiter__():
            whole += chunk
        yield readable(bytes(whole))


class EventBody(httpx2.AsyncByteStream):
    """A stream of events, each with a message; they pass one by one as they come.

    Args:
        limit: bytes of an event; a longer one passes as it comes, and the library refuses it.
    """

    def __init__(self, body: httpx2.AsyncByteStream, limit: int) -> None:
        self._body = body
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        rest, looked_at = bytearray(), 0
        async for chunk in self._body:
            rest += chunk
            while end := _EVENT_END.search(rest, looked_at):
                yield readable_event(bytes(rest[: end.end()]))
                del rest[: end.end()]
                looked_at = 0
            looked_at = max(0, len(rest) - _LONGEST_END)
            if len(rest) > self._limit:
                yield bytes(rest)
                rest.clear()
                looked_at = 0
        if rest:
            yield readable_event(bytes(rest))

    async def aclose(self) -> None:
        await self._body.aclose()


def readable_event(event: bytes) -> bytes:
    """An event with a message that can be read; one that can be read already is itself."""
    lines = _LINE_END.split(event)
    said = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
    data = b"\n".join(said)
    if not data or (changed := readable(data)) == data:
        return event
    others = [line for line in lines if line and not line.startswith(b"data:")]
    return b"\n".join([*others, b"data: " + changed, b"", b""])
