"""The tools, resources and prompts of one MCP server, as a toolset.

Connects when it is first used and again after the server has gone; lists tools again on a new
connection, when the server says that they changed, and when the list has become old. What always
holds: a tool is offered and called only while it is as it was approved; a call under way when the
connection breaks fails with `began`, since nobody knows how far it came, and is never sent twice; a
call ends within its deadlines and, where it is given up, is cancelled at the server; lists are
bounded.
"""

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar, cast

from mcp import Client, MCPError
from mcp.types import (
    CONNECTION_CLOSED,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    CallToolResult,
    PaginatedResult,
    Prompt,
    RequestParamsMeta,
    Resource,
    ResourceTemplate,
    Tool,
)
from pydantic import ValidationError

from rostra.agents.events import Effect
from rostra.agents.mcp.auth import LOGIN_SECONDS, Login
from rostra.agents.mcp.config import ServerConfig
from rostra.agents.mcp.connection import Connection
from rostra.agents.mcp.content import block_text, resource_of, result_of
from rostra.agents.mcp.effects import effect_of
from rostra.agents.mcp.http import began_of
from rostra.agents.mcp.pins import MemoryPins, Pins, ToolState, judge, pin_digest
from rostra.agents.mcp.resources import call_resource_tool, resource_tools
from rostra.agents.mcp.text import bounded, one_line, reason_of
from rostra.agents.tools.tool import (
    NAME_PATTERN,
    CallContext,
    ToolFailure,
    ToolInfo,
    ToolResult,
)
from rostra.core import get_logger

log = get_logger(__name__)

T = TypeVar("T")
# Within the class `list` is the method of a toolset.
list_ = list
PageT = TypeVar("PageT", bound=PaginatedResult)

_MAX_PAGES = 1000
_MAX_SCHEMA = 256 * 1024
_MAX_DESCRIPTION = 16_384
_MAX_PROBLEMS = 50
_NAMED = 20
# Key in a call's `_meta`: the same for each attempt at the same call.
_CALL_KEY = "rostra/call"


@dataclass(frozen=True, slots=True)
class ServerTool:
    """A tool as its server describes it.

    Attributes:
        info: as agents see it; its name is the server's, made to match `NAME_PATTERN`.
        remote: the server's own name for it.
        digest: see `pin_digest`.
        state: how it stands to its pin.
    """

    info: ToolInfo
    remote: str
    digest: str
    state: ToolState


@dataclass(frozen=True, slots=True)
class ResourceInfo:
    """A resource; `uri` is a template (RFC 6570) where `template` says so."""

    uri: str
    name: str
    description: str = ""
    mime_type: str | None = None
    template: bool = False


@dataclass(frozen=True, slots=True)
class PromptInfo:
    """A prompt; `arguments` are [name, whether it is required]."""

    name: str
    description: str = ""
    arguments: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True, slots=True)
class _Listing:
    """What a server offers; `withheld` says which of it is not approved."""

    tools: Mapping[str, ServerTool]
    problems: tuple[str, ...]
    withheld: tuple[str, ...]
    at: float


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
        self._login = login
        self._token_file = token_file or Path(".rostra") / "mcp" / f"{config.name}.json"
        self._clock = clock
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None
        self._listing: _Listing | None = None
        self._closed = False

    @property
    def _patience(self) -> float:
        """Seconds for what is no call: to connect, with a person where there is one, and ask."""
        person = LOGIN_SECONDS if self._login and self._config.oauth else 0.0
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
        connection = self._connection
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
        self._login = login

    async def list(self) -> Sequence[ToolInfo]:
        """The tools on offer: approved, and allowed by the configuration.

        Raises:
            ToolFailure: the server cannot be reached or does not answer.
        """
        _, listing = await self._within_patience(self._ready(judge_again=True))
        offered = [tool.info for tool in listing.tools.values() if tool.state is ToolState.APPROVED]
        return offered + self._resource_tools(listing)

    async def survey(self) -> tuple[ServerTool, ...]:
        """All tools that the configuration allows, approved or not, as the server has them now.

        Raises:
            ToolFailure: the server cannot be reached or does not answer.
        """
        _, listing = await self._within_patience(self._ready(fresh=True))
        return tuple(listing.tools.values())

    async def approve(self, tools: Collection[str] | None, by: str) -> tuple[ServerTool, ...]:
        """Approves tools as they are now; gives those whose pins that changed.

        Args:
            tools: their names; None approves all.
            by: who says so.

        Raises:
            ToolFailure: the server cannot be reached, or has no such tool.
        """
        there = {tool.info.name: tool for tool in await self.survey()}
        for name in tools or ():
            if name not in there:
                raise ToolFailure(
                    f"Server {self.name!r} has no tool {one_line(name)!r}.", began=False
                )
        chosen = [
            tool
            for name, tool in there.items()
            if tool.state is not ToolState.APPROVED and (tools is None or name in tools)
        ]
        if chosen:
            await self._pins.approve(self.name, {t.remote: t.digest for t in chosen}, by)
            self._listing = None
        return tuple(chosen)

    async def call(self, name: str, arguments: dict[str, Any], context: CallContext) -> ToolResult:
        """Calls a tool.

        What the tool or the server says went wrong is a result with `is_error`.

        Raises:
            ToolFailure: it is not on offer, the server cannot be reached or has gone, or a
                deadline has passed.
        """
        _check_sendable(arguments)
        listing = self._listing
        if listing and any(info.name == name for info in self._resource_tools(listing)):
            return await self._within_patience(call_resource_tool(self, name, arguments))
        allowed = min(self._config.absolute_seconds, context.timeout)
        ends = asyncio.get_running_loop().time() + allowed
        for attempt in (1, 2):
            connection, tool = await self._offered(name, ends, allowed)
            try:
                return await self._called(connection, tool, arguments, context, ends)
            except ToolFailure as failure:
                # Only what surely never began is tried once more, on a new connection.
                if failure.began or connection.usable or self._closed or attempt == 2:
                    raise
        raise AssertionError("the second attempt returns or raises")

    async def resources(self) -> tuple[ResourceInfo, ...]:
        """Resources and resource templates.

        Raises:
            ToolFailure: the server cannot be reached or does not answer.
        """

        async def ask() -> tuple[ResourceInfo, ...]:
            client = (await self._connect()).client
            plain: Iterable[Resource] = await self._all(
                client.list_resources, lambda page: page.resources
            )
            templates: Iterable[ResourceTemplate] = await self._all(
                client.list_resource_templates, lambda page: page.resource_templates
            )
            return tuple(
                ResourceInfo(r.uri, r.name, r.description or "", r.mime_type) for r in plain
            ) + tuple(
                ResourceInfo(t.uri_template, t.name, t.description or "", t.mime_type, True)
                for t in templates
            )

        return await self._within_patience(ask())

    async def read_resource(self, uri: str) -> ToolResult:
        """A resource's contents.

        Raises:
            ToolFailure: there is none, or the server cannot be reached or does not answer.
        """

        async def ask() -> ToolResult:
            _check_sendable(uri)
            client = (await self._connect()).client
            return resource_of((await client.read_resource(uri)).contents)

        return await self._within_patience(ask())

    async def prompts(self) -> tuple[PromptInfo, ...]:
        """Prompts.

        Raises:
            ToolFailure: the server cannot be reached or does not answer.
        """

        async def ask() -> tuple[PromptInfo, ...]:
            client = (await self._connect()).client
            found: Iterable[Prompt] = await self._all(
                client.list_prompts, lambda page: page.prompts
            )
            return tuple(
                PromptInfo(
                    prompt.name,
                    prompt.description or "",
                    tuple((a.name, bool(a.required)) for a in prompt.arguments or ()),
                )
                for prompt in found
            )

        return await self._within_patience(ask())

    async def get_prompt(
        self, name: str, arguments: dict[str, str] | None = None
    ) -> tuple[tuple[str, str], ...]:
        """A prompt's messages, each [role, text].

        Raises:
            ToolFailure: there is none, or the server cannot be reached or does not answer.
        """

        async def ask() -> tuple[tuple[str, str], ...]:
            _check_sendable([name, arguments])
            client = (await self._connect()).client
            found = await client.get_prompt(name, arguments)
            return tuple((m.role, block_text(m.content)) for m in found.messages)

        return await self._within_patience(ask())

    async def close(self) -> None:
        """Ends the connection; calls under way fail, and no other can be made."""
        self._closed = True
        if self._connection is not None:
            await self._connection.close()

    # --- Connections and lists ---

    async def _connect(self) -> Connection:
        """The open connection, a new one where there is none.

        Raises:
            ToolFailure: there is none to be had.
        """
        async with self._lock:
            return await self._connected()

    async def _connected(self) -> Connection:
        """As `_connect`, for who holds the lock."""
        if self._closed:
            raise ToolFailure(f"Server {self.name!r}: the toolset is closed.", began=False)
        connection = self._connection
        if connection is not None and connection.usable:
            return connection
        if connection is not None:
            await connection.close()
        self._listing = None
        connection = self._connection = Connection(self._config, self._token_file, self._login)
        try:
            await connection.open()
        except asyncio.CancelledError:
            # Whoever asked has given up; nobody else is to wait for what did not come in time.
            await connection.close()
            raise
        return connection

    async def _ready(
        self, *, fresh: bool = False, judge_again: bool = False
    ) -> tuple[Connection, _Listing]:
        """A connection and a list of its tools that is as good as new.

        Args:
            fresh: reads the list in any case.
            judge_again: looks in any case whether something was approved meanwhile.
        """
        async with self._lock:
            connection = await self._connected()
            listing = self._listing
            age = self._clock() - listing.at if listing else 0.0
            old = age > self._config.recheck_seconds
            if fresh or listing is None or connection.tools_changed or old:
                # First, for a change while the list is being read makes another reading needed.
                connection.tools_changed = False
                listing = await self._read_tools(connection.client)
            elif judge_again:
                listing = await self._judged(listing)
            self._listing = listing
            return connection, listing

    async def _read_tools(self, client: Client) -> _Listing:
        """Reads the server's tools and judges them by their pins."""
        problems: list[str] = []
        read: Iterable[Tool] = await self._all(client.list_tools, lambda page: page.tools, problems)
        seen: dict[str, ServerTool] = {}
        for tool in read:
            if not self._wanted(tool.name):
                continue
            found = self._described(tool)
            if isinstance(found, str):
                problems.append(found)
            elif found.info.name in seen:
                problems.append(f"{self.name}: two tools are named {one_line(tool.name)!r}")
            else:
                seen[found.info.name] = found
        if len(problems) > _MAX_PROBLEMS:
            more = len(problems) - _MAX_PROBLEMS
            problems[_MAX_PROBLEMS:] = [f"{self.name}: {more} more problems"]
        return await self._judged(_Listing(seen, tuple(problems), (), self._clock()))

    async def _judged(self, listing: _Listing) -> _Listing:
        """The tools as they stand to their pins now; a server seen first is approved, if it may."""
        pinned = await self._pins.get(self.name)
        if listing.tools and not pinned and self._config.approve_first:
            pinned = {tool.remote: tool.digest for tool in listing.tools.values()}
            await self._pins.approve(self.name, pinned, "first sight")
            log.info("approved_at_first_sight", server=self.name, tools=len(pinned))
        tools = {
            name: replace(tool, state=judge(tool.digest, pinned.get(tool.remote)))
            for name, tool in listing.tools.items()
        }
        withheld = []
        for state, why in (
            (ToolState.NEW, "not approved yet"),
            (ToolState.CHANGED, "changed since approved"),
        ):
            names = [name for name, tool in tools.items() if tool.state is state]
            if names:
                more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
                withheld.append(f"{self.name}: {why}: {', '.join(names[:_NAMED])}{more}")
        return replace(listing, tools=tools, withheld=tuple(withheld))

    def _wanted(self, name: str) -> bool:
        config = self._config
        return any(fnmatchcase(name, pattern) for pattern in config.allow) and not any(
            fnmatchcase(name, pattern) for pattern in config.deny
        )

    def _described(self, tool: Tool) -> ServerTool | str:
        """The tool, or why it cannot be one."""
        description = tool.description or tool.title or ""
        if len(description) > _MAX_DESCRIPTION:
            return f"{self.name}: the description of {one_line(tool.name)!r} is too long"
        digest = pin_digest(tool.name, description, tool.input_schema, tool.annotations)
        if len(repr(tool.input_schema)) > _MAX_SCHEMA:
            return f"{self.name}: the schema of {one_line(tool.name)!r} is too large"
        info = ToolInfo(
            name=_local_name(tool.name),
            description=description,
            parameters=tool.input_schema,
            effect=effect_of(tool.annotations, self._config.trust),
            source=self.name,
        )
        return ServerTool(info, tool.name, digest, ToolState.NEW)

    def _resource_tools(self, listing: _Listing) -> list_[ToolInfo]:
        if not self._config.offer_resources:
            return []
        effect = Effect.READ if self._config.trust == "annotations" else Effect.UNKNOWN
        return resource_tools(self.name, effect, listing.tools)

    async def _all(
        self,
        ask: Callable[..., Awaitable[PageT]],
        items: Callable[[PageT], Sequence[T]],
        problems: list_[str] | None = None,
    ) -> Iterable[T]:
        """All pages of a list, up to the bounds; nothing where the server has no such list."""
        found: Any = []
        cursor: str | None = None
        seen: set[str] = set()
        size = 0
        limit, most = self._config.max_tools, self._config.max_result_bytes
        for _ in range(_MAX_PAGES):
            try:
                # A server that is silent between two pages is as dead as one silent in a call.
                async with asyncio.timeout(self._config.idle_seconds):
                    page = await ask(cursor=cursor)
            except MCPError as error:
                if error.code == METHOD_NOT_FOUND and cursor is None:
                    return ()
                raise
            found.extend(items(page))
            size += len(page.model_dump_json())
            cursor = page.next_cursor
            if cursor is None or cursor in seen or len(found) > limit or size > most:
                break
            seen.add(cursor)
        if (cursor is not None or len(found) > limit) and problems is not None:
            read = min(len(found), limit)
            problems.append(f"{self.name}: its list has no end or is too long; read {read:,} of it")
        return cast("Sequence[T]", found[:limit])

    async def _within_patience(self, work: Awaitable[T]) -> T:
        """Work outside of calls, with its failures as `ToolFailure`s."""
        try:
            async with asyncio.timeout(self._patience):
                return await work
        except TimeoutError:
            raise ToolFailure(f"Server {self.name!r} does not answer.", began=False) from None
        except MCPError as error:
            said = bounded(error.message)
            raise ToolFailure(f"Server {self.name!r}: {said}", began=False) from None
        except (ValidationError, RuntimeError) as error:
            said = reason_of(error)
            raise ToolFailure(f"Server {self.name!r} breaks the protocol: {said}") from None

    # --- Calls ---

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

    async def _called(
        self,
        connection: Connection,
        tool: ServerTool,
        arguments: dict[str, Any],
        context: CallContext,
        ends: float,
    ) -> ToolResult:
        """Makes the call, within its deadlines."""
        client = connection.client
        now = asyncio.get_running_loop().time
        idle = self._config.idle_seconds
        try:
            async with asyncio.timeout_at(min(now() + idle, ends)) as deadline:

                def alive() -> None:
                    if not deadline.expired():
                        deadline.reschedule(min(now() + idle, ends))

                heard = _Progress(context, alive)
                try:
                    answer = await client.call_tool(
                        tool.remote,
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
                f"Server {self.name!r} {what}; the call was cancelled. It may have had its effect."
            ) from None
        except MCPError as error:
            return self._failed(error, connection)
        except (ValidationError, RuntimeError) as error:
            # It has answered, so the call is over; but not as it promised to.
            said = bounded(f"The tool ran, but its answer is not valid: {reason_of(error)}")
            return ToolResult(said, is_error=True)
        return self._result(answer)

    def _result(self, answer: CallToolResult) -> ToolResult:
        return result_of(answer, cites=self._config.cites)

    def _failed(self, error: MCPError, connection: Connection) -> ToolResult:
        """An error as the result that it is, where the server has said so.

        Raises:
            ToolFailure: it is the connection's, not the server's.
        """
        said = bounded(error.message)
        began = began_of(error.data)
        if began is not None:
            doubt = " It may have had its effect." if began else ""
            raise ToolFailure(f"Server {self.name!r}: {said}.{doubt}", began=began) from None
        if error.code in (CONNECTION_CLOSED, PARSE_ERROR):
            why = said if connection.usable else connection.why
            raise ToolFailure(
                f"Server {self.name!r} went away during the call ({why}). "
                "It may have had its effect."
            ) from None
        return ToolResult(f"The server answered with an error: {said}", is_error=True)


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


def _check_sendable(value: Any) -> None:
    """Raises what would otherwise end a connection while the message is being written.

    Raises:
        ToolFailure: the value is no JSON, such as for a NaN, or no text that can be encoded.
    """
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        why = reason_of(error)
        raise ToolFailure(f"The arguments cannot be sent as JSON: {why}.", began=False) from None


def _local_name(remote: str) -> str:
    """The server's name for a tool, where it is one for agents; else one made from it."""
    if re.fullmatch(NAME_PATTERN, remote):
        return remote
    mark = hashlib.sha256(remote.encode(errors="replace")).hexdigest()[:8]
    return re.sub(r"[^A-Za-z0-9_-]", "_", remote)[:55] + "_" + mark
