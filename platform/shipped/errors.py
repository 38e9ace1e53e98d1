"""The error of a shipped model whose files are not what was shipped."""

import importlib.metadata
import shlex
from pathlib import Path
from typing import ClassVar, Self

from rostra.core import ModelUnavailable


class ShippedModelBroken(ModelUnavailable):
    """A file that ships with the package is missing, truncated or altered.

    Whoever can do without the model, catches it and says so.
    """

    code: ClassVar[str] = "shipped_model_broken"

    @classmethod
    def at(cls, path: Path, what: str) -> Self:
        """The error of a file, with the command that restores it.

        Args:
            what: what is the matter with it, to be read after its name.
        """
        return cls(
            f"the shipped model file {path} {what}",
            hint=f"Restore it: {restore_command(path)}",
            file=str(path),
        )


def restore_command(path: Path) -> str:
    """The command that brings a shipped file back: from the clone, or from the package index."""
    path = path.resolve()
    clone = next((folder for folder in path.parents if (folder / "pyproject.toml").is_file()), None)
    if clone is not None and (clone / ".git").exists():
        inside = path.relative_to(clone).as_posix()
        return f"git -C {shlex.quote(str(clone))} restore {shlex.quote(inside)}"
    version = importlib.metadata.version("rostra")
    return f"pip install --force-reinstall --no-deps rostra=={version}"
