"""Runtime: ties the rooms below together for those above: evaluation, the API and the CLI."""

from rostra.runtime.runtime import Once, Runtime, open_runtime

__all__ = ["Once", "Runtime", "open_runtime"]
