"""The journal: whole after a torn line, refused when it is another's."""

from pathlib import Path
from typing import Any

import pytest

from evals.core.states import Usage
from evals.sets.errors import SetBroken, SetConflict
from evals.sets.synthetic.journal import Attempt, Header, Journal


def header(**changed: Any) -> Header:
    facts: dict[str, Any] = {
        "collection": "docs",
        "collection_id": "1",
        "generation": 3,
        "model": "m",
        "prompt": "p",
        "seed": 0,
        "options": {"k": 10, "two": 0.2},
    }
    return Header(**facts | changed)


def attempt(number: int, **changed: Any) -> Attempt:
    return Attempt(number=number, turn=number, kind="single fact", **changed)


KEPT = attempt(0, record={"question": "Wh\u00e9n?"}, usage=Usage(prompt_tokens=3))
LEFT = attempt(1, dropped="no JSON object", detail="{")


def test_what_was_written_is_read_again_and_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with Journal(path, header()) as journal:
        journal.append(KEPT)
        journal.append(LEFT)
    with Journal(path, header()) as journal:
        assert journal.attempts == [KEPT, LEFT]
        assert journal.records == [{"question": "Wh\u00e9n?"}]
        journal.append(attempt(2))
    with Journal(path, header()) as journal:
        assert [one.number for one in journal.attempts] == [0, 1, 2]
    assert path.stat().st_mode & 0o077 == 0


def test_wherever_it_was_torn_whole_lines_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with Journal(path, header()) as journal:
        journal.append(KEPT)
        journal.append(LEFT)
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        lines = data[:length].count(b"\n")
        with Journal(path, header()) as journal:
            assert journal.attempts == [KEPT, LEFT][: max(0, lines - 1)]
            journal.append(LEFT)
        with Journal(path, header()) as journal:
            assert journal.attempts[-1] == LEFT


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"generation": 4}, "state of the collection"),
        ({"model": "n"}, "model"),
        ({"prompt": "q"}, "prompt"),
        ({"seed": 1}, "seed"),
        ({"options": {"k": 5, "two": 0.2}}, "options"),
    ],
)
def test_another_making_is_refused(tmp_path: Path, changed: dict[str, Any], name: str) -> None:
    path = tmp_path / "a.log"
    with Journal(path, header()) as journal:
        journal.append(KEPT)
    before = path.read_bytes()
    with pytest.raises(SetConflict, match=f"another {name}"):
        Journal(path, header(**changed))
    assert path.read_bytes() == before


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with Journal(path, header()), pytest.raises(SetConflict, match="another process"):
        Journal(path, header())


@pytest.mark.parametrize("text", ["what I wrote", "[1]\n", '{"type":"attempt"}\n', "\n\n"])
def test_other_files_are_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.log"
    path.write_text(text)
    with pytest.raises(SetBroken):
        Journal(path, header())
    assert path.read_text() == text


def test_damage_inside_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with Journal(path, header()) as journal:
        journal.append(KEPT)
        journal.append(LEFT)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"{damaged}\n" + lines[2])
    with pytest.raises(SetBroken, match="line 2"):
        Journal(path, header())
    path.write_bytes(lines[0] + lines[0] + lines[2])
    with pytest.raises(SetBroken, match="line 2: not in its place"):
        Journal(path, header())
