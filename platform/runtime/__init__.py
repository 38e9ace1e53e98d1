"""Runtime: ties the rooms below together for those above: evaluation, the API and the CLI."""

from rostra.runtime.agents import configured_servers
from rostra.runtime.choice import Choice, Maker, choose
from rostra.runtime.prompted import (
    McpServerNotFound,
    McpServerUnavailable,
    PromptedTask,
    mcp_server_of,
    mcp_servers_of,
    prompt_messages,
    prompted_task,
    refused_by,
    unavailable,
    without_controls,
)
from rostra.runtime.reader import READER_NAME, READER_TOOLS, Reader, reader_config
from rostra.runtime.runtime import Once, Runtime, open_runtime
from rostra.runtime.token_vectors import drop_collection_tokens, store_collection_tokens

__all__ = [
    "READER_NAME",
    "READER_TOOLS",
    "Choice",
    "Maker",
    "McpServerNotFound",
    "McpServerUnavailable",
    "Once",
    "PromptedTask",
    "Reader",
    "Runtime",
    "choose",
    "configured_servers",
    "drop_collection_tokens",
    "mcp_server_of",
    "mcp_servers_of",
    "open_runtime",
    "prompt_messages",
    "prompted_task",
    "reader_config",
    "refused_by",
    "store_collection_tokens",
    "unavailable",
    "without_controls",
]
