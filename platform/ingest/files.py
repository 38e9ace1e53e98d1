"""Reading one regular file, never more than asked for and never waiting for anyone.

A pipe, socket or device is refused by what the open descriptor says it is, so nothing can be put
in a file's place between the look and the read.
"""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from rostra.ingest.errors import NotRegular, TooLarge, os_reason

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NOCTTY


def open_regular(path: Path) -> BinaryIO:
    """Opens a regular file; `path` has been resolved, so a link at its end is refused.

    Raises:
        UnreadableFile: of the class that says why it cannot be opened.
    """
    name = display_name(path)
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        raise os_reason(error, name) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotRegular(f"{name} is not a regular file")
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path, max_bytes: int) -> bytes:
    """Reads a whole regular file.

    Raises:
        TooLarge: if it is, or grows to, more than `max_bytes`.
        UnreadableFile: of the class that says why it cannot be read.
    """
    name = display_name(path)
    with open_regular(path) as file:
        try:
            if os.fstat(file.fileno()).st_size > max_bytes:
                raise file_too_large(name, max_bytes)
            data = file.read(max_bytes + 1)
        except OSError as error:
            raise os_reason(error, name) from None
    if len(data) > max_bytes:
        raise file_too_large(name, max_bytes)
    return data


def file_too_large(name: str, max_bytes: int) -> TooLarge:
    """The error for a file over its limit."""
    return TooLarge(
        f"{name} is larger than {max_bytes:,} bytes",
        hint="Split the file, or raise max_file_bytes.",
    )


def display_name(path: Path) -> str:
    """A path's last part as text that can be stored; bytes that are no UTF-8 are replaced."""
    return os.fsencode(path.name or str(path)).decode("utf-8", errors="replace")
