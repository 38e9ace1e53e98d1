"""Python: runs code in a sandbox that reaches nothing, over MCP or for a run of this platform.

`Sandbox.run` also lets the code call tools; the MCP server has none to offer to it. Names load on
first use, so that the sandbox alone does not import the protocol's library.
"""

from typing import TYPE_CHECKING

from rostra.core import lazy_names

if TYPE_CHECKING:
    from mcp_servers.python.sandbox import (
        CallRefused,
        CallTool,
        Ending,
        Limits,
        Ran,
        Sandbox,
        SandboxUnavailable,
    )
    from mcp_servers.python.server import build_server

_HOMES = {
    "CallRefused": "sandbox",
    "CallTool": "sandbox",
    "Ending": "sandbox",
    "Limits": "sandbox",
    "Ran": "sandbox",
    "Sandbox": "sandbox",
    "SandboxUnavailable": "sandbox",
    "build_server": "server",
}

__all__ = [
    "CallRefused",
    "CallTool",
    "Ending",
    "Limits",
    "Ran",
    "Sandbox",
    "SandboxUnavailable",
    "build_server",
]

__getattr__ = lazy_names(__name__, _HOMES)
