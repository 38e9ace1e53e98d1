"""Progress where no bar can be drawn: a line now and then, with the time that is left."""

import pytest

from rostra.cli import bars
from rostra.ingest import Progress


def test_lines_take_the_place_of_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(bars.time, "monotonic", lambda: now)
    with bars.bar() as shown:
        task = shown.add_task("fiqa: ingest", total=None)
        for done in range(1, 45):
            now += 1.0
            bars.advance(shown, task, Progress(done=done, total=100, chunks=2 * done))
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "fiqa: ingest: 10 of 100, about 90 s left",
        "fiqa: ingest: 20 of 100, about 80 s left",
        "fiqa: ingest: 30 of 100, about 70 s left",
        "fiqa: ingest: 40 of 100, about 60 s left",
    ]


def test_what_is_soon_done_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with bars.bar() as shown:
        task = shown.add_task("schemas", total=None)
        for done in range(50):
            bars.show(shown, task, done, 50)
    assert capsys.readouterr().err == ""
