"""Runs that are read again and again: reports, and pages of samples; each file is read once.

What always holds: what is told is of the file as it is now. Kept are reports and indexes of the
runs that were asked for last, never texts of samples.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from evals.core import read_run
from evals.errors import EvalRunNotFound
from evals.reports.data import EvalRunView, EvalSamplePage, SampleOrder, run_view, sample_view
from evals.reports.errors import task_not_found
from evals.reports.index import RunIndex, stamp_of

_MOST = 16  # runs


@dataclass(slots=True)
class _Kept:
    """Of one run; a report takes longer than a page, and no page waits for it."""

    index_lock: threading.Lock = field(default_factory=threading.Lock)
    view_lock: threading.Lock = field(default_factory=threading.Lock)
    index: RunIndex | None = None
    view: EvalRunView | None = None
    stamp: tuple[int, ...] = ()


class RunShelf:
    """See this module; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Path, _Kept] = OrderedDict()

    def view(self, path: Path) -> EvalRunView:
        """A run's report; see `run_view`.

        Raises:
            EvalRunNotFound: there is no such file.
            EvalRunBroken: it is no run's, or is damaged.
        """
        kept = self._of(path)
        with kept.view_lock:
            try:
                stamp = stamp_of(path.stat())
            except OSError as error:
                raise EvalRunNotFound(f"{path}: {error.strerror}") from None
            if kept.view is None or kept.stamp != stamp:
                kept.view, kept.stamp = run_view(read_run(path, texts=False)), stamp
            return kept.view

    def samples(
        self, path: Path, task: int, *, limit: int, offset: int = 0, order: SampleOrder = "set"
    ) -> EvalSamplePage:
        """Some samples of a task; see `sample_page`.

        Raises:
            EvalTaskNotFound: there is no such task.
            EvalRunNotFound: there is no such file.
            EvalRunBroken: it is no run's, or a line that is needed is damaged.
        """
        kept = self._of(path)
        with kept.index_lock:
            if kept.index is None:
                kept.index = RunIndex(path)
            else:
                kept.index.refresh()
            index = kept.index
            if not 0 <= task < len(index.header.tasks):
                raise task_not_found(index.header.id, len(index.header.tasks))
            places = index.places(task, worst=order == "worst")
            found = index.read(task, places[offset : offset + limit])
        return EvalSamplePage([sample_view(one) for one in found], len(places))

    def _of(self, path: Path) -> _Kept:
        with self._lock:
            kept = self._kept.setdefault(path, _Kept())
            self._kept.move_to_end(path)
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)
            return kept
