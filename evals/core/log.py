"""The file of a run: one line of JSON for what was meant to be done, and one for each sample done.

What always holds: it is written as a `LineFile`, and a torn last line is dropped. Of a sample the
last line counts. The file alone is enough to report the run, to score it again and to go on with
it; what was done with other versions than those it was begun with is known.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice, pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from evals.core.lines import LineFile, Locked
from evals.core.measures import Measure
from evals.core.samples import Problem, Sample
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


class Resumed(msgspec.Struct, frozen=True, kw_only=True, tag="resumed"):
    """What comes after it was done by other versions, or on another device, than what is before.

    Attributes:
        versions, device: as in `Header`, from here on.
    """

    at: datetime
    versions: dict[str, str]
    device: str = ""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as its file has it.

    Attributes:
        outcomes: by their place, whatever order they came in.
        is_complete: whether every sample was done.
        torn: bytes of a last line that was broken off.
        resumed: changes of versions and device since it was begun, in order.
    """

    header: Header
    outcomes: tuple[Outcome, ...]
    is_complete: bool
    torn: int = 0
    resumed: tuple[Resumed, ...] = ()

    @property
    def mixed(self) -> list[dict[str, tuple[str, str]]]:
        """What changed in versions and device while it was done, as (before, now), in order."""
        steps: list[Header | Resumed] = [self.header, *self.resumed]
        return [changed(before, now) for before, now in pairwise(steps)]


Line = Header | Outcome | Closed | Resumed
_LONGEST_HEADER = 64 * 2**20  # bytes
_LOOKED_AT = 3  # lines of a file that has no header


def read_run(path: Path, *, texts: bool = True) -> RunRecord:
    """Reads a run's file, also while it is written.

    Args:
        texts: with those of passages and of calls' results, which no measure needs any more and
            which are most of a long run.

    Raises:
        EvalRunNotFound: there is no such file.
        EvalRunBroken: it is not a run's, or a line that is not the last one is damaged.
    """
    decoder = msgspec.json.Decoder(Line)
    header: Header | None = None
    outcomes: dict[tuple[int, int, int], Outcome] = {}
    resumed: list[Resumed] = []
    # Of several systems over one set, each line has its sample; one copy is enough.
    samples: dict[tuple[str, int], Sample] = {}
    is_complete = False
    torn = 0
    for number, line in enumerate(_lines(path), 1):
        if not line.endswith(b"\n"):
            torn = len(line)
            break
        try:
            record = decoder.decode(line)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            if number == 1:
                raise no_header(path, str(error)) from None
            raise EvalRunBroken(f"{path}, line {number}: {error}") from None
        match record:
            case Header() if number == 1:
                header = record
            case Outcome() if header is not None and 0 <= record.task < len(header.tasks):
                place = header.tasks[record.task].digest, record.at
                kept = samples.setdefault(place, record.state.sample)
                if kept is not record.state.sample and kept == record.state.sample:
                    state = msgspec.structs.replace(record.state, sample=kept)
                    record = msgspec.structs.replace(record, state=state)
                outcomes[record.place] = record if texts else _without_texts(record)
                is_complete = False
            case Resumed() if header is not None:
                resumed.append(record)
                is_complete = False
            case Closed() if header is not None:
                is_complete = True
            case _ if number == 1:
                raise no_header(path)
            case _:
                raise EvalRunBroken(f"{path}, line {number}: not in its place")
    if header is None:
        raise no_header(path)
    ordered = tuple(outcomes[place] for place in sorted(outcomes))
    return RunRecord(header, ordered, is_complete, torn, tuple(resumed))


def no_header(path: Path, why: str = "it is not there") -> EvalRunBroken:
    """The error for a file whose first line is not that of a run, which tells all that was meant.

    Args:
        why: of the line.
    """
    if not _has_samples(path):
        return EvalRunBroken(
            f"{path}: it is no log of an evaluation",
            hint="If it is the beginning of one that was cut off, delete it and run again.",
        )
    return EvalRunBroken(
        f"{path}, line 1: the header of the run is damaged: {why}",
        hint="Without it nothing is known of the samples below it. Put back a copy of the file, "
        "or delete it and run again; what is in the cache is not solved twice.",
    )


def _has_samples(path: Path) -> bool:
    """Whether one of the first lines is that of a sample."""
    decoder = msgspec.json.Decoder(Line)
    for line in islice(_lines(path), _LOOKED_AT):
        try:
            if isinstance(decoder.decode(line), Outcome):
                return True
        except (msgspec.DecodeError, ValueError, RecursionError):
            continue
    return False


def _without_texts(outcome: Outcome) -> Outcome:
    state = outcome.state
    if not state.passages and not state.calls:
        return outcome
    short = msgspec.structs.replace(
        state,
        passages=[msgspec.structs.replace(one, text="") for one in state.passages],
        calls=[msgspec.structs.replace(one, result="") for one in state.calls],
    )
    return msgspec.structs.replace(outcome, state=short)


def _lines(path: Path) -> Iterator[bytes]:
    """Lines with their ends; the last one may have none.

    Raises:
        EvalRunNotFound: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            yield from file
    except OSError as error:
        raise EvalRunNotFound(f"{path}: {error.strerror}") from None


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

    Attributes:
        done: what is in the file already, by its place.
        changed: versions, and the device, that are others than those the file was last written
            with, as (before, now); empty for a new run. They are told in the file as soon as
            something is done with them.

    Raises:
        EvalRunConflict: another process writes it, or it was begun with another header.
        EvalRunBroken: the file is no run's.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.done: Mapping[tuple[int, int, int], Outcome] = {}
        self.changed: Mapping[str, tuple[str, str]] = {}
        self._untold: Resumed | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._file = LineFile(path)
        except Locked:
            raise EvalRunConflict(f"{path} is being written by another process") from None
        try:
            self._begin(header)
        except BaseException:
            self._file.close()
            raise

    def append(self, outcome: Outcome) -> None:
        """Writes what became of a sample; it survives this process's death when this returns."""
        if self._untold is not None:
            self._file.write(self._untold)
            self._untold = None
        self._file.write(outcome)

    def close(self, *, is_complete: bool) -> None:
        """Ends the writing, with everything on the disk.

        Args:
            is_complete: every sample is done; otherwise the run can be gone on with.
        """
        with self._file:
            if is_complete:
                self._file.write(Closed(datetime.now(UTC)))

    def _begin(self, header: Header) -> None:
        """Writes the header, or takes in what is there already."""
        if self._file.size == 0:
            self._file.write(header)
            return
        there = read_run(self.path)
        if (difference := _difference(there.header, header)) is not None:
            raise EvalRunConflict(
                f"run {there.header.id} was begun with another {difference}",
                hint="Start a new run, or go on with the settings of the old one.",
            )
        if there.torn:
            self._file.drop(there.torn)
        self.done = {outcome.place: outcome for outcome in there.outcomes}
        last = there.resumed[-1] if there.resumed else there.header
        self.changed = changed(last, header)
        if self.changed:
            self._untold = Resumed(at=header.begun, versions=header.versions, device=header.device)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(is_complete=error is None)


def changed(before: Header | Resumed, now: Header | Resumed) -> dict[str, tuple[str, str]]:
    """Versions, and the device, that differ; one that is not there is `none`."""
    old = {**before.versions, "device": before.device}
    new = {**now.versions, "device": now.device}
    return {
        name: (old.get(name) or "none", new.get(name) or "none")
        for name in dict.fromkeys((*old, *new))
        if old.get(name, "") != new.get(name, "")
    }


def _where(old: TaskHeader, new: TaskHeader, part: str) -> str:
    """Names of what differs in a part that has some."""
    before, after = getattr(old, part), getattr(new, part)
    if not isinstance(before, dict) or not isinstance(after, dict):
        return ""
    names = [
        name for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name)
    ]
    return f" ({', '.join(names[:5])})" if names else ""


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
                return f"{part.replace('_', ' ')} of {old.name}{_where(old, new, part)}"
    return None
