"""Runtime: ties the rooms below together for those above: evaluation, the API and the CLI."""

from rostra.runtime.agents import configured_servers
from rostra.runtime.runtime import Once, Runtime, open_runtime

__all__ = ["Once", "Runtime", "configured_servers", "open_runtime"]
