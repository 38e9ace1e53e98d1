"""What a command on a model is given: its folder, its configuration, its sources."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from evals.training.config import Config
from rostra.core import Settings

# Debian's postgresql-doc-15 and python3.11-doc: about 1,700 pages.
DOCS = (Path("/usr/share/doc/postgresql-doc-15/html"), Path("/usr/share/doc/python3.11/html"))


@dataclass(frozen=True, slots=True)
class Sources:
    """What examples are built of.

    Attributes:
        docs: folders of documentation pages, taken in first where they are not yet.
        collection: of documents taken in before, in place of the folders.
        reading: questions with passage and answers as JSON lines; None goes without.
    """

    docs: tuple[Path, ...] = DOCS
    collection: str | None = None
    reading: Path | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """See this module.

    Attributes:
        folder: all that the model's commands write; see the properties.
        settings: of the platform: limits, device, and the data directory with the collection.
        tell: takes a line about what is going on.
    """

    folder: Path
    config: Config
    settings: Settings
    sources: Sources = field(default_factory=Sources)
    tell: Callable[[str], None] = print

    @property
    def examples(self) -> Path:
        """The folder of examples and their manifest."""
        return self.folder / "examples"

    @property
    def run(self) -> Path:
        """The folder of checkpoint and progress."""
        return self.folder / "run"

    @property
    def exported(self) -> Path:
        """The folder of files as they would be shipped."""
        return self.folder / "exported"
