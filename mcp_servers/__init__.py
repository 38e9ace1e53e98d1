"""MCP servers: small ones, one folder each, runnable alone as `python -m mcp_servers.NAME`.

They see the platform through its public faces only, and hold nothing the platform needs.
"""
