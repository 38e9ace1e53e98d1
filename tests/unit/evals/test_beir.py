"""Judged sets: what is read, what is counted with its line, and what is refused."""

import json
from pathlib import Path

import pytest

from evals import DatasetError, Problem, find_sets, read_judged_set
from evals.beir import judged_samples


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
        ("queries.jsonl", '{"_id": "q1"}\n', "1: a query without a text .queries.jsonl, line 1"),
        ("queries.jsonl", "{broken\n", "no JSON .queries.jsonl, line 1"),
        ("queries.jsonl", b'{"_id": "q1", "text": "caf\xe9"}\n', "no JSON .queries.jsonl, line 1"),
        ("queries.jsonl", '\n["q1"]\n', "no JSON object .queries.jsonl, line 2"),
        ("queries.jsonl", '{"_id": "q9", "text": "x"}\n', "judged query without a text .q1"),
        ("qrels.tsv", "query-id\tcorpus-id\tscore\nq1\td1\n", "line 2"),
        ("qrels.tsv", "query-id\tcorpus-id\tscore\nq1\td1\tmuch\n", "line 2"),
        ("qrels.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t0\n", "no query"),
    ],
)
def test_a_set_of_which_nothing_is_left_is_refused(
    judged: Path, file: str, text: str | bytes, reason: str
) -> None:
    (judged / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DatasetError, match=reason):
        read_judged_set(judged)


def test_a_missing_file_is_named(judged: Path) -> None:
    (judged / "qrels.tsv").unlink()
    with pytest.raises(DatasetError, match=r"qrels\.tsv"):
        read_judged_set(judged)


def test_lines_that_cannot_be_used_cost_themselves_alone_and_are_counted(judged: Path) -> None:
    with (judged / "queries.jsonl").open("a") as file:
        file.write('\n{broken\n{"_id": "q1", "text": "again"}\n{"text": "x"}\n{"_id": "q3"}\n')
        file.write('{"_id": 4, "text": "numbers are ids too"}\n')
    with (judged / "qrels.tsv").open("a") as file:
        file.write("q1\td1\nq1\td1\t1\nq3\td1\t1\n4\td1\t1\n4\tgone\t1\n")
    found = read_judged_set(judged)
    assert found.queries == {"q1": "pump", "4": "numbers are ids too"}
    assert found.relevant == {"q1": {"d1": 2}, "4": {"d1": 1, "gone": 1}}
    assert {one.reason: (one.count, one.examples) for one in found.problems} == {
        "a line that is no JSON": (1, ["queries.jsonl, line 3"]),
        "a query with the _id of an earlier one": (1, ["queries.jsonl, line 4"]),
        "a query without an _id": (1, ["queries.jsonl, line 5"]),
        "a query without a text": (1, ["queries.jsonl, line 6"]),
        "a line that is not query-id, corpus-id, score": (1, ["qrels.tsv, line 4"]),
        "a document judged again for its query: the first one counts": (1, ["qrels.tsv, line 5"]),
        "a judged query without a text": (1, ["q3"]),
        "a query without a relevant document": (1, ["q2"]),
    }


def test_judgements_of_unknown_documents_are_counted_and_stay(judged: Path) -> None:
    (judged / "qrels.tsv").write_text("q1\td1\t1\nq1\tgone\t1\nq2\tlost\t1\n")
    lost = Problem("a document that was not taken in: bad_record", 1, ["corpus#line=2"])
    dataset = judged_samples(read_judged_set(judged), ["d1"], [lost])
    assert [sample.data["relevant"] for sample in dataset.samples] == [
        {"d1": 1, "gone": 1},
        {"lost": 1},
    ]
    assert [sample.group for sample in dataset.samples] == ["", ""]
    assert [(one.count, one.examples) for one in dataset.problems] == [
        (1, ["corpus#line=2"]),
        (2, ["query q1, document gone", "query q2, document lost"]),
    ]


def test_a_corpus_without_a_document_is_refused(judged: Path) -> None:
    with pytest.raises(DatasetError, match="no document"):
        judged_samples(read_judged_set(judged), [], [])
