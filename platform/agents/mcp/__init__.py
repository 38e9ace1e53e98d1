"""MCP client: tools, resources and prompts of servers that run elsewhere, as toolsets for agents.

Names load on first use, so that importing this room does not import the protocol's library.
"""

from typing import TYPE_CHECKING

from rostra.core import lazy_names

if TYPE_CHECKING:
    from rostra.agents.mcp.config import OAuthConfig, ServerConfig, load_servers, servers_of
    from rostra.agents.mcp.effects import effect_of
    from rostra.agents.mcp.listing import PromptInfo, ResourceInfo, ServerTool
    from rostra.agents.mcp.pins import MemoryPins, Pins, StoredPins, ToolState, pin_digest, pin_text
    from rostra.agents.mcp.toolset import McpToolset

_HOMES = {
    "OAuthConfig": "config",
    "ServerConfig": "config",
    "load_servers": "config",
    "servers_of": "config",
    "effect_of": "effects",
    "MemoryPins": "pins",
    "Pins": "pins",
    "StoredPins": "pins",
    "ToolState": "pins",
    "pin_digest": "pins",
    "pin_text": "pins",
    "McpToolset": "toolset",
    "PromptInfo": "listing",
    "ResourceInfo": "listing",
    "ServerTool": "listing",
}

__all__ = [
    "McpToolset",
    "MemoryPins",
    "OAuthConfig",
    "Pins",
    "PromptInfo",
    "ResourceInfo",
    "ServerConfig",
    "ServerTool",
    "StoredPins",
    "ToolState",
    "effect_of",
    "load_servers",
    "pin_digest",
    "pin_text",
    "servers_of",
]

__getattr__ = lazy_names(__name__, _HOMES)
