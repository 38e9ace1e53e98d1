"""A server's resources as two tools of ours, for agents: list them, read one.

Their words are ours and the same for every server, so nothing of the server's reaches a prompt that
nobody approved. What always holds: a tool of the server's own with such a name comes first.
"""

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from rostra.agents.events import Effect
from rostra.agents.tools.tool import ToolFailure, ToolInfo, ToolResult

_MAX_LISTED = 500
_LIST = "list_resources"
_READ = "read_resource"


class Resource(Protocol):
    """What is told of a resource."""

    @property
    def uri(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def template(self) -> bool: ...


class Resources(Protocol):
    """A server that has resources."""

    async def resources(self) -> Sequence[Resource]: ...

    async def read_resource(self, uri: str) -> ToolResult: ...


def resource_tools(server: str, effect: Effect, taken: Collection[str]) -> list[ToolInfo]:
    """The tools.

    Args:
        effect: of reading; a server that is not trusted may do anything with a request.
        taken: names of the server's own tools.
    """
    offered = [
        ToolInfo(
            _LIST,
            "List the resources that this server has, with their URIs.",
            {"type": "object", "properties": {}, "additionalProperties": False},
            effect,
            server,
        ),
        ToolInfo(
            _READ,
            f"Read a resource of this server; {_LIST} gives the URIs.",
            {
                "type": "object",
                "properties": {"uri": {"type": "string"}},
                "required": ["uri"],
                "additionalProperties": False,
            },
            effect,
            server,
            # Nothing says where the server takes it from, or whom it tells of the URI.
            outbound=True,
        ),
    ]
    return [info for info in offered if info.name not in taken]


async def call_resource_tool(server: Resources, name: str, arguments: dict[str, Any]) -> ToolResult:
    """Calls one of the tools.

    Raises:
        ToolFailure: the arguments are wrong, or the server cannot be reached or has no such
            resource.
    """
    if name == _READ:
        uri = arguments.get("uri")
        if not isinstance(uri, str):
            raise ToolFailure("uri must be a string.", began=False)
        return await server.read_resource(uri)
    found = await server.resources()
    lines = [
        f"{item.uri}{' (a template: fill in the braces)' if item.template else ''} "
        f"{item.name}{f': {item.description}' if item.description else ''}"
        for item in found[:_MAX_LISTED]
    ]
    if len(found) > _MAX_LISTED:
        lines.append(f"and {len(found) - _MAX_LISTED} more")
    return ToolResult("\n".join(lines) or "This server has no resources.")
