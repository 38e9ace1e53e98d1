"""The index of a run's file: it says what the whole file says, however the file came about."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals import EvalRunBroken, EvalRunNotFound, RunShelf, read_run, run_view, sample_page
from evals.core import Outcome
from evals.reports.index import RunIndex
from evals.reports.listing import summarise
from tests.unit.evals.reports.parts import outcome, record, write

END = b'{"type":"end","at":"2026-01-02T03:05:00Z"}\n'
HEAD = msgspec.json.encode(record([outcome(9), outcome(9, task=1)], systems=("a", "b")).header)
ONE = st.builds(
    outcome,
    st.integers(0, 9),
    task=st.integers(0, 1),
    repeat=st.integers(0, 2),
    right=st.sampled_from([None, 0.0, 0.5, 1.0]),
    failed=st.sampled_from(["", "", "Error"]),
)


def line(one: Outcome) -> bytes:
    return msgspec.json.encode(one) + b"\n"


@settings(deadline=None, max_examples=40)
@given(pieces=st.lists(st.tuples(st.lists(ONE, max_size=6), st.booleans(), st.integers(0, 30))))
def test_a_file_that_grows_is_what_it_would_be_read_anew(
    pieces: list[tuple[list[Outcome], bool, int]],
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "run.jsonl")
        path.write_bytes(HEAD + b"\n")
        index = RunIndex(path)
        shelf = RunShelf()
        for outcomes, ends, torn in pieces:
            whole = b"".join(map(line, outcomes)) + (END if ends else b"")
            with path.open("ab") as file:
                file.write(whole + line(outcome(0))[:torn])
            index.refresh()
            found = read_run(path)
            assert index.is_complete == found.is_complete
            assert index.done == len(found.outcomes)
            for task in (0, 1):
                own = [one for one in found.outcomes if one.task == task]
                assert index.read(task, index.places(task)) == own
                for order in ("set", "worst"):
                    page = sample_page(found, task, limit=7, offset=2, order=order)
                    assert shelf.samples(path, task, limit=7, offset=2, order=order) == page
            # Going on drops what was torn.
            with path.open("ab") as file:
                file.truncate(path.stat().st_size - torn)


def test_a_file_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    path = write(tmp_path, record([outcome(at) for at in range(4)]))
    index = RunIndex(path)
    assert index.count(0) == 4
    for count in (2, 7):
        path.unlink()
        write(tmp_path, record([outcome(at, output="other") for at in range(count)]))
        index.refresh()
        assert index.count(0) == count
        assert index.read(0, index.places(0))[0].state.output == "other"
    path.unlink()
    with pytest.raises(EvalRunNotFound):
        index.refresh()
    with pytest.raises(EvalRunNotFound):
        RunIndex(path)


@pytest.mark.parametrize(
    "wrong", [b"nonsense\n", b"\n", line(outcome(0, task=2)), HEAD + b"\n", b'{"type":"sample"}\n']
)
def test_a_line_that_is_none_is_told(tmp_path: Path, wrong: bytes) -> None:
    path = write(tmp_path, record([outcome(0)]))
    with path.open("ab") as file:
        file.write(wrong)
    with pytest.raises(EvalRunBroken, match="line 4"):
        RunIndex(path)
    with pytest.raises(EvalRunBroken, match="line 4"):
        read_run(path)


def test_a_file_that_something_else_wrote_is_read_as_well(tmp_path: Path) -> None:
    path = write(tmp_path, record([outcome(at, repeat=1) for at in range(3)]))
    read = [json.loads(one) for one in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(dict(reversed(one.items()))) + "\n" for one in read))
    index = RunIndex(path)
    assert index.is_complete
    assert index.read(0, index.places(0)) == list(read_run(path).outcomes)
    assert (summarise(path).done, summarise(path).complete) == (3, True)


def test_reports_are_computed_once_and_without_the_long_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, record([outcome(at, right=float(at > 1)) for at in range(5)]))
    shelf = RunShelf()
    view = shelf.view(path)
    assert view == run_view(read_run(path))
    assert shelf.view(path) is view
    with path.open("ab") as file:
        file.write(line(outcome(1, right=1.0)))
    assert shelf.view(path) == run_view(read_run(path)) != view
    short = read_run(path, texts=False).outcomes[0].state
    assert [one.text for one in short.passages] == [""]
    assert [one.document for one in short.passages] == ["doc "]
