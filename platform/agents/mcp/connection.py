"""One connection to one MCP server, held by one task.

The library's contexts hold cancel scopes, which must be left by the task that entered them; so one
task enters them, waits, and leaves them, and calls come from any other task. What always holds: the
owner ends when the connection does, for whatever reason, and with it the child process or session;
whoever waits for an answer is then woken with an error; `usable` says whether a call makes sense.
"""

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import anyio
from mcp import Client, MCPError
from mcp.client import Transport
from mcp.client.session import IncomingMessage
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import SubscriptionLost
from mcp.types import Implementation, ToolListChangedNotification
from mcp.types.version import MODERN_PROTOCOL_VERSIONS

from rostra.agents.mcp.auth import LOGIN_SECONDS, Login, open_auth
from rostra.agents.mcp.config import ServerConfig
from rostra.agents.mcp.http import HttpClient
from rostra.agents.mcp.sieve import Sieve
from rostra.agents.mcp.stdio import stdio_transport
from rostra.agents.mcp.text import Tail, innermost, one_line, reason_of
from rostra.agents.tools.tool import ToolFailure
from rostra.core import RostraError, get_logger

log = get_logger(__name__)

# Seconds to say farewell, more than the transports themselves take.
_CLOSE = 12.0
_CANCEL = 12.0


class Connection:
    """A connection that is opened once and closed once.

    Args:
        config: of the server.
        token_file: for OAuth.
        login: shows a person where to log in; None where nobody is there.

    Attributes:
        tools_changed: the server has said so since this was last set to False.
        sieve: takes malformed tools out of its lists.
    """

    def __init__(self, config: ServerConfig, token_file: Path, login: Login | None) -> None:
        self._config = config
        self._token_file = token_file
        self._login = login
        self._ending = asyncio.Event()
        self._why = "the connection was closed"
        self._client: Client | None = None
        self._owner: asyncio.Task[None] | None = None
        self._lost = False
        self._stderr = Tail()
        self.tools_changed = False
        self.sieve = Sieve(lambda: self._client.protocol_version if self._client else None)

    @property
    def usable(self) -> bool:
        """Whether it is open and, for all that is known, the server is there."""
        return self._client is not None and not self._lost and not self._ending.is_set()

    @property
    def why(self) -> str:
        """Why it ended."""
        return self._why

    @property
    def last_words(self) -> str:
        """What a child process wrote to stderr last, to be put behind a sentence; often empty."""
        words = self._stderr.text
        return f" The last that it wrote to stderr:\n{words}" if words else ""

    @property
    def client(self) -> Client:
        """The open client.

        Raises:
            ToolFailure: it is not open.
        """
        if self._client is None:
            raise ToolFailure(
                f"Server {self._config.name!r}: {self._why}.{self.last_words}", began=False
            )
        return self._client

    async def open(self) -> None:
        """Connects and agrees on a revision.

        Raises:
            ToolFailure: that cannot be done; nothing is left open.
            ConfigError: a variable that the configuration names is not set.
        """
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # The owner outlives whoever asked for it, so it must not inherit cancellation.
        self._owner = asyncio.create_task(self._own(ready), name=f"mcp:{self._config.name}")
        await asyncio.shield(ready)

    async def close(self) -> None:
        """Ends the connection; calls under way fail."""
        self.end("the connection was closed")
        owner = self._owner
        if owner is None:
            return
        if self._client is not None:
            await asyncio.wait({owner}, timeout=_CLOSE)
        if not owner.done():
            owner.cancel()
            await asyncio.wait({owner}, timeout=_CANCEL)

    def end(self, why: str) -> None:
        """Has the owner leave; the first reason counts."""
        if not self._ending.is_set():
            self._why = why
            self._ending.set()

    async def _own(self, ready: asyncio.Future[None]) -> None:
        patience = (
            LOGIN_SECONDS if self._login and self._config.oauth else self._config.connect_seconds
        )
        failure: BaseException | None = None
        try:
            with anyio.fail_after(patience) as scope:
                async with self._connected() as client:
                    scope.deadline = math.inf
                    self._check_revision(client)
                    self._client = client
                    if not ready.done():
                        ready.set_result(None)
                    log.debug(
                        "connected", server=self._config.name, protocol=client.protocol_version
                    )
                    async with anyio.create_task_group() as group:
                        group.start_soon(self._follow, client)
                        await self._ending.wait()
                        group.cancel_scope.cancel()
        except TimeoutError:
            # A child that has died by then is the better reason.
            late = f"no answer within {patience:.0f} s"
            why = self._why if self._ending.is_set() else late
            failure = ToolFailure(self._told(why), began=False)
        except (RostraError, ToolFailure) as error:
            failure = error
        # Whatever ends this connection ends nothing else: servers and the library between us can
        # raise anything, alone or in groups.
        except Exception as error:
            cause = innermost(error)
            self.end(_reason(cause))  # unless it is known better, such as from the child's death
            failure = cause
            if not isinstance(cause, RostraError | ToolFailure):
                failure = ToolFailure(self._told(self._why), began=False)
        finally:
            self._client = None
            self.end("the connection ended")
            if not ready.done():
                ready.set_exception(failure or ToolFailure(self._told(self._why), began=False))
                ready.exception()  # seen, even where nobody waits any more
            elif failure is not None:
                log.info("connection_lost", server=self._config.name, reason=one_line(str(failure)))

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[Client, None]:
        config = self._config
        if config.url is None:
            async with self._client_over(stdio_transport(config, self.end, self._stderr)) as client:
                yield client
            return
        async with (
            open_auth(config, self._token_file, self._login) as auth,
            HttpClient(
                headers=config.http_headers(),
                auth=auth,
                read_seconds=config.absolute_seconds + config.connect_seconds,
                max_bytes=config.max_result_bytes,
                on_session_lost=self._lose,
            ) as http,
            self._client_over(
                streamable_http_client(
                    config.url, http_client=http, max_sse_event_size=config.max_result_bytes
                )
            ) as client,
        ):
            yield client

    def _client_over(self, transport: Transport) -> Client:
        # No callbacks for elicitation, sampling and roots: so the server is told that this client
        # has none of them, and one that asks all the same is answered with an error.
        return Client(
            self.sieve.over(transport),
            # Asking for the newer revision alone would leave out what the server can do.
            mode="legacy" if self._config.protocol == "2025-11-25" else "auto",
            client_info=Implementation(name="rostra", version=_version()),
            message_handler=self._hear,
            cache=None,
        )

    def _check_revision(self, client: Client) -> None:
        wanted, agreed = self._config.protocol, client.protocol_version
        if wanted == "2026-07-28" and agreed != wanted:
            raise ToolFailure(self._told(f"it speaks revision {agreed}, not {wanted}"), began=False)

    def _lose(self) -> None:
        # Not `end`: the request that found it out is still to be answered.
        self._lost = True

    async def _hear(self, message: IncomingMessage) -> None:
        if isinstance(message, ToolListChangedNotification):
            self.tools_changed = True

    async def _follow(self, client: Client) -> None:
        """Has a server of the newer revision say when its tools change."""
        tools = client.server_capabilities.tools
        if client.protocol_version not in MODERN_PROTOCOL_VERSIONS or not tools:
            return
        if not tools.list_changed:
            return
        try:
            async with client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    self.tools_changed = True
        except (MCPError, SubscriptionLost, TimeoutError) as error:
            # The list is read again once it is old, so nothing is lost but time.
            log.debug("no_changes_told", server=self._config.name, reason=reason_of(error))

    def _told(self, why: str) -> str:
        return f"Server {self._config.name!r} cannot be used: {why}.{self.last_words}"


def _reason(error: BaseException) -> str:
    # An answer of the server's needs no name of ours before it.
    return one_line(error.message).rstrip(".") if isinstance(error, MCPError) else reason_of(error)


def _version() -> str:
    try:
        return version("rostra")
    except PackageNotFoundError:
        return "0"
