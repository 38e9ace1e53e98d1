"""The tools, resources and prompts of one MCP server, as a toolset.

Connects when it is first used and again after the server has gone; lists tools again on a new
connection, when the server says that they changed, and when the list has become old. What always
holds: a tool is offered and called only while it is as it was approved; a call under way when the
connection breaks fails with `began`, since nobody knows how far it came, and is never sent twice;
everything ends within its deadlines; lists are bounded.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from mcp import Client, MCPError
from pydantic import ValidationError

from rostra.agents.events import Effect
from rostra.agents.mcp.auth import LOGIN_SECONDS, Login
from rostra.agents.mcp.calling import check_sendable, make_call
from rostra.agents.mcp.config import ServerConfig
from rostra.agents.mcp.connection import Connection
from rostra.agents.mcp.content import block_text, has_words, resource_of
from rostra.agents.mcp.listing import (
    Listing,
    PromptInfo,
    ResourceInfo,
    ServerTool,
    judged,
    read_prompts,
    read_resources,
    read_tools,
)
from rostra.agents.mcp.messages import is_unreadable
from rostra.agents.mcp.outage import Outage
from rostra.agents.mcp.pins import MemoryPins, Pins, ToolState
from rostra.agents.mcp.reconnect import Reconnecting
from rostra.agents.mcp.resources import call_resource_tool, resource_tools
from rostra.agents.mcp.text import bounded, one_line, reason_of
from rostra.agents.tools.tool import CallContext, ToolFailure, ToolInfo, ToolResult
from rostra.core import RostraError

T = TypeVar("T")
# Within the class `list` is the method of a toolset.
list_ = list


class McpToolset:
    """See this module; a `Toolset`.

    Args:
        config: of the server.
        pins: what was approved; by default nothing is remembered beyond this object.
        login: shows a person an address to log in at; None where nobody is there.
        token_file: where tokens of OAuth are kept.
        clock: seconds, for the age of the list of tools.
    """

    def __init__(
        self,
        config: ServerConfig,
        *,
        pins: Pins | None = None,
        login: Login | None = None,
        token_file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._pins: Pins = pins or MemoryPins()
        self._clock = clock
        self._lock = asyncio.Lock()
        tokens = token_file or Path(".rostra") / "mcp" / f"{config.name}.json"
        self._outage = Outage(config.name, clock)
        self._server = Reconnecting(config, tokens, login, self._outage.give_up)
        self._trying: asyncio.Task[None] | None = None
        # The last list of tools, and the connection that it was read on.
        self._listed: tuple[Connection, Listing] | None = None

    @property
    def _patience(self) -> float:
        """Seconds for what is no call: to connect, with a person where there is one, and ask."""
        person = LOGIN_SECONDS if self._server.login and self._config.oauth else 0.0
        return person + self._config.connect_seconds + self._config.absolute_seconds

    @property
    def name(self) -> str:
        """The server's name."""
        return self._config.name

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the tools that are not offered, as of the last list."""
        listing = self._listing
        return listing.problems + listing.withheld if listing else ()

    @property
    def protocol(self) -> str | None:
        """The revision agreed on; None while there is no connection."""
        connection = self._server.current
        return connection.client.protocol_version if connection and connection.usable else None

    @property
    def transport(self) -> str:
        """How it is reached: its URL, or the command that starts it."""
        config = self._config
        return config.url or " ".join((config.command or "", *config.args))

    @property
    def needs_login(self) -> bool:
        """Whether a person may have to log in before it can be used."""
        oauth = self._config.oauth
        return oauth is not None and oauth.grant == "authorization_code"

    def log_in_with(self, login: Login) -> None:
        """From the next connection on a person is there, who is shown where to log in."""
        self._server.login = login

    async def list(self) -> Sequence[ToolInfo]:
        """The tools on offer: approved, and allowed by the configuration.

        Nobody waits for a server that did not answer somebody else a moment ago. When the caller
        gives up, the server is tried once more beside it, as long as the configuration says.

        Raises:
            ToolFailure: the server cannot be reached or does not answer.
        """
        self._outage.check()
        try:
            _, listing = await self._within_patience(self._ready(judge_again=True, waits=False))
        except asyncio.CancelledError:
            self._try_beside()
            raise
        offered = [tool.info for tool in listing.tools.values() if tool.state is ToolState.APPROVED]
        return offered + self._resource_tools(listing)

    async def survey(self) -> tuple[ServerTool, ...]:
        """All tools that the configuration allows, approved or not, as the server has them now.

        Raises:
            ToolFailure: the server cannot be reached or does not answer.
        """
        _, listing = await self._within_patience(self._ready(fresh=True))
        return tuple(listing.tools.values())

    async def waiting(self, tools: Collection[str] | None = None) -> tuple[ServerTool, ...]:
        """The tools that nobody has approved as they are now.

        Args:
            tools: their names; None for all.

        Raises:
            ToolFailure: the server cannot be reached, or has no such tool.
        """
        there = {tool.info.name: tool for tool in await self.survey()}
        for name in tools or ():
            if name not in there:
                raise ToolFailure(
                    f"Server {self.name!r} has no tool {one_line(name)!r}.", began=False
                )
        return tuple(
            tool
            for name, tool in there.items()
            if tool.state is not ToolState.APPROVED and (tools is None or name in tools)
        )

    async def approve(self, tools: Sequence[ServerTool], by: str) -> None:
        """Approves tools as they stand here, whatever the server says by now.

        Args:
            tools: as somebody has seen them.
            by: who says so.
        """
        await self._pins.approve(self.name, {tool.remote: tool.told for tool in tools}, by)
        self._listed = None

    async def approved(self) -> Mapping[str, str]:
        """The `pin_text` of tools as they were approved, by the server's own names for them."""
        return await self._pins.told(self.name)

    async def call(self, name: str, arguments: dict[str, Any], context: CallContext) -> ToolResult:
        """Calls a tool.

        What the tool or the server says went wrong is a result with `is_error`.

        Raises:
            ToolFailure: it is not on offer, the server cannot be reached or has gone, or a
                deadline has passed.
        """
        check_sendable(arguments)
        listing = self._listing
        if listing and any(info.name == name for info in self._resource_tools(listing)):
            return await self._within_patience(call_resource_tool(self, name, arguments))
        allowed = min(self._config.absolute_seconds, context.timeout)
        ends = asyncio.get_running_loop().time() + allowed
        for attempt in (1, 2):
            connection, tool = await self._offered(name, ends, allowed)
            try:
                return await make_call(
                    connection, self._config, tool.remote, arguments, context, ends
                )
            except ToolFailure as failure:
                # Only what surely never began is tried once more, on a new connection.
                if failure.began or connection.usable or self._server.closed or attempt == 2:
                    raise
        raise AssertionError("the second attempt returns or raises")

    async def resources(self) -> tuple[ResourceInfo, ...]:
        """Resources and resource templates.

        Raises:
            ToolFailure: the server cannot be reached or does not answer.
        """

        return await self._asked(lambda client: read_resources(client, self._config))

    async def read_resource(self, uri: str) -> ToolResult:
        """A resource's contents.

        Raises:
            ToolFailure: there is none, or the server cannot be reached or does not answer; caused
                by a `TimeoutError` where it was silent for too long.
        """
        check_sendable(uri)
        found = await self._asked(lambda client: self._heard(client.read_resource(uri)))
        return resource_of(found.contents)

    async def prompts(self) -> tuple[PromptInfo, ...]:
        """Prompts.

        Raises:
            ToolFailure: the server cannot be reached or does not answer.
        """

        return await self._asked(lambda client: read_prompts(client, self._config))

    async def get_prompt(
        self, name: str, arguments: dict[str, str] | None = None, *, in_words: bool = False
    ) -> tuple[tuple[str, str], ...]:
        """A prompt's messages, each [role, text].

        Args:
            in_words: takes only a prompt that has some text.

        Raises:
            ToolFailure: there is none, or the server cannot be reached or does not answer; caused
                by a `TimeoutError` where it was silent for too long.
        """
        check_sendable([name, arguments])
        found = await self._asked(lambda client: self._heard(client.get_prompt(name, arguments)))
        if in_words and not any(has_words(message.content) for message in found.messages):
            raise ToolFailure(
                f"The prompt {one_line(name)!r} of server {self.name!r} has no text.", began=False
            )
        return tuple((m.role, block_text(m.content)) for m in found.messages)

    async def close(self) -> None:
        """Ends the connection; calls under way fail, and no other can be made."""
        if self._trying is not None:
            self._trying.cancel()
            await asyncio.wait([self._trying])
        await self._server.close()

    # --- Connections and lists ---

    @property
    def _listing(self) -> Listing | None:
        """The list of tools; one of an earlier connection is none."""
        if self._listed is None or self._listed[0] is not self._server.current:
            return None
        return self._listed[1]

    async def _connect(self) -> Connection:
        """The open connection, a new one where there is none.

        Raises:
            ToolFailure: there is none to be had.
        """
        async with self._lock:
            return await self._server.connected()

    def _try_beside(self) -> None:
        """Tries to connect in a task of its own, so that a slow server is there for others."""
        if self._trying is None or self._trying.done():
            self._trying = asyncio.create_task(self._try(), name=f"try {self.name}")

    async def _try(self) -> None:
        with suppress(ToolFailure, RostraError, OSError, TimeoutError):
            async with asyncio.timeout(2 * self._config.connect_seconds):
                await self._within_patience(self._ready())

    async def _ready(
        self, *, fresh: bool = False, judge_again: bool = False, waits: bool = True
    ) -> tuple[Connection, Listing]:
        """A connection and a list of its tools that is as good as new.

        Args:
            fresh: reads the list in any case.
            judge_again: looks in any case whether something was approved meanwhile.
            waits: also for a server that did not answer a moment ago.
        """
        async with self._lock:
            if not waits:
                self._outage.check()
            with self._outage.watched():
                return await self._listed_now(fresh=fresh, judge_again=judge_again)

    async def _listed_now(self, *, fresh: bool, judge_again: bool) -> tuple[Connection, Listing]:
        """`_ready`, while nobody else connects or lists."""
        connection = await self._server.connected()
        listing = self._listing
        age = self._clock() - listing.at if listing else 0.0
        old = age > self._config.recheck_seconds
        if fresh or listing is None or connection.tools_changed or old:
            # First, for a change while the list is being read makes another reading needed.
            connection.tools_changed = False
            listing = await read_tools(
                connection.client,
                self._config,
                self._pins,
                self._clock(),
                connection.sieve.left_out,
            )
        elif judge_again:
            listing = await judged(listing, self._config, self._pins)
        self._listed = connection, listing
        return connection, listing

    def _resource_tools(self, listing: Listing) -> list_[ToolInfo]:
        if not self._config.offer_resources:
            return []
        effect = Effect.READ if self._config.trust == "annotations" else Effect.UNKNOWN
        return resource_tools(self.name, effect, listing.tools)

    async def _asked(self, ask: Callable[[Client], Awaitable[T]]) -> T:
        """What a server says to a question that is no call."""

        async def work() -> T:
            return await ask((await self._connect()).client)

        return await self._within_patience(work())

    async def _heard(self, answer: Awaitable[T]) -> T:
        """An answer, unless the server is silent for longer than in a call."""
        idle = self._config.idle_seconds
        try:
            async with asyncio.timeout(idle):
                return await answer
        except TimeoutError as error:
            raise ToolFailure(
                f"Server {self.name!r} gave no sign of life for {idle:g} s.", began=False
            ) from error

    async def _within_patience(self, work: Awaitable[T]) -> T:
        """Work outside of calls, with its failures as `ToolFailure`s."""
        try:
            async with asyncio.timeout(self._patience):
                return await work
        except TimeoutError as error:
            raise ToolFailure(f"Server {self.name!r} does not answer.", began=False) from error
        except MCPError as error:
            said = bounded(error.message)
            if is_unreadable(error.data):
                said = f"its answer cannot be read: {said}"
            raise ToolFailure(f"Server {self.name!r}: {said}", began=False) from None
        except (ValidationError, RuntimeError) as error:
            said = reason_of(error)
            raise ToolFailure(f"Server {self.name!r} breaks the protocol: {said}") from None

    async def _offered(
        self, name: str, ends: float, allowed: float
    ) -> tuple[Connection, ServerTool]:
        """The connection and the tool, if it is on offer.

        Raises:
            ToolFailure: it is not, or the server cannot be reached; nothing began.
        """
        try:
            async with asyncio.timeout_at(ends):
                connection, listing = await self._within_patience(self._ready())
        except TimeoutError:
            raise ToolFailure(
                f"Server {self.name!r} could not be reached within {allowed:g} s.", began=False
            ) from None
        tool = listing.tools.get(name)
        if tool is not None and tool.state is not ToolState.APPROVED:
            # Perhaps it was approved elsewhere since.
            _, listing = await self._within_patience(self._ready(judge_again=True))
        tool = listing.tools.get(name)
        if tool is None:
            raise ToolFailure(
                f"Server {self.name!r} has no tool {one_line(name)!r} on offer.", began=False
            )
        if tool.state is not ToolState.APPROVED:
            how = "changed since it was" if tool.state is ToolState.CHANGED else "has not been"
            raise ToolFailure(f"The tool {name!r} {how} approved by a person.", began=False)
        return connection, tool
