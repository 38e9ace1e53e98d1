"""Where runs of evaluations are kept, and how one is named.

What always holds: a run is one file, `ID.jsonl`, below `evals/runs/` in the data directory; its id
begins with its time, so that names in order are runs in order.
"""

import platform
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from evals.core import Header, RunFile, StateCache, Task, read_header
from evals.device import describe_device
from evals.errors import EvalRunNotFound, EvalRunUnwritable
from rostra.core import Settings, get_logger

log = get_logger(__name__)

_RECORDED = (
    "rostra",
    "torch",
    "numpy",
    "transformers",
    "tokenizers",
    "sentence-transformers",
    "faiss-cpu",
    "xgrammar",
    "ir-measures",
)
_MOST_LISTED = 1000


@dataclass(frozen=True, slots=True)
class Opened:
    """A run that is being done.

    Attributes:
        cache: of solved samples.
    """

    file: RunFile
    cache: StateCache
    seed: int


def runs_folder(settings: Settings) -> Path:
    """Where runs lie."""
    return settings.home / "evals" / "runs"


def list_runs(settings: Settings, limit: int = _MOST_LISTED) -> list[Path]:
    """The newest runs, newest first."""
    return sorted(runs_folder(settings).glob("*.jsonl"), reverse=True)[:limit]


def find_run(settings: Settings, name: str) -> Path:
    """The file of a run.

    Args:
        name: its id or the beginning of it, `latest`, `latest:KIND`, or a file's path.

    Raises:
        EvalRunNotFound: none or several go by it.
    """
    if name.endswith(".jsonl") or "/" in name:
        path = Path(name)
        if not path.is_file():
            raise EvalRunNotFound(f"{path}: no such file")
        return path
    runs = list_runs(settings)
    first, _, kind = name.partition(":")
    if first == "latest":
        heads = ((path, read_header(path)) for path in runs)
        found = [path for path, head in heads if head and kind in ("", head.kind)][:1]
    else:
        found = [path for path in runs if path.stem == name]
        found = found or [path for path in runs if name and path.stem.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise EvalRunNotFound(f"{len(found)} runs begin with {name!r}: say more of the name")
    raise EvalRunNotFound(
        f"no run is called {name!r}", hint="`rostra eval list` shows what there is."
    )


@contextmanager
def open_run(
    settings: Settings,
    kind: str,
    tasks: Sequence[Task],
    *,
    seed: int = 0,
    resume: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    out: Path | None = None,
) -> Iterator[Opened]:
    """Begins a run or goes on with one.

    Versions that are others than those it was done with so far are logged, and kept in its file.

    Args:
        resume: name of the run to go on with; see `find_run`.
        out: where its file is to be, instead of the data directory.

    Raises:
        EvalRunNotFound, EvalRunConflict: of `resume`.
        EvalRunUnwritable: its file cannot be written, also while it is done.
    """
    path = find_run(settings, resume) if resume is not None else out
    if path is None:
        path = new_run_path(settings, kind)
    header = Header(
        id=path.stem,
        kind=kind,
        begun=datetime.now(UTC),
        seed=seed,
        tasks=[task.header() for task in tasks],
        arguments=dict(arguments or {}),
        versions=recorded_versions(),
        device=describe_device(),
    )
    cache = StateCache(settings.home / "evals" / "cache.db", header.versions)
    try:
        with RunFile(path, header) as file:
            if file.changed:
                log.warning(
                    "this run was begun with other versions, so its results will be mixed",
                    run=header.id,
                    **{
                        name.replace("-", "_"): f"{before} -> {now}"
                        for name, (before, now) in file.changed.items()
                    },
                )
            yield Opened(file, cache, seed)
    except OSError as error:
        if error.filename is None or Path(error.filename) not in (path, path.parent):
            raise
        raise EvalRunUnwritable(
            f"{error.filename}: {error.strerror}",
            hint="What it has is whole. Make room, and go on with --resume.",
        ) from None
    finally:
        cache.close()


def new_run_path(settings: Settings, kind: str) -> Path:
    """Where a new run's file is to be."""
    return runs_folder(settings) / f"{_new_id(kind)}.jsonl"


def _new_id(kind: str) -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{kind}-{secrets.token_hex(2)}"


def recorded_versions() -> dict[str, str]:
    """Of the platform and of what results depend on, as a run's header has them."""
    found = {"python": platform.python_version()}
    for name in _RECORDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # an extra that is not installed
    return found
