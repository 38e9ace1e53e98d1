"""The list of runs: right about each, whatever lies there, and never a path of the caller's."""

import fcntl
from pathlib import Path

import pytest

from evals import (
    EvalRunConflict,
    EvalRunNotFound,
    Task,
    baseline_of,
    delete_run,
    list_summaries,
    newest_of,
    read_run,
    runs_folder,
    stored_run,
)
from evals.reports.listing import summarise
from rostra.core import Settings
from tests.eval_parts import Echo, Same, numbers, run
from tests.unit.evals.reports.parts import outcome, record, write


async def test_a_summary_is_what_the_whole_file_says(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    tasks = [Task(numbers(7), Echo("a"), [Same()]), Task(numbers(7), Echo("b"), [Same()])]
    await run(path, tasks)
    whole, told = read_run(path), summarise(path)
    assert (told.kind, told.begun) == (whole.header.kind, whole.header.begun)
    assert (told.samples, told.done, told.complete) == (14, 14, True)
    assert told.tasks == [task.name for task in whole.header.tasks]
    assert told.bytes == path.stat().st_size


def test_runs_that_were_killed_or_gone_on_with_are_counted_right(tmp_path: Path) -> None:
    path = write(tmp_path, record([outcome(at) for at in range(5)]))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]) + b'{"type":"sample","torn')
    assert (summarise(path).done, summarise(path).complete) == (3, False)
    # Complete, then begun again to retry what failed.
    path.write_bytes(b"".join(lines) + lines[1])
    assert (summarise(path).done, summarise(path).complete) == (5, False)
    path.write_bytes(b"".join(lines) + lines[1] + lines[-1])
    assert (summarise(path).done, summarise(path).complete) == (5, True)


def test_samples_that_were_done_again_count_once(tmp_path: Path) -> None:
    path = write(tmp_path, record([outcome(at) for at in range(5)], is_complete=False))
    lines = path.read_bytes().splitlines(keepends=True)
    # Three were done, two of them failed and were tried again, then it was killed.
    path.write_bytes(b"".join([*lines[:4], lines[2], lines[3]]))
    assert (summarise(path).done, summarise(path).samples) == (3, 5)
    assert not summarise(path).complete


def test_a_damaged_line_is_told_in_the_list(tmp_path: Path) -> None:
    path = write(tmp_path, record([outcome(at) for at in range(3)], is_complete=False))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"nonsense\n", *lines[2:]]))
    assert "line 3" in summarise(path).problem


def test_what_is_no_run_is_listed_with_its_problem(settings: Settings) -> None:
    folder = runs_folder(settings)
    write(folder, record([outcome(0)], run="20260101-a"))
    (folder / "20260102-b.jsonl").write_bytes(b"\xff\x00 nonsense")
    (folder / "20260103-c.jsonl").write_bytes(b"")
    (folder / "20260104-d.jsonl").mkdir()
    items, total = list_summaries(settings)
    assert total == 4
    assert [bool(item.problem) for item in items] == [True, True, True, False]
    assert [item.id for item in list_summaries(settings, kind="test")[0]] == ["20260101-a"]


def test_pages_of_the_list(settings: Settings) -> None:
    for number in range(7):
        write(runs_folder(settings), record([outcome(0)], run=f"2026010{number}"))
    first, total = list_summaries(settings, limit=3)
    second, _ = list_summaries(settings, limit=3, offset=3)
    assert total == 7
    assert [one.id[-1] for one in (*first, *second)] == list("654321")


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "..", "", "2026", "2026.jsonl", "*", "latest", "\0"]
)
def test_only_whole_ids_lead_to_files(settings: Settings, name: str) -> None:
    folder = runs_folder(settings)
    write(folder, record([outcome(0)], run="20260101"))
    write(folder.parent, record([outcome(0)], run="secret"))
    assert stored_run(settings, "20260101") == folder / "20260101.jsonl"
    with pytest.raises(EvalRunNotFound):
        stored_run(settings, name)


def test_the_newest_of_a_kind_is_not_the_baseline_itself(settings: Settings) -> None:
    folder = runs_folder(settings)
    old = write(folder, record([outcome(0)], run="20260101"))
    with pytest.raises(EvalRunNotFound, match="beside the baseline"):
        newest_of(settings, "test", but=old)
    new = write(folder, record([outcome(0)], run="20260102"))
    write(folder, record([outcome(0)], run="20260103", text="other"))
    assert newest_of(settings, "test", but=old) == new
    assert newest_of(settings, "test", but=new) == old
    # A run over something else can say nothing of it.
    write(folder, record([outcome(0)], run="20260104", dataset="another"))
    assert newest_of(settings, "test", but=old) == new
    # A baseline that lies elsewhere is the run that it was made from.
    kept = folder.parent / "baseline.jsonl"
    kept.write_text(baseline_of(read_run(new)))
    assert newest_of(settings, "test", but=kept) == old


def test_a_run_that_is_written_is_not_deleted(tmp_path: Path) -> None:
    path = write(tmp_path, record([outcome(0)]))
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(EvalRunConflict):
            delete_run(path)
    delete_run(path)
    with pytest.raises(EvalRunNotFound):
        delete_run(path)
