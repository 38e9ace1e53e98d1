"""Progress of verbs that take their time, on stderr: bars that are gone when they are done.

Where stderr is no terminal, a line now and then takes their place.
"""

import time
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import TaskID

if TYPE_CHECKING:
    from rostra.ingest import Progress

_LINE_EVERY_SECONDS = 10.0


class _Lines(Bar):
    """A bar that is never drawn; says how far its tasks are instead."""

    def __init__(self) -> None:
        super().__init__(console=Console(stderr=True), disable=True)
        self._began: dict[TaskID, float] = {}
        self._last = time.monotonic()

    def update(self, task_id: TaskID, **changed: Any) -> None:
        """Takes in how far a task is, and says so if nothing was said for a while."""
        super().update(task_id, **changed)
        now = time.monotonic()
        began = self._began.setdefault(task_id, self._last)
        if now - self._last < _LINE_EVERY_SECONDS:
            return
        self._last = now
        task = self.tasks[self.task_ids.index(task_id)]
        done, total = task.completed, task.total
        line = f"{task.description}: {done:,.0f}"
        if total is not None:
            line += f" of {total:,.0f}"
            if done:
                line += f", about {(now - began) / done * (total - done):.0f} s left"
        click.echo(line, err=True)


def bar() -> Bar:
    """A bar with no tasks yet."""
    console = Console(stderr=True)
    return Bar(console=console, transient=True) if console.is_terminal else _Lines()


def advance(bar: Bar, task: TaskID, progress: "Progress") -> None:
    """Shows how far an ingest is."""
    bar.update(task, total=progress.total, completed=progress.done)


def show(bar: Bar, task: TaskID, done: int, total: int) -> None:
    """Shows that so many of all are done."""
    bar.update(task, total=total, completed=done)
