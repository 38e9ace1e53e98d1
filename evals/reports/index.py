"""Where each sample of a run stands in its file, so that some are read without the others.

What always holds: an index has a few numbers for each sample and no text; of a sample the last line
counts; a file that grew is read from where it had ended, one that was changed otherwise anew. What
a line says beyond its beginning is only looked at when the line is asked for.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from evals.core import Header, Outcome, read_header
from evals.core.log import no_header
from evals.errors import EvalRunBroken, EvalRunNotFound
from evals.reports.worst import worst_first

Place = tuple[int, int]  # of the sample in its task, and the repetition
T = TypeVar("T")

_KINDS = ("end", "resumed", "sample")
# As we write them, which is quicker to see than to parse.
_WRITTEN = re.compile(
    rb'\{"type":"(?:(end|resumed)"|'
    rb'(sample)","task":(\d{1,9}),"at":(\d{1,12})(?:,"repeat":(\d{1,9}))?,)'
)


class _Line(msgspec.Struct):
    """As much of a line as says what stands there."""

    type: str
    task: int = -1
    at: int | str = 0  # of a sample its place, of other lines their time
    repeat: int = 0


class _Value(msgspec.Struct):
    name: str
    value: float | None = None


class _Ranked(msgspec.Struct):
    """As much of an outcome as decides which one is looked at first."""

    at: int
    repeat: int = 0
    failed: str = ""
    scores: list[_Value] = []


class RunIndex:
    """See this module; for one thread at a time.

    Args:
        path: of the run's file.

    Attributes:
        header: of the run.
        is_complete: whether every sample was done.
        stamp: of the file as it was read; another one says that `refresh` is due.

    Raises:
        EvalRunNotFound: there is no such file.
        EvalRunBroken: it is no run's, or a line does not begin as one does.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stamp: tuple[int, ...] = ()
        self._reset()
        self.refresh()

    @property
    def done(self) -> int:
        """Samples that are done, repetitions counted apart, each once."""
        return sum(map(len, self._offsets))

    def count(self, task: int) -> int:
        """Likewise, of one task."""
        return len(self._offsets[task])

    def refresh(self) -> None:
        """Takes in what happened to the file."""
        try:
            with self.path.open("rb") as file:
                stamp = stamp_of(os.fstat(file.fileno()))
                if stamp == self.stamp:
                    return
                # Only appended to: the same file, longer, with the same last line.
                if stamp[:2] != self.stamp[:2] or not self._is_continued(file):
                    self._reset()
                self._scan(file)
                self.stamp = stamp
        except OSError as error:
            raise EvalRunNotFound(f"{self.path}: {error.strerror}") from None

    def places(self, task: int, *, worst: bool = False) -> list[Place]:
        """Places of a task's samples, in the order of the set, or the worst first."""
        if task not in self._ordered:
            self._ordered[task] = sorted(self._offsets[task])
        if not worst:
            return self._ordered[task]
        if task not in self._worst:
            self._worst[task] = self._ranked(task)
        return self._worst[task]

    def read(self, task: int, places: Iterable[Place]) -> list[Outcome]:
        """What became of some samples.

        Raises:
            EvalRunBroken: a line is damaged.
            EvalRunNotFound: the file is gone.
        """
        decoder = msgspec.json.Decoder(Outcome)
        return [self._decoded(decoder, line) for line in self._lines(task, places)]

    def _ranked(self, task: int) -> list[Place]:
        decoder = msgspec.json.Decoder(_Ranked)
        lines = self._lines(task, self.places(task))
        found = [self._decoded(decoder, line) for line in lines]
        measures = self.header.tasks[task].measures
        return [(one.at, one.repeat) for one in worst_first(found, measures)]

    def _reset(self) -> None:
        header = read_header(self.path)
        if header is None:
            if not self.path.is_file():
                raise EvalRunNotFound(f"{self.path}: no such file")
            raise no_header(self.path)
        self.header: Header = header
        self.is_complete = False
        self._number = 0
        self._end = 0
        self._last = b""
        self._offsets: list[dict[Place, int]] = [{} for _ in header.tasks]
        self._ordered: dict[int, list[Place]] = {}
        self._worst: dict[int, list[Place]] = {}

    def _is_continued(self, file: BinaryIO) -> bool:
        file.seek(self._end - len(self._last))
        return bool(self._last) and file.read(len(self._last)) == self._last

    def _scan(self, file: BinaryIO) -> None:
        file.seek(self._end)
        for line in file:
            if not line.endswith(b"\n"):
                break  # Torn, or on its way.
            self._number += 1
            if self._number > 1:
                self._take(line)
            self._end += len(line)
            self._last = line
        self._ordered.clear()
        self._worst.clear()

    def _take(self, line: bytes) -> None:
        one = _beginning(line)
        if one is not None and one.type != "sample":
            self.is_complete = one.type == "end"
        elif one is not None and 0 <= one.task < len(self._offsets) and isinstance(one.at, int):
            self.is_complete = False
            self._offsets[one.task][one.at, one.repeat] = self._end
        else:
            raise EvalRunBroken(f"{self.path}, line {self._number}: not in its place")

    def _lines(self, task: int, places: Iterable[Place]) -> Iterator[bytes]:
        offsets = self._offsets[task]
        try:
            with self.path.open("rb") as file:
                for place in places:
                    file.seek(offsets[place])
                    yield file.readline()
        except OSError as error:
            raise EvalRunNotFound(f"{self.path}: {error.strerror}") from None

    def _decoded(self, decoder: msgspec.json.Decoder[T], line: bytes) -> T:
        try:
            return decoder.decode(line)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise EvalRunBroken(f"{self.path}, a sample's line: {error}") from None


def _beginning(line: bytes) -> _Line | None:
    """What kind of line it is; None if it is none of a run's, but the first."""
    if found := _WRITTEN.match(line):
        other_kind, sample, task, at, repeat = found.groups()
        if sample is None:
            return _Line(other_kind.decode())
        return _Line("sample", int(task), int(at), int(repeat or 0))
    try:
        # Somebody else may have written it, in another order.
        other = msgspec.json.decode(line, type=_Line)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return other if other.type in _KINDS else None


def stamp_of(found: os.stat_result) -> tuple[int, ...]:
    """Tells a file from what it was before: device, number, length, time of its last change."""
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
