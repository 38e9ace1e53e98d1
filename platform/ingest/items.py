"""What an ingest is given: things to read, documents that are ready, and what cannot be read.

All three have a `uri`, the address under which the document is known from run to run.
"""

from dataclasses import dataclass
from typing import Protocol

from rostra.core import UnreadableFile
from rostra.ingest.document import ParsedDocument


class Source(Protocol):
    """A file to be read and parsed: from a folder, an archive, or an upload."""

    @property
    def uri(self) -> str:
        """The address of its document."""
        ...

    @property
    def name(self) -> str:
        """Name for people and for the type; the ending counts."""
        ...

    @property
    def size(self) -> int:
        """Bytes, as far as known before reading."""
        ...

    def read(self) -> bytes:
        """The file's bytes. Blocks.

        Raises:
            UnreadableFile: it is gone, too large or not readable.
        """
        ...


@dataclass(frozen=True, slots=True)
class ReadySource:
    """A document that needs no parser, such as a line of a judged collection."""

    uri: str
    document: ParsedDocument


@dataclass(frozen=True, slots=True)
class FailedSource:
    """Something listed that cannot be read at all, and why."""

    uri: str
    error: UnreadableFile
