"""MCP servers: small ones, one folder each, runnable alone as `python -m mcp_servers.NAME`.

They see the platform through its public faces only, and hold nothing the platform needs. What is
exported here is for those above, who serve the same tools in their own process.
"""

from typing import TYPE_CHECKING

from rostra.core import lazy_names

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

    from mcp_servers.python import (
        CallRefused,
        CallTool,
        Ending,
        Limits,
        Ran,
        Sandbox,
        SandboxRunner,
        SandboxUnavailable,
    )
    from mcp_servers.serving import offer
    from rostra.runtime import Runtime

_HOMES = {
    "CallRefused": "python",
    "CallTool": "python",
    "Ending": "python",
    "Limits": "python",
    "Ran": "python",
    "Sandbox": "python",
    "SandboxRunner": "python",
    "SandboxUnavailable": "python",
    "offer": "serving",
}

__all__ = [
    "CallRefused",
    "CallTool",
    "Ending",
    "Limits",
    "Ran",
    "Sandbox",
    "SandboxRunner",
    "SandboxUnavailable",
    "knowledge_server",
    "offer",
]

__getattr__ = lazy_names(__name__, _HOMES)


def knowledge_server(
    runtime: "Runtime", *, name: str = "knowledge", instructions: str = ""
) -> "MCPServer":
    """The knowledge server's tools over an open platform; see `mcp_servers.knowledge`.

    Args:
        runtime: the platform.
        name: `rostra-NAME` is what the server calls itself; `rostra` where it is empty.
        instructions: said behind those for these tools.
    """
    # Here, so that the other servers start without the platform.
    from mcp_servers.knowledge import build_server

    return build_server(runtime, name=name, instructions=instructions)
