"""A file of JSON lines that is only appended to: of runs, and of whatever else must survive.

What always holds: each line is one write, by one process at a time; after kill -9 all but the last
line is whole. A line that a full disk cut short is taken back before anything else is written.
"""

import errno
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec


class Locked(Exception):
    """Another process writes the file."""


class LineFile:
    """See this module; a context manager, which leaves everything on the disk.

    Args:
        path: of the file; made if it is not there.
        mode: of a new file.

    Raises:
        Locked: another process has it.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, mode: int = 0o644) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, mode)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise Locked from None
        except BaseException:
            os.close(self._file)
            raise
        self._encoder = msgspec.json.Encoder()

    @property
    def size(self) -> int:
        """Bytes."""
        return os.fstat(self._file).st_size

    def write(self, record: msgspec.Struct) -> None:
        """Appends a line; it survives this process's death when this returns.

        Raises:
            OSError: the disk is full, under the file's name; nothing of the line is left.
        """
        line = self._encoder.encode(record) + b"\n"
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from None
        if written != len(line):
            self.drop(written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def drop(self, count: int) -> None:
        """Cuts so many bytes off the end."""
        os.ftruncate(self._file, self.size - count)

    def close(self) -> None:
        """Ends the writing."""
        if self._file < 0:
            return
        file, self._file = self._file, -1
        try:
            os.fsync(file)
        finally:
            os.close(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
