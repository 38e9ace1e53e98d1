"""SQL: read one database over MCP, within limits; nothing in it can be changed."""

from mcp_servers.sql.server import build_server

__all__ = ["build_server"]
