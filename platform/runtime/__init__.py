"""Runtime: ties the rooms below together for those above: evaluation, the API and the CLI."""

from rostra.runtime.agents import configured_servers
from rostra.runtime.runtime import Once, Runtime, open_runtime
from rostra.runtime.token_vectors import drop_collection_tokens, store_collection_tokens

__all__ = [
    "Once",
    "Runtime",
    "configured_servers",
    "drop_collection_tokens",
    "open_runtime",
    "store_collection_tokens",
]
