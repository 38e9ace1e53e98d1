"""The list of runs, and how runs go.

What always holds: of a run that is complete only the first and the last line are read, and of one
that is not the others are counted, each sample once; a file that is no run is listed with what is
wrong with it.
"""

import fcntl
from datetime import datetime
from pathlib import Path

import msgspec

from evals.core import read_header
from evals.core.log import no_header
from evals.errors import EvalRunBroken, EvalRunConflict, EvalRunNotFound
from evals.reports.index import RunIndex
from evals.runs import list_runs
from rostra.core import RostraError, Settings

_MOST = 10_000
_END = b'{"type":"end"'
_LONGEST_END = 256  # bytes of the last line, and more
_TASKS_NAMED = 20


class EvalRunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A run in a list.

    Attributes:
        tasks: names of the first ones; `task_count` is how many there are.
        samples: to be done, repetitions counted apart.
        done: of them; failed ones are done too.
        bytes: of its file.
        problem: why its file cannot be read; empty as a rule.
    """

    id: str
    kind: str = ""
    begun: datetime | None = None
    tasks: list[str] = []
    task_count: int = 0
    samples: int = 0
    done: int = 0
    complete: bool = False
    bytes: int = 0
    problem: str = ""


def list_summaries(
    settings: Settings, *, limit: int = 50, offset: int = 0, kind: str = ""
) -> tuple[list[EvalRunSummary], int]:
    """Some runs, newest first, and how many there are.

    Args:
        kind: of evaluation; empty for all.
    """
    paths = list_runs(settings, _MOST)
    if kind:
        paths = [path for path in paths if (head := read_header(path)) and head.kind == kind]
    return [summarise(path) for path in paths[offset : offset + limit]], len(paths)


def summarise(path: Path) -> EvalRunSummary:
    """What a list says of a run; never raises for what is wrong with a file."""
    header = read_header(path)
    try:
        size = path.stat().st_size
        if header is None:
            return EvalRunSummary(id=path.stem, bytes=size, problem=_problem(no_header(path), path))
        samples = done = sum(task.samples * task.repeats for task in header.tasks)
        if not (complete := _ends(path, size)):
            # Some samples may have several lines, and only as many lines as there are tell.
            index = RunIndex(path)
            done, complete = index.done, index.is_complete
    except OSError as error:
        return EvalRunSummary(id=path.stem, problem=str(error.strerror))
    except RostraError as error:
        kind = header.kind if header else ""
        return EvalRunSummary(id=path.stem, kind=kind, problem=_problem(error, path))
    return EvalRunSummary(
        id=path.stem,
        kind=header.kind,
        begun=header.begun,
        tasks=[task.name for task in header.tasks[:_TASKS_NAMED]],
        task_count=len(header.tasks),
        samples=samples,
        done=done,
        complete=complete,
        bytes=size,
    )


def _problem(error: RostraError, path: Path) -> str:
    """What is wrong with a file, without its name."""
    return error.message.removeprefix(str(path)).lstrip(",: ")


def _ends(path: Path, size: int) -> bool:
    """Whether the last line says that every sample is done, in which case they are."""
    with path.open("rb") as file:
        file.seek(max(0, size - _LONGEST_END))
        last = file.read()
    whole, newline, _ = last[:-1].rpartition(b"\n")
    return last.endswith(b"\n") and bool(newline) and last[len(whole) + 1 :].startswith(_END)


def stored_run(settings: Settings, run: str) -> Path:
    """The file of a stored run by its whole id; never a path of the caller's choice.

    Raises:
        EvalRunNotFound: there is none.
    """
    for path in list_runs(settings, _MOST):
        if path.stem == run:
            return path
    raise EvalRunNotFound(f"no run is called {run[:100]!r}")


def newest_of(settings: Settings, kind: str, *, but: Path) -> Path:
    """The newest run of a kind over a dataset of another run, but not that one itself.

    Args:
        but: the other run's file, or a baseline's, which has the id of its run.

    Raises:
        EvalRunNotFound: there is none.
    """
    own = read_header(but)
    wanted = {task.dataset for task in own.tasks} if own is not None else set()
    for path in list_runs(settings, _MOST):
        header = read_header(path)
        if header is None or header.kind != kind or path.resolve() == but.resolve():
            continue
        if own is None:
            return path
        if header.id != own.id and wanted & {task.dataset for task in header.tasks}:
            return path
    raise EvalRunNotFound(
        f"there is no run of the kind {kind!r}"
        + (" over its datasets beside the baseline" if own is not None else ""),
        hint=f"Make one with `rostra eval run {kind}`, or name its file.",
    )


def delete_run(path: Path) -> None:
    """Deletes a run's file.

    Raises:
        EvalRunBroken: the file is no run's.
        EvalRunConflict: a process writes it.
        EvalRunNotFound: it is gone.
    """
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if read_header(path) is None:
                raise EvalRunBroken(
                    f"{path} is no log of an evaluation, so it stays",
                    hint="Delete the file yourself if it is not needed.",
                )
            path.unlink()
    except BlockingIOError:
        raise EvalRunConflict(f"{path} is being written by another process") from None
    except FileNotFoundError:
        raise EvalRunNotFound(f"{path}: no such file") from None
