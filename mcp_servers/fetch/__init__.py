"""Fetch: read public web pages as text over MCP; this machine's own networks are out of reach."""

from mcp_servers.fetch.server import build_server

__all__ = ["build_server"]
