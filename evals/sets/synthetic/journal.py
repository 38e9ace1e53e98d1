"""The journal of making a set: what it is made with, and every attempt with what came of it.

What always holds: lines are only appended, each by one write, by one process at a time; after
kill -9 all but the last line is whole, and a torn last line is dropped. The set is the records of
the attempts that have one.
"""

import errno
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from evals.core.states import Usage
from evals.sets.errors import SetBroken, SetConflict


class Header(msgspec.Struct, frozen=True, kw_only=True, tag="set"):
    """What questions are made with, all of which must be the same to go on.

    Attributes:
        generation: of the collection: another one has other documents.
        prompt: version of the prompts.
        options: whatever else decides about questions.
    """

    collection: str
    collection_id: str
    generation: int
    model: str
    prompt: str
    seed: int
    options: dict[str, Any]


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="attempt"):
    """One question that was tried.

    Attributes:
        turn: of the passages; see `Sampler`.
        kind: how difficult it was meant to be.
        record: as the set has it; None if it was dropped.
        dropped: why it was.
        detail: what the model said, or what its failure was, cut.
        failed: whether the model gave no answer at all.
    """

    number: int
    turn: int
    kind: str
    record: dict[str, Any] | None = None
    dropped: str = ""
    detail: str = ""
    failed: bool = False
    usage: Usage = Usage()


_LINE = Header | Attempt


class Journal:
    """See this module; a context manager.

    Args:
        path: of its file; made if it is not there.

    Attributes:
        attempts: all so far, in order.

    Raises:
        SetConflict: another process writes it, or it was begun with another header.
        SetBroken: the file is no journal.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.attempts: list[Attempt] = []
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._lock()
            self._begin(header)
        except BaseException:
            os.close(self._file)
            raise

    @property
    def records(self) -> list[dict[str, Any]]:
        """Of the questions that were taken."""
        return [attempt.record for attempt in self.attempts if attempt.record is not None]

    def append(self, attempt: Attempt) -> None:
        """Writes an attempt; it survives this process's death when this returns."""
        self._write(attempt)
        self.attempts.append(attempt)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetConflict(f"{self.path} is being written by another process") from None

    def _begin(self, header: Header) -> None:
        data = self.path.read_bytes()
        whole, newline, torn = data.rpartition(b"\n")
        if not newline and not _is_begun(data):
            raise SetBroken(f"{self.path} is no journal of a set")
        if torn:
            os.ftruncate(self._file, len(data) - len(torn))
        if not newline:
            self._write(header)
            return
        decoder = msgspec.json.Decoder(_LINE)
        for number, line in enumerate(whole.split(b"\n"), 1):
            try:
                read = decoder.decode(line)
            except (msgspec.DecodeError, ValueError, RecursionError) as error:
                raise SetBroken(f"{self.path}, line {number}: {error}") from None
            if isinstance(read, Header) != (number == 1):
                raise SetBroken(f"{self.path}, line {number}: not in its place")
            if isinstance(read, Attempt):
                self.attempts.append(read)
            elif (name := _difference(read, header)) is not None:
                raise SetConflict(
                    f"{self.path} was begun with another {name}",
                    hint="Go on with what it was begun with, name another file, or say --replace.",
                )

    def _write(self, record: msgspec.Struct) -> None:
        line = msgspec.json.encode(record) + b"\n"
        if os.write(self._file, line) != len(line):
            # What was written is a torn last line, which is dropped by whoever goes on.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.fsync(self._file)
        os.close(self._file)


def _is_begun(data: bytes) -> bool:
    """Whether a file without any whole line is empty, or a header that was broken off."""
    return b'{"type":"set"'.startswith(data[:13])


def _difference(there: Header, now: Header) -> str | None:
    for name in Header.__struct_fields__:
        if getattr(there, name) != getattr(now, name):
            return "state of the collection" if name == "generation" else name
    return None
