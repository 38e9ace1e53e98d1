"""Streamable HTTP to one server: what happens to a request stays with that request.

The protocol library ends a whole connection when one request cannot be sent. Here a failure to
reach the server, a refusal of it and an answer that breaks off become JSON-RPC errors of the one
request, which say whether the server can have begun with it (`began_of`). What always holds: no
compressed answers, so the bound on bytes is a bound on memory.
"""

from collections.abc import Callable
from typing import Any

import httpx2
from httpx2 import USE_CLIENT_DEFAULT
from mcp.client.auth import OAuthFlowError
from mcp.types import INTERNAL_ERROR, JSONRPCError, jsonrpc_message_adapter

from rostra.agents.mcp.bodies import Body, EventBody, JsonBody
from rostra.agents.mcp.text import reason_of
from rostra.core import get_logger

log = get_logger(__name__)

_BEGAN = "rostra.began"
_SESSION = "mcp-session-id"
_CONNECT = 10.0
_FAREWELL = 3.0
# Never on its way: the request was not even sent.
_UNSENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)
_REFUSALS = {
    401: "it asks for a login (HTTP 401)",
    403: "it does not allow this (HTTP 403)",
    404: "there is nothing at its URL (HTTP 404)",
    405: "it takes no such requests; is this the URL of an MCP server? (HTTP 405)",
    413: "the request is too large for it (HTTP 413)",
    429: "it has had too many requests (HTTP 429)",
}


def began_of(data: Any) -> bool | None:
    """What an error's data says: whether the server can have begun; None: the error is its own."""
    began = data.get(_BEGAN) if isinstance(data, dict) else None
    return began if isinstance(began, bool) else None


class HttpClient(httpx2.AsyncClient):
    """A client for one server.

    Args:
        headers: of every request.
        auth: OAuth, if any.
        read_seconds: longest silence within an answer; the deadlines of calls are shorter.
        max_bytes: largest answer, but for streams of events.
        on_session_lost: told when the server no longer knows the session, after a restart.
    """

    def __init__(
        self,
        *,
        headers: dict[str, str],
        auth: httpx2.Auth | None,
        read_seconds: float,
        max_bytes: int,
        on_session_lost: Callable[[], None],
    ) -> None:
        super().__init__(
            headers=headers | {"Accept-Encoding": "identity"},
            auth=auth,
            timeout=httpx2.Timeout(_CONNECT, read=read_seconds),
        )
        self._max_bytes = max_bytes
        self._on_session_lost = on_session_lost

    async def send(
        self,
        request: httpx2.Request,
        *,
        stream: bool = False,
        auth: Any = USE_CLIENT_DEFAULT,
        follow_redirects: Any = USE_CLIENT_DEFAULT,
    ) -> httpx2.Response:
        """Sends a request; of a POST, failures come back as JSON-RPC errors."""
        if request.method == "DELETE":
            return await self._farewell(request)
        try:
            response = await super().send(
                request, stream=stream, auth=auth, follow_redirects=follow_redirects
            )
        except _UNSENT as error:
            return self._failed(request, 503, f"cannot reach it: {reason_of(error)}", began=False)
        except OAuthFlowError as error:
            return self._failed(request, 401, f"the login failed: {reason_of(error)}", began=False)
        except httpx2.RequestError as error:
            return self._failed(request, 502, f"no answer: {reason_of(error)}", began=True)
        if response.status_code == 404 and _SESSION in request.headers:
            self._on_session_lost()
            await response.aclose()
            return self._failed(request, 404, "it no longer knows the session", began=False)
        if request.method != "POST" or not stream:
            return response
        return await self._checked(request, response)

    async def _farewell(self, request: httpx2.Request) -> httpx2.Response:
        """Ends a session; whether the server hears of it is no concern of ours."""
        request.extensions["timeout"] = httpx2.Timeout(_FAREWELL).as_dict()
        try:
            await super().send(request)
        except (httpx2.RequestError, OAuthFlowError) as error:
            log.debug("farewell_failed", reason=reason_of(error))
        return httpx2.Response(204, request=request)

    async def _checked(self, request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        encoding = response.headers.get("content-encoding", "identity").lower()
        if encoding != "identity":
            await response.aclose()
            return self._failed(request, 502, f"its answer is compressed ({encoding})", began=True)
        body = response.stream
        if not isinstance(body, httpx2.AsyncByteStream):
            raise TypeError("the body of an asynchronous response is an asynchronous stream")
        status, kind = response.status_code, response.headers.get("content-type", "").lower()
        if kind.startswith("text/event-stream"):
            response.stream = EventBody(body, self._max_bytes)
        elif kind.startswith("application/json"):
            response.stream = JsonBody(body, self._max_bytes)
        else:
            response.stream = Body(body, self._max_bytes)
        if status < 400:
            return response
        try:
            said = jsonrpc_message_adapter.validate_json(await response.aread(), by_name=False)
        except (ValueError, httpx2.StreamError):
            said = None
        finally:
            await response.aclose()
        if isinstance(said, JSONRPCError):
            return response
        why = _REFUSALS.get(status, f"it answered with HTTP {status}")
        return self._failed(request, status, why, began=status >= 500)

    def _failed(
        self, request: httpx2.Request, status: int, why: str, *, began: bool
    ) -> httpx2.Response:
        error = {"code": INTERNAL_ERROR, "message": why, "data": {_BEGAN: began}}
        return httpx2.Response(
            status, json={"jsonrpc": "2.0", "id": None, "error": error}, request=request
        )
