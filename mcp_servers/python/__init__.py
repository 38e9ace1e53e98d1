"""Python: runs code in a sandbox that reaches nothing, over MCP or for a run of this platform.

`Sandbox.run` also lets the code call tools; the MCP server has none to offer to it.
"""

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
