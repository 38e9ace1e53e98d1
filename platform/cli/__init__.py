"""The `rostra` command: one module a verb, loaded when it is called."""

from rostra.cli.main import main

__all__ = ["main"]
