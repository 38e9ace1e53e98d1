"""Progress of an ingest whose total grows: attachments are found when their message is read."""

import io

import pytest
from rich.console import Console
from rich.progress import Progress as Bar

from rostra.cli.progress import _BarView, ingest_progress
from rostra.ingest import Progress


def test_a_line_counts_by_the_runs_own_total(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rostra.cli.progress._LINE_EVERY_SECONDS", 0.0)
    with ingest_progress(44) as show:
        show(Progress(total=200, done=143, chunks=1943))
        show(Progress(total=200, done=200, chunks=2000))
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("143 of 200 files, 1943 chunks")
    assert "about -" not in first
    assert last.startswith("200 of 200 files")
    assert last.endswith("about 0 s left")


def test_a_bar_grows_with_the_runs_own_total() -> None:
    bar = Bar(console=Console(file=io.StringIO()))
    view = _BarView(bar, 44)
    (task,) = bar.tasks
    assert (task.completed, task.total) == (0, 44)
    view(Progress(total=200, done=143, chunks=1943))
    assert (task.completed, task.total) == (143, 200)
