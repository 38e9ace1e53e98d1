"""Errors that a person sees who works with MCP servers directly; agents get `ToolFailure`s."""

from rostra.core import Conflict, NotFound, RostraError


class McpServerNotFound(NotFound):
    """No MCP server of this name is configured."""

    code = "mcp_server_not_found"


class McpServerUnavailable(RostraError):
    """An MCP server cannot be reached, does not answer, or does not speak the protocol."""

    status = 503
    code = "mcp_server_unavailable"


class McpToolFailed(RostraError):
    """A call at an MCP server failed after it had begun; it may have had its effect."""

    status = 502
    code = "mcp_tool_failed"


class ToolNotOffered(Conflict):
    """An MCP server has no such tool, or nobody has approved it as it is now."""

    code = "tool_not_offered"
