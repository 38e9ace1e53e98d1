"""What `check` says of files and folders."""

import json
from pathlib import Path
from typing import Any

import pytest

from evals.errors import DatasetError
from evals.sets.checking import check_sets
from rostra.core import Settings


def write(path: Path, *records: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_a_file_is_counted_out(settings: Settings, tmp_path: Path) -> None:
    span = {"document": "d", "start": 0, "end": 1}
    path = write(
        tmp_path / "a.jsonl",
        {"question": "abc", "answers": ["x"], "spans": [span], "difficulty": "easy"},
        {"question": "ABC ", "gold": ["d"], "metadata": {"difficulty": "hard"}},
        {"question": "abcdef", "group": "g", "difficulty": "easy"},
        {"question": ""},
    )
    [found] = check_sets(path, settings)
    assert found.facts == {
        "questions": 3,
        "with answers": 1,
        "with gold documents": 2,
        "with spans": 1,
        "groups": 2,
        "largest group": 2,
        "median length of a question": 4,
    }
    assert found.values["difficulty"] == {"easy": 2, "hard": 1}
    assert [problem.count for problem in found.problems] == [1]
    assert found.warnings == (
        "1 questions ask the same as an earlier one",
        "of 1 questions nothing is known that an answer could be compared with",
        "1 questions have gold documents and no answer",
        "no question is unanswerable: abstaining is not measured",
    )
    assert not found.is_sound
    told = json.loads(json.dumps(found.to_dict()))
    assert (told["questions"], told["difficulty"]["easy"], told["error"]) == (3, 2, "")
    assert told["problems"][0]["examples"] == ["a.jsonl, line 4"]


def test_a_folder_is_looked_through(settings: Settings, tmp_path: Path) -> None:
    write(tmp_path / "good.jsonl", {"question": "a", "unanswerable": True})
    write(tmp_path / "empty.jsonl")
    (tmp_path / "table.csv").write_text("question,answers\na,b\n")
    (tmp_path / "notes.txt").write_text("nothing")
    judged = tmp_path / "judged"
    write(judged / "corpus.jsonl", {"_id": "d", "text": "t"})
    write(judged / "queries.jsonl", {"_id": "q", "text": "t"}, {"_id": "r"})
    (judged / "qrels.tsv").write_text("q\td\t1\n")
    found = {one.path.name: one for one in check_sets(tmp_path, settings)}
    assert {name: (one.format, one.is_sound) for name, one in found.items()} == {
        "good.jsonl": ("jsonl", True),
        "empty.jsonl": ("jsonl", False),
        "table.csv": ("csv", True),
        "judged": ("beir", False),
    }
    assert "no sample" in found["empty.jsonl"].error
    assert found["judged"].facts == {"questions": 1, "judgements": 1, "documents": 1}
    assert check_sets(judged, settings)[0].facts == found["judged"].facts


def test_a_judged_set_is_told_of_as_a_run_does(settings: Settings, tmp_path: Path) -> None:
    write(
        tmp_path / "corpus.jsonl",
        {"_id": "d", "text": "t"},
        {"_id": "d", "text": "again"},
        {"text": "of nobody"},
        {"_id": "empty", "text": " "},
    )
    write(tmp_path / "queries.jsonl", {"_id": "q", "text": "t"})
    (tmp_path / "qrels.tsv").write_text("q\td\t1\nq\tgone\t1\n")
    [found] = check_sets(tmp_path, settings)
    assert found.facts == {"questions": 1, "judgements": 2, "documents": 1}
    assert {one.reason: one.count for one in found.problems} == {
        "a document that was not taken in: duplicate_name": 1,
        "a document that was not taken in: bad_record": 1,
        "a document that was not taken in: no_text": 1,
        "a judgement of a document that is not in the corpus: it stays, as missed": 1,
    }
    assert not found.is_sound
    (tmp_path / "corpus.jsonl").write_text("")
    [found] = check_sets(tmp_path, settings)
    assert "no document" in found.error


def test_folders_of_questions_and_documents_are_read_together(
    settings: Settings, tmp_path: Path
) -> None:
    write(tmp_path / "plain" / "corpus.jsonl", {"_id": "d", "title": "", "text": "It is blue."})
    span = {"document": "d", "quote": "blue"}
    write(
        tmp_path / "plain" / "questions.jsonl",
        {"question": "What?", "answers": ["blue"], "spans": [span]},
        {"question": "What now?", "spans": [span | {"quote": "red"}]},
    )
    passage = {"title": "T", "text": "It is red.", "sentences": ["It is red."]}
    output = [{"answer": "red", "selected_sentences": ["It is red."]}]
    record = {"id": "1", "input": "What?", "passages": [passage], "output": output}
    write(tmp_path / "annotated" / "answerable.jsonl", record)
    none = [{"answer": "", "selected_sentences": []}]
    write(tmp_path / "annotated" / "unanswerable.jsonl", record | {"id": "2", "output": none})
    annotated, plain = check_sets(tmp_path, settings)
    assert (plain.format, plain.facts["documents"], plain.facts["with spans"]) == (
        "qa",
        1,
        1,
    )
    assert [problem.count for problem in plain.problems] == [1]
    assert (annotated.facts["questions"], annotated.facts["unanswerable"]) == (2, 1)


def test_where_there_is_no_set_it_says_so(settings: Settings, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(DatasetError):
            check_sets(path, settings)
