"""What an MCP server offers: its lists read page by page, and its tools judged by their pins.

What always holds: a list is read up to its bounds, whatever the server sends, and what is left out
is said; of two tools with one name the first is kept; a tool's state is that of its pin.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, TypeVar, cast

from mcp import Client, MCPError
from mcp.types import (
    METHOD_NOT_FOUND,
    PaginatedResult,
    Prompt,
    Resource,
    ResourceTemplate,
    Tool,
)

from rostra.agents.mcp.config import ServerConfig
from rostra.agents.mcp.doubts import doubt
from rostra.agents.mcp.effects import effect_of, outbound
from rostra.agents.mcp.pins import Pins, ToolState, judge, pin_digest, pin_text
from rostra.agents.mcp.text import one_line
from rostra.agents.tools.schema import enforceable, unusable
from rostra.agents.tools.tool import NAME_PATTERN, ToolInfo
from rostra.core import get_logger

log = get_logger(__name__)

T = TypeVar("T")
PageT = TypeVar("PageT", bound=PaginatedResult)

_MAX_PAGES = 1000
_MAX_SCHEMA = 256 * 1024
_MAX_DESCRIPTION = 16_384
_MAX_PROBLEMS = 50
_NAMED = 20


@dataclass(frozen=True, slots=True)
class ServerTool:
    """A tool as its server describes it.

    Attributes:
        info: as agents see it; its name is the server's, made to match `NAME_PATTERN`.
        remote: the server's own name for it.
        told: see `pin_text`.
        state: how it stands to its pin.
    """

    info: ToolInfo
    remote: str
    told: str
    state: ToolState

    @property
    def unusable(self) -> str | None:
        """Why agents never get it, approved or not: its schema cannot be checked against."""
        return unusable(self.info.parameters)

    @property
    def unenforced(self) -> str | None:
        """Why no grammar holds a model to its schema; None where one does.

        Arguments are then checked before the call, and a model may have to try again. Said too
        where the schema contradicts itself or a pattern of it cannot be read; see `doubt`.
        """
        if (why := enforceable(self.info.parameters)) is not None:
            return why
        return doubt(self.info.parameters)


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
class Listing:
    """The tools of a server.

    Attributes:
        tools: by the name that agents use.
        problems: which of them cannot be offered, and why.
        withheld: which of them are not approved.
        at: when the server was asked, by the reader's clock.
    """

    tools: Mapping[str, ServerTool]
    problems: tuple[str, ...]
    withheld: tuple[str, ...]
    at: float


async def read_tools(
    client: Client, config: ServerConfig, pins: Pins, at: float, left_out: list[str]
) -> Listing:
    """Reads the server's tools and judges them by their pins.

    Args:
        left_out: what the connection takes out of the lists; see `Sieve`. Cleared first.

    Raises:
        MCPError: the server answers with an error.
        TimeoutError: it is silent for too long.
    """
    problems: list[str] = []
    left_out.clear()
    read: Sequence[Tool] = await _all(client.list_tools, lambda p: p.tools, config, problems)
    problems += left_out
    found: dict[str, ServerTool] = {}
    for tool in read:
        if not _wanted(tool.name, config):
            continue
        name = one_line(tool.name)
        described = _described(tool, config)
        if isinstance(described, str):
            problems.append(f"{name!r} is left out: {described}")
        elif described.info.name in found:
            problems.append(
                f"two tools are named {name!r}: the first in its list is kept, the other left out"
            )
        else:
            found[described.info.name] = described
    if len(problems) > _MAX_PROBLEMS:
        problems[_MAX_PROBLEMS:] = [f"{len(problems) - _MAX_PROBLEMS} more problems"]
    return await judged(Listing(found, tuple(problems), (), at), config, pins)


async def judged(listing: Listing, config: ServerConfig, pins: Pins) -> Listing:
    """The tools as they stand to their pins now; a server seen first is approved, if it may."""
    pinned = await pins.get(config.name)
    if listing.tools and not pinned and config.approve_first:
        texts = {tool.remote: tool.told for tool in listing.tools.values()}
        await pins.approve(config.name, texts, "first sight")
        pinned = await pins.get(config.name)
        log.info("approved_at_first_sight", server=config.name, tools=len(texts))
    tools = {
        name: replace(tool, state=judge(pin_digest(tool.told), pinned.get(tool.remote)))
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
            how = f"`rostra mcp approve {config.name}` shows them and asks"
            withheld.append(f"{why}: {', '.join(names[:_NAMED])}{more} ({how})")
    return replace(listing, tools=tools, withheld=tuple(withheld))


async def read_resources(client: Client, config: ServerConfig) -> tuple[ResourceInfo, ...]:
    """Resources and resource templates; raises as `read_tools`."""
    plain: Iterable[Resource] = await _all(client.list_resources, lambda p: p.resources, config)
    templates: Iterable[ResourceTemplate] = await _all(
        client.list_resource_templates, lambda p: p.resource_templates, config
    )
    return tuple(
        ResourceInfo(r.uri, r.name, r.description or "", r.mime_type) for r in plain
    ) + tuple(
        ResourceInfo(t.uri_template, t.name, t.description or "", t.mime_type, True)
        for t in templates
    )


async def read_prompts(client: Client, config: ServerConfig) -> tuple[PromptInfo, ...]:
    """Prompts; raises as `read_tools`."""
    found: Iterable[Prompt] = await _all(client.list_prompts, lambda p: p.prompts, config)
    return tuple(
        PromptInfo(
            prompt.name,
            prompt.description or "",
            tuple((a.name, bool(a.required)) for a in prompt.arguments or ()),
        )
        for prompt in found
    )


async def _all(
    ask: Callable[..., Awaitable[PageT]],
    items: Callable[[PageT], Sequence[T]],
    config: ServerConfig,
    problems: list[str] | None = None,
) -> Sequence[T]:
    """All pages of a list, up to the bounds; nothing where the server has no such list."""
    found: Any = []
    cursor: str | None = None
    seen: set[str] = set()
    size = 0
    limit, most = config.max_tools, config.max_result_bytes
    for _ in range(_MAX_PAGES):
        try:
            # A server that is silent between two pages is as dead as one silent in a call.
            async with asyncio.timeout(config.idle_seconds):
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
        problems.append(f"its list has no end or is too long; read {read:,} of it")
    return cast("Sequence[T]", found[:limit])


def _wanted(name: str, config: ServerConfig) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in config.allow) and not any(
        fnmatchcase(name, pattern) for pattern in config.deny
    )


def _described(tool: Tool, config: ServerConfig) -> ServerTool | str:
    """The tool, or why it cannot be one."""
    description = tool.description or tool.title or ""
    if len(description) > _MAX_DESCRIPTION:
        return "its description is too long"
    if len(repr(tool.input_schema)) > _MAX_SCHEMA:
        return "its schema is too large"
    told = pin_text(tool.name, description, tool.input_schema, tool.annotations)
    info = ToolInfo(
        name=_local_name(tool.name),
        description=description,
        parameters=tool.input_schema,
        effect=effect_of(tool.annotations, config.trust),
        source=config.name,
        outbound=outbound(tool.annotations, config.trust),
    )
    return ServerTool(info, tool.name, told, ToolState.NEW)


def _local_name(remote: str) -> str:
    """The server's name for a tool, where it is one for agents; else one made from it."""
    if re.fullmatch(NAME_PATTERN, remote):
        return remote
    mark = hashlib.sha256(remote.encode(errors="replace")).hexdigest()[:8]
    return re.sub(r"[^A-Za-z0-9_-]", "_", remote)[:55] + "_" + mark
