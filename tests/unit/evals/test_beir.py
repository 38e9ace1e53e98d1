"""Judged sets: what is read, and what is refused with its line."""

import json
from pathlib import Path

import pytest

from evals import DatasetError, find_sets, read_judged_set


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    folder = tmp_path / "pumps"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text('{"_id": "d1", "title": "", "text": "a pump"}\n')
    queries = [{"_id": "q1", "text": "pump"}, {"_id": "q2", "text": "valve"}]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\nq2\td1\t0\n")
    return folder


def test_queries_without_a_relevant_document_are_left_out(judged: Path) -> None:
    found = read_judged_set(judged)
    assert found.queries == {"q1": "pump"}
    assert found.relevant == {"q1": {"d1": 2}}
    assert found.name == "pumps"


def test_sets_are_found_at_a_folder_or_below_it(judged: Path) -> None:
    assert find_sets(judged) == [judged]
    assert find_sets(judged.parent) == [judged]
    with pytest.raises(DatasetError, match="no judged set"):
        find_sets(judged / "nowhere")


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("queries.jsonl", '{"_id": "q1"}\n', "line 1"),
        ("queries.jsonl", "{broken\n", "line 1"),
        ("queries.jsonl", b'{"_id": "q1", "text": "caf\xe9"}\n', "line 1"),
        ("queries.jsonl", '\n["q1"]\n', "line 2"),
        ("queries.jsonl", '{"_id": "q9", "text": "x"}\n', "judged queries have no text"),
        ("qrels.tsv", "query-id\tcorpus-id\tscore\nq1\td1\n", "line 2"),
        ("qrels.tsv", "query-id\tcorpus-id\tscore\nq1\td1\tmuch\n", "line 2"),
        ("qrels.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t0\n", "no query"),
    ],
)
def test_what_is_wrong_is_named(judged: Path, file: str, text: str | bytes, reason: str) -> None:
    (judged / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DatasetError, match=reason):
        read_judged_set(judged)


def test_a_missing_file_is_named(judged: Path) -> None:
    (judged / "qrels.tsv").unlink()
    with pytest.raises(DatasetError, match=r"qrels\.tsv"):
        read_judged_set(judged)
