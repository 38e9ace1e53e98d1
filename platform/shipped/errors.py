"""The error of a shipped model whose files are not what was shipped."""

import importlib.metadata
import json
import shlex
from pathlib import Path
from typing import ClassVar, Self

from rostra.core import ModelUnavailable

_INSTALL = "pip install --force-reinstall --no-deps"


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
        command = restore_command(path)
        if command is None:
            command = f"{_INSTALL} PATH-OF-THE-WHEEL (that Rostra was installed from)"
        return cls(
            f"the shipped model file {path} {what}",
            hint=f"Restore it: {command}",
            file=str(path),
        )


def restore_command(path: Path) -> str | None:
    """The command that brings a shipped file back: from the clone, or from what was installed.

    None where nobody knows what that was. An index is never named, as a stranger's package may have
    the same name there.
    """
    path = path.resolve()
    clone = next((folder for folder in path.parents if (folder / "pyproject.toml").is_file()), None)
    if clone is not None and (clone / ".git").exists():
        inside = path.relative_to(clone).as_posix()
        return f"git -C {shlex.quote(str(clone))} restore {shlex.quote(inside)}"
    source = _installed_from()
    return f"{_INSTALL} {shlex.quote(source)}" if source else None


def _installed_from() -> str | None:
    """Where the installer got this package, as pip takes it; None where it did not say."""
    try:
        written = importlib.metadata.distribution("rostra").read_text("direct_url.json")
        told = json.loads(written or "{}")
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None
    if told.get("dir_info", {}).get("editable"):
        # The folder of the damaged file itself.
        return None
    url: str | None = told.get("url")
    if url and (version := told.get("vcs_info")):
        return f"{version['vcs']}+{url}@{version['commit_id']}"
    return url
