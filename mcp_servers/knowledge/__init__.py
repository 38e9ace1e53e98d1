"""Knowledge: search, read, list and ask the platform's documents, over MCP; changes nothing."""

from mcp_servers.knowledge.server import build_server

__all__ = ["build_server"]
