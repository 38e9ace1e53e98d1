"""Python: runs code in a sandbox that reaches nothing, over MCP or for a run of this platform.

`SandboxRunner` lets the code of a run call the run's tools; the MCP server has none to offer. Names
load on first use, so that the sandbox alone does not import the protocol's library.
"""

from typing import TYPE_CHECKING

from rostra.core import lazy_names

if TYPE_CHECKING:
    from mcp_servers.python.runner import SandboxRunner
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
    "SandboxRunner": "runner",
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
    "SandboxRunner",
    "SandboxUnavailable",
    "build_server",
]

__getattr__ = lazy_names(__name__, _HOMES)
