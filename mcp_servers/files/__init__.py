"""Files: list, read and search one folder over MCP, and write in it when allowed to."""

from mcp_servers.files.server import build_server

__all__ = ["build_server"]
