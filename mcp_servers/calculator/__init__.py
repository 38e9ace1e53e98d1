"""Calculator: exact arithmetic, units and dates, over MCP; nothing outside of it is touched."""

from mcp_servers.calculator.server import build_server

__all__ = ["build_server"]
