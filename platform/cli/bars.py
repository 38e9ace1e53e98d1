"""Progress bars of verbs that take their time, on stderr, gone when they are done."""

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import TaskID

from rostra.ingest import Progress


def bar() -> Bar:
    """A bar with no tasks yet."""
    return Bar(console=Console(stderr=True), transient=True)


def advance(bar: Bar, task: TaskID, progress: Progress) -> None:
    """Shows how far an ingest is."""
    bar.update(task, total=progress.total, completed=progress.done)


def show(bar: Bar, task: TaskID, done: int, total: int) -> None:
    """Shows that so many of all are done."""
    bar.update(task, total=total, completed=done)
