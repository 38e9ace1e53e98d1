"""The file of a run: one line of JSON for what was meant to be done, and one for each sample done.

What always holds: lines are only appended, each by one write, by one process at a time; after
kill -9 all but the last line is whole, and a torn last line is dropped. The file alone is enough
to report the run, to score it again and to go on with it.
"""

import fcntl
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from evals.core.measures import Measure
from evals.core.samples import Problem
from evals.core.scores import Score
from evals.core.states import State
from evals.errors import EvalRunBroken, EvalRunConflict, EvalRunNotFound


class TaskHeader(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One task of a run: a dataset, a system, and what it is scored by.

    Attributes:
        digest: the dataset's.
        samples: how many there are.
        repeats: how often each is done.
        problems: records of the dataset that could not be used.
        measures: of all scorers, in the order of the report.
    """

    dataset: str
    solver: str
    digest: str
    samples: int
    repeats: int = 1
    problems: list[Problem] = []
    solver_config: dict[str, Any] = {}
    scorers: dict[str, dict[str, Any]] = {}
    measures: list[Measure] = []

    @property
    def name(self) -> str:
        """Of the task within its run."""
        return f"{self.dataset}/{self.solver}"


class Header(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="run"):
    """What a run was begun with.

    Attributes:
        kind: the evaluation, such as `retrieval`.
        arguments: of the command, for whoever wants to do it again.
        versions: of the platform and of what its results depend on.
        device: in words.
    """

    id: str
    kind: str
    begun: datetime
    seed: int
    tasks: list[TaskHeader]
    arguments: dict[str, Any] = {}
    versions: dict[str, str] = {}
    device: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="sample"):
    """What became of one repetition of one sample.

    Attributes:
        task, at, repeat: place of the task in the run, of the sample in the dataset, and which
            repetition.
        state: after the solver; of a failed sample, before it.
        failed: the error's name if the solver failed; only what can be said of failures, too, is
            then scored.
        detail: the error's words.
        seconds: the solver took.
        scoring: seconds the scorers took.
        cached: whether the state came from the cache.
    """

    task: int
    at: int
    repeat: int = 0
    state: State
    scores: list[Score] = []
    failed: str = ""
    detail: str = ""
    seconds: float = 0.0
    scoring: float = 0.0
    cached: bool = False

    @property
    def place(self) -> tuple[int, int, int]:
        """Unique within a run; the order of reports."""
        return (self.task, self.at, self.repeat)


class Closed(msgspec.Struct, frozen=True, tag="end"):
    """All samples are done."""

    at: datetime


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as its file has it.

    Attributes:
        outcomes: by their place, whatever order they came in.
        is_complete: whether every sample was done.
        torn: bytes of a last line that was broken off.
    """

    header: Header
    outcomes: tuple[Outcome, ...]
    is_complete: bool
    torn: int = 0


_LINE = Header | Outcome | Closed
_LONGEST_HEADER = 64 * 2**20  # bytes


def read_run(path: Path) -> RunRecord:
    """Reads a run's file, also while it is written.

    Raises:
        EvalRunNotFound: there is no such file.
        EvalRunBroken: it is not a run's, or a line that is not the last one is damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EvalRunNotFound(f"{path}: {error.strerror}") from None
    whole, newline, torn = data.rpartition(b"\n")
    if not newline:
        raise EvalRunBroken(f"{path} is no log of an evaluation")
    decoder = msgspec.json.Decoder(_LINE)
    header: Header | None = None
    outcomes: dict[tuple[int, int, int], Outcome] = {}
    is_complete = False
    for number, line in enumerate(whole.split(b"\n"), 1):
        try:
            record = decoder.decode(line)
        except (msgspec.DecodeError, ValueError) as error:
            raise EvalRunBroken(f"{path}, line {number}: {error}") from None
        match record:
            case Header() if number == 1:
                header = record
            case Outcome() if header is not None and 0 <= record.task < len(header.tasks):
                outcomes[record.place] = record
                is_complete = False
            case Closed() if header is not None:
                is_complete = True
            case _:
                raise EvalRunBroken(f"{path}, line {number}: not in its place")
    if header is None:
        raise EvalRunBroken(f"{path} is no log of an evaluation")
    return RunRecord(
        header, tuple(outcomes[place] for place in sorted(outcomes)), is_complete, len(torn)
    )


def read_header(path: Path) -> Header | None:
    """A run's first line; None if it is none."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.readline(_LONGEST_HEADER), type=Header)
    except (OSError, msgspec.DecodeError):
        return None


class RunFile:
    """Writes a run; a context manager.

    Args:
        path: of its file; made if it is not there.
        header: what is to be done.

    Raises:
        EvalRunConflict: another process writes it, or it was begun with another header.
        EvalRunBroken: the file is no run's.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._encoder = msgspec.json.Encoder()
        try:
            self._lock()
            self.done = self._begin(header)
        except BaseException:
            os.close(self._file)
            raise

    def append(self, outcome: Outcome) -> None:
        """Writes what became of a sample; it survives this process's death when this returns."""
        self._write(outcome)

    def close(self, *, is_complete: bool) -> None:
        """Ends the writing, with everything on the disk.

        Args:
            is_complete: every sample is done; otherwise the run can be gone on with.
        """
        if is_complete:
            self._write(Closed(datetime.now(UTC)))
        os.fsync(self._file)
        os.close(self._file)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EvalRunConflict(f"{self.path} is being written by another process") from None

    def _begin(self, header: Header) -> Mapping[tuple[int, int, int], Outcome]:
        """Writes the header, or takes in what is there already."""
        if os.fstat(self._file).st_size == 0:
            self._write(header)
            return {}
        there = read_run(self.path)
        if there.torn:
            os.ftruncate(self._file, os.fstat(self._file).st_size - there.torn)
        if (difference := _difference(there.header, header)) is not None:
            raise EvalRunConflict(
                f"run {there.header.id} was begun with another {difference}",
                hint="Start a new run, or go on with the settings of the old one.",
            )
        return {outcome.place: outcome for outcome in there.outcomes}

    def _write(self, record: msgspec.Struct) -> None:
        line = self._encoder.encode(record) + b"\n"
        written = os.write(self._file, line)
        if written != len(line):
            # A full disk; what was written is a torn last line, which readers drop.
            raise OSError(28, "No space left on device", str(self.path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(is_complete=error is None)


def _difference(there: Header, now: Header) -> str | None:
    """What keeps two headers from being those of one run; names of tasks before their parts."""
    if there.kind != now.kind:
        return "kind of evaluation"
    if there.seed != now.seed:
        return "seed"
    if [task.name for task in there.tasks] != [task.name for task in now.tasks]:
        return "list of datasets and systems"
    for old, new in zip(there.tasks, now.tasks, strict=True):
        for part in ("digest", "repeats", "solver_config", "scorers", "measures"):
            before, after = (
                msgspec.json.encode(getattr(task, part), order="deterministic")
                for task in (old, new)
            )
            if before != after:
                return f"{part.replace('_', ' ')} of {old.name}"
    return None
