"""An e-mail as both of its formats give it: headers, bodies, and what is enclosed.

What is enclosed is opened when asked for only: reading a message never unpacks its attachments.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Union

from rostra.core import normalize_text

# More than this of one message are counted, and neither named nor read.
MAX_ENCLOSURES = 100
# Between the name of a message and the number and name of something enclosed in it: no file and no
# member of an archive can have a name with it.
STEP = "\x00"
# Between names in a document's list of what is enclosed; they hold no slash of their own.
NAMES = " / "


@dataclass(frozen=True, slots=True)
class Enclosure:
    """Something enclosed: a file's bytes, or a message.

    Attributes:
        name: its file name, of one part.
        open: gives it; raises `UnreadableFile` when it is damaged.
    """

    name: str
    open: Callable[[], Union[bytes, "Letter"]]


@dataclass(frozen=True, slots=True)
class Body:
    """A body as it was written: a web page, plain text, or Rich Text.

    Attributes:
        media_type: which of these.
        open: gives its bytes; raises `CorruptFile` when they are damaged.
        charset: their encoding, where the message says so.
    """

    media_type: str
    open: Callable[[], bytes]
    charset: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One text in several forms, of which the first that shows something is read.

    Attributes:
        forms: each a row of bodies; pages come first, as they have the structure.
    """

    forms: list[list[Union[Body, "Choice"]]]


@dataclass(slots=True)
class Letter:
    """One message."""

    subject: str = ""
    sender: str = ""
    to: str = ""
    cc: str = ""
    # ISO 8601 where it could be read, else as written.
    date: str = ""
    bodies: list[Body | Choice] = field(default_factory=list)
    enclosures: list[Enclosure] = field(default_factory=list)
    # How many more are enclosed than `enclosures` holds.
    left_out: int = 0

    @property
    def is_full(self) -> bool:
        """Whether what is enclosed further is counted only."""
        return len(self.enclosures) >= MAX_ENCLOSURES


def file_name(name: str, default: str) -> str:
    """The last part of a name given by a message, safe to show; folders are not taken over."""
    last = re.split(r"[/\\]", normalize_text(name))[-1]
    return " ".join(last.split())[-200:].strip().lstrip(".") or default


def name_of(subject: str) -> str:
    """An enclosed message's name by its subject."""
    return file_name(subject[:100].replace("/", "_").replace("\\", "_"), "message")
