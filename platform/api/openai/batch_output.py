"""The output files of a batch while it runs: one answer a line, in the order they come.

What always holds: a line is there whole or not at all: what a crash tore off is cut away when the
file is opened again; no request is answered twice in one file.
"""

import os
from pathlib import Path
from typing import Any

import msgspec

from rostra.api.sse import json_line


class BatchOutput:
    """A file that answers are appended to. Calls are short and do not wait for the disk."""

    def __init__(self, path: Path) -> None:
        self.done: set[str] = set()
        self._file = path.open("ab+")
        self._file.seek(0)
        whole = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            self.done.add(msgspec.json.decode(line, type=_Answered).custom_id)
            whole += len(line)
        self._file.truncate(whole)
        self._file.seek(0, os.SEEK_END)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._file.tell()

    def add(self, custom_id: str, line: dict[str, Any]) -> None:
        """Appends an answer."""
        self._file.write(json_line(line) + b"\n")
        self._file.flush()
        self.done.add(custom_id)

    def sync(self) -> None:
        """Waits until all of it is on the disk. Blocks."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class _Answered(msgspec.Struct):
    """What is read of a line again."""

    custom_id: str
