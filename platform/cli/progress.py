"""Progress of an ingest: a bar with rate and time left, or a line now and then.

What always holds: what is done is never more than the total that is shown. The total grows while an
ingest runs, since what is attached to a message is found only when the message is read.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.text import Text

from rostra.ingest import OnProgress, Progress

_LINE_EVERY_SECONDS = 10.0


class _ChunkRate(ProgressColumn):
    """Chunks per second so far."""

    def render(self, task: Task) -> Text:
        chunks, elapsed = task.fields["chunks"], task.elapsed or 0
        return Text(f"{chunks} chunks, {chunks / elapsed if elapsed else 0:.0f}/s")


@contextmanager
def ingest_progress(total: int) -> Iterator[OnProgress]:
    """Shows an ingest's progress on stderr while the block runs."""
    if sys.stderr.isatty():
        bar = Bar(
            SpinnerColumn(),
            TextColumn("Ingesting"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("files,"),
            _ChunkRate(),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        with bar:
            yield _BarView(bar, total)
    else:
        yield _LineView()


class _BarView:
    def __init__(self, bar: Bar, total: int) -> None:
        self._bar = bar
        self._task = bar.add_task("ingest", total=total, chunks=0)

    def __call__(self, progress: Progress) -> None:
        self._bar.update(
            self._task,
            total=max(progress.total, progress.done),
            completed=progress.done,
            chunks=progress.chunks,
        )


class _LineView:
    def __init__(self) -> None:
        self._began = self._last = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._last < _LINE_EVERY_SECONDS:
            return
        self._last = now
        elapsed = now - self._began
        total = max(progress.total, progress.done)
        line = (
            f"{progress.done} of {total} files, {progress.chunks} chunks, "
            f"{progress.chunks / elapsed if elapsed else 0:.0f}/s"
        )
        if progress.done:
            left = elapsed / progress.done * (total - progress.done)
            line += f", about {left:.0f} s left"
        click.echo(line, err=True)
