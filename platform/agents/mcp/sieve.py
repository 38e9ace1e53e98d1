"""Takes out of a server's answers what is malformed, so that the rest of them can be read.

The protocol's library refuses a list of tools as a whole when one of them breaks the protocol, such
as with a schema whose type is no object, and a result when a part of it is of a kind that it does
not know. What always holds: a message passes unchanged unless it is a list of tools of which some,
and nothing else, are malformed, or has malformed parts of content; what is taken out is said,
bounded, and a line of text stands for each part of content.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from mcp.client import Transport
from mcp.shared.message import SessionMessage
from mcp.types import (
    AudioContent,
    EmbeddedResource,
    ImageContent,
    JSONRPCResponse,
    ListToolsResult,
    ResourceLink,
    TextContent,
)
from mcp.types.methods import validate_server_result
from pydantic import BaseModel, ValidationError

from rostra.agents.mcp.text import one_line, reason_of

_MOST = 50
# Key in the metadata of a text that stands for something else.
STANDS_IN = "rostra.stands_in"
_METHOD = "tools/list"
_FIRST_REVISION = "2025-11-25"
_KINDS: Mapping[str, type[BaseModel]] = {
    "text": TextContent,
    "image": ImageContent,
    "audio": AudioContent,
    "resource": EmbeddedResource,
    "resource_link": ResourceLink,
}


class Sieve:
    """Of one connection.

    Args:
        version: the revision agreed on; None before there is one.

    Attributes:
        left_out: what was taken out and why, since it was last cleared; at most `_MOST`.
    """

    def __init__(self, version: Callable[[], str | None]) -> None:
        self._version = version
        self.left_out: list[str] = []

    @asynccontextmanager
    async def over(self, transport: Transport) -> AsyncGenerator[Any, None]:
        """The transport with its messages sieved."""
        async with transport as (incoming, outgoing):
            yield _Sieved(incoming, self), outgoing

    def pass_on(self, item: Any) -> Any:
        """A message as it is to be read."""
        if not isinstance(item, SessionMessage) or not isinstance(item.message, JSONRPCResponse):
            return item
        result = item.message.result
        _sieve_content(result)
        tools = result.get("tools")
        if not isinstance(tools, list):
            return item
        wrong = self._wrong(result)
        if wrong:
            for at, why in wrong.items():
                if len(self.left_out) < _MOST:
                    self.left_out.append(f"{_name(tools[at])} is left out: {why}")
            result["tools"] = [tool for at, tool in enumerate(tools) if at not in wrong]
        return item

    def _wrong(self, result: dict[str, Any]) -> dict[int, str]:
        """Places of malformed tools and why; none where something else is wrong, too."""
        try:
            validate_server_result(_METHOD, self._version() or _FIRST_REVISION, result)
            ListToolsResult.model_validate(result, by_name=False)
        except ValidationError as error:
            wrong: dict[int, str] = {}
            for problem in error.errors(include_url=False, include_input=False):
                match problem["loc"]:
                    case ("tools", int(at), *where):
                        place = ".".join(str(part) for part in where)
                        wrong.setdefault(at, one_line(f"{place}: {problem['msg']}".strip(": ")))
                    case _:
                        return {}
            return wrong
        except (ValueError, KeyError):  # A revision that is not known: the library will say so.
            return {}
        return {}


def _sieve_content(result: dict[str, Any]) -> None:
    """Puts words in the place of parts that are no content, in a tool's result or a prompt."""
    content, messages = result.get("content"), result.get("messages")
    if isinstance(content, list):
        result["content"] = [_block(part) for part in content]
    if isinstance(messages, list):
        for message in messages:
            if isinstance(message, dict) and isinstance(message.get("content"), dict):
                message["content"] = _block(message["content"])


def _block(part: Any) -> Any:
    kind = part.get("type") if isinstance(part, dict) else None
    if not isinstance(kind, str):
        return _words("content without a type")
    if kind not in _KINDS:
        return _words(f"content of the unknown type {one_line(kind, 60)!r}")
    try:
        _KINDS[kind].model_validate(part, by_name=False)
    except ValidationError as error:
        return _words(f"{kind} that breaks the protocol ({reason_of(error)})")
    return part


def _words(what: str) -> dict[str, Any]:
    return {"type": "text", "text": f"[{what}, not shown]", "_meta": {STANDS_IN: True}}


class _Sieved:
    """A stream of messages, sieved."""

    def __init__(self, inner: Any, sieve: Sieve) -> None:
        self._inner = inner
        self._sieve = sieve

    async def receive(self) -> Any:
        return self._sieve.pass_on(await self._inner.receive())

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> "_Sieved":
        return self

    async def __anext__(self) -> Any:
        return self._sieve.pass_on(await self._inner.__anext__())

    async def __aenter__(self) -> "_Sieved":
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> Any:
        return await self._inner.__aexit__(*raised)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _name(tool: Any) -> str:
    name = tool.get("name") if isinstance(tool, dict) else None
    return repr(one_line(name)) if isinstance(name, str) else "a tool without a name"
