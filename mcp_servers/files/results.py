"""What the tools return; clients get these as output schemas. Lines count from 1."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Path = Annotated[str, Field(description="Relative to the folder served.")]
Cut = Annotated[bool, Field(description="Whether a limit left something out.")]


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True)


class Listed(_Result):
    """Something in a folder."""

    path: Path
    kind: Literal["file", "folder", "link", "other"]
    size: Annotated[int | None, Field(description="Bytes of a file.")]
    modified: Annotated[str, Field(description="When, in UTC.")]


class Listing(_Result):
    """What stands in a folder, by name."""

    entries: list[Listed]
    truncated: Cut


class FileText(_Result):
    """Some lines of a file; go on from the line after end_line where it was cut."""

    path: Path
    start_line: int
    end_line: Annotated[int, Field(description="Less than start_line when there is no such line.")]
    total_lines: Annotated[int | None, Field(description="Null where the file is very long.")]
    truncated: Cut
    text: str


class Match(_Result):
    """A line that holds what was looked for."""

    path: Path
    line: int
    text: Annotated[str, Field(description="The line, or the part of it around the match.")]


class Matches(_Result):
    """Lines found, by file."""

    matches: list[Match]
    files_searched: int
    files_skipped: Annotated[int, Field(description="Not text, too large, or not to be opened.")]
    truncated: Cut


class Written(_Result):
    """A file that was written."""

    path: Path
    size: Annotated[int, Field(description="Bytes.")]
    created: Annotated[bool, Field(description="Whether the file is new.")]
