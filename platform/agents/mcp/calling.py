"""One call of one tool over an open connection.

What always holds: a call ends within its deadlines and, where it is given up, is cancelled at the
server; what the tool or the server says went wrong is a result with `is_error`; a call under way
when the connection breaks fails with `began`, since nobody knows how far it came.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast

from mcp import MCPError
from mcp.types import CONNECTION_CLOSED, PARSE_ERROR, RequestParamsMeta
from pydantic import ValidationError

from rostra.agents.mcp.config import ServerConfig
from rostra.agents.mcp.connection import Connection
from rostra.agents.mcp.content import result_of
from rostra.agents.mcp.http import began_of
from rostra.agents.mcp.messages import is_unreadable
from rostra.agents.mcp.text import bounded, one_line, reason_of
from rostra.agents.tools.tool import CallContext, ToolFailure, ToolResult

# Key in a call's `_meta`: the same for each attempt at the same call.
_CALL_KEY = "rostra/call"


async def make_call(
    connection: Connection,
    config: ServerConfig,
    remote: str,
    arguments: dict[str, Any],
    context: CallContext,
    ends: float,
) -> ToolResult:
    """Calls a tool.

    Args:
        remote: the server's own name of the tool.
        ends: when the call is given up at the latest, by the loop's clock.

    Raises:
        ToolFailure: the server has gone, or a deadline has passed.
    """
    client = connection.client
    now = asyncio.get_running_loop().time
    idle = config.idle_seconds
    try:
        async with asyncio.timeout_at(min(now() + idle, ends)) as deadline:

            def alive() -> None:
                if not deadline.expired():
                    deadline.reschedule(min(now() + idle, ends))

            heard = _Progress(context, alive)
            try:
                answer = await client.call_tool(
                    remote,
                    arguments,
                    progress_callback=heard,
                    meta=cast("RequestParamsMeta", {_CALL_KEY: context.call}),
                )
            finally:
                heard.over = True
    except TimeoutError:
        over = now() >= ends
        what = "did not end in time" if over else f"gave no sign of life for {idle:g} s"
        raise ToolFailure(
            f"Server {config.name!r} {what}; the call was cancelled. It may have had its effect."
        ) from None
    except MCPError as error:
        return _failed(error, connection, config.name)
    except (ValidationError, RuntimeError) as error:
        # It has answered, so the call is over; but not as it promised to.
        return _not_valid(reason_of(error))
    return result_of(answer, cites=config.cites)


def check_sendable(value: Any) -> None:
    """Raises what would otherwise end a connection while the message is being written.

    Raises:
        ToolFailure: the value is no JSON, such as for a NaN, or no text that can be encoded.
    """
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        why = reason_of(error)
        raise ToolFailure(f"The arguments cannot be sent as JSON: {why}.", began=False) from None


def _failed(error: MCPError, connection: Connection, server: str) -> ToolResult:
    """An error as the result that it is, where the server has said so.

    Raises:
        ToolFailure: it is the connection's, not the server's.
    """
    said = bounded(error.message)
    if is_unreadable(error.data):
        return _not_valid(said)
    began = began_of(error.data)
    if began is not None:
        doubt = " It may have had its effect." if began else ""
        raise ToolFailure(f"Server {server!r}: {said}.{doubt}", began=began) from None
    if error.code in (CONNECTION_CLOSED, PARSE_ERROR):
        why = said if connection.usable else connection.why
        words = "" if connection.usable else connection.last_words
        raise ToolFailure(
            f"Server {server!r} went away during the call ({why}). "
            f"It may have had its effect.{words}"
        ) from None
    return ToolResult(f"The server answered with an error: {said}", is_error=True)


def _not_valid(why: str) -> ToolResult:
    said = bounded(f"The tool ran, but its answer is not valid: {why}")
    return ToolResult(said, is_error=True)


class _Progress:
    """Hears of progress: a sign of life, told on in words while the last word is not under way."""

    def __init__(self, context: CallContext, alive: Callable[[], None]) -> None:
        self._context = context
        self._alive = alive
        self._telling = False
        self.over = False

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        if self.over:
            return
        self._alive()
        if self._context.progress is None or self._telling:
            return
        share = f"{progress:g} of {total:g}" if total else f"{progress:g}"
        self._telling = True
        try:
            await self._context.progress(f"{share}: {one_line(message)}" if message else share)
        finally:
            self._telling = False
