"""Sets of pairs: three layouts, their bad records counted, people measured against each other."""

import json
from pathlib import Path
from typing import Any

import pytest

from evals.errors import DatasetError
from evals.judge.agreement import agreement_among_people
from evals.judge.pairs import pair_of
from evals.judge.sets import read_pair_sets

DATA = Path(__file__).parents[5] / "shared" / "data" / "judge"

needs_llmbar = pytest.mark.skipif(not (DATA / "llmbar").is_dir(), reason=f"no {DATA / 'llmbar'}")
needs_pandalm = pytest.mark.skipif(not (DATA / "pandalm").is_dir(), reason=f"no {DATA / 'pandalm'}")

LLMBAR = {"input": "Say hi.", "output_1": "hi", "output_2": "no", "label": 1}
PANDALM = {
    "idx": 9,
    "cmp_key": "llama-7b_opt-7b",
    "instruction": "Add.",
    "input": "2 and 3",
    "response1": "5",
    "response2": "6",
    "annotator1": 1,
    "annotator2": 1,
    "annotator3": 0,
}
PLAIN = {"id": "a", "question": "Say hi.", "first": "hi", "second": "no", "label": "first"}


def write(path: Path, records: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in records))
    else:
        path.write_text(json.dumps(records))
    return path


def problems(path: Path) -> dict[str, int]:
    (found,) = read_pair_sets(path)
    return {problem.reason: problem.count for problem in found.dataset.problems}


def test_llmbar(tmp_path: Path) -> None:
    path = write(tmp_path / "dataset.json", [LLMBAR, {**LLMBAR, "input": "Bye.", "label": 2}])
    (found,) = read_pair_sets(tmp_path)
    one, other = map(pair_of, found.dataset.samples)
    assert (one.question, one.first, one.second, one.label) == ("Say hi.", "hi", "no", "first")
    assert other.label == "second"
    assert one.group != other.group
    assert found.folder == path.parent


def test_pandalm(tmp_path: Path) -> None:
    write(tmp_path / "testset-v1.json", [PANDALM, {**PANDALM, "idx": 10, "response1": True}])
    (found,) = read_pair_sets(tmp_path / "testset-v1.json")
    one, other = map(pair_of, found.dataset.samples)
    assert (one.id, one.question) == ("9", "Add.\n\n2 and 3")
    assert one.labels == ["first", "first", "tie"]
    assert one.label == "first"
    assert one.systems == ["llama-7b", "opt-7b"]
    assert one.by("llama") == "first"
    assert one.by("opt") == "second"
    assert one.by("bloom") == "tie"
    assert other.first == "True"
    assert one.group == other.group


def test_plain_lines(tmp_path: Path) -> None:
    many = {"question": "q", "first": "", "second": "x", "labels": ["tie", None], "group": "g",
            "systems": ["a", "b"]}  # fmt: skip
    (found,) = read_pair_sets(write(tmp_path / "mine.jsonl", [PLAIN, "", many]))
    assert found.dataset.name == "mine"
    one, other = map(pair_of, found.dataset.samples)
    assert (one.id, one.label) == ("a", "first")
    assert (other.id, other.label, other.labels, other.group) == ("1", "tie", ["tie", None], "g")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"question": None}, "no question"),
        ({"question": "  "}, "question is empty"),
        ({"first": 5}, "no first"),
        ({"first": "", "second": " "}, "both answers are empty"),
        ({"label": "maybe"}, "a label is not first, second or tie"),
        ({"label": 1}, "a label is not first, second or tie"),
        ({"label": None}, "no label"),
        ({"labels": "first"}, "labels are no list of at most 50"),
        ({"labels": ["first"] * 51}, "labels are no list of at most 50"),
        ({"labels": [["first"]]}, "a label is not first, second or tie"),
        ({"systems": ["one"]}, "systems are not two names"),
        ({"systems": [1, 2]}, "systems are not two names"),
        ({"id": ["x"]}, "id or group is no text"),
        ({"group": 4}, "id or group is no text"),
    ],
)
def test_records_that_cannot_be_used_are_counted(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    bad = {**PLAIN, "id": "b", **change}
    path = write(tmp_path / "mine.jsonl", [PLAIN, bad, bad])
    assert problems(path) == {reason: 2}


def test_what_is_no_record_and_what_comes_twice(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.jsonl", [PLAIN, PLAIN, "{broken", "[1]", "5", "nul"])
    assert problems(path) == {
        "no JSON": 2,
        "no object": 2,
        "an id that another sample has": 1,
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"label": 3}, "a label is not one of 1, 2"),
        ({"label": True}, "a label is not one of 1, 2"),
        ({"label": "first"}, "a label is not one of 1, 2"),
        ({"input": None}, "no input"),
        ({"output_2": None}, "no output_2"),
    ],
)
def test_bad_records_of_llmbar(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    path = write(tmp_path / "dataset.json", [LLMBAR, {**LLMBAR, **change}])
    assert problems(path) == {reason: 1}


def test_lone_surrogates_do_not_break_the_log(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text(json.dumps({**PLAIN, "first": "\ud800"}))
    (found,) = read_pair_sets(tmp_path)
    assert found.dataset.samples[0].data["first"] == "?"


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"dataset.json": "[]"},
        {"dataset.json": "{}"},
        {"dataset.json": "[" * 100_000},
        {"dataset.json": '[{"input": "x"}]'},
        {"mine.jsonl": ""},
    ],
)
def test_nothing_that_can_be_used(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError):
        read_pair_sets(tmp_path)


def test_a_place_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError):
        read_pair_sets(tmp_path / "nowhere")


def test_sets_are_told_apart(tmp_path: Path) -> None:
    for folder in ("a/x/y", "b/x/y", "a/z"):
        write(tmp_path / folder / "dataset.json", [LLMBAR])
    write(tmp_path / "a/x/y/evaluators/M/P/lines.jsonl", [PLAIN])  # a recording, no set
    assert [found.dataset.name for found in read_pair_sets(tmp_path)] == ["a/x/y", "a/z", "b/x/y"]


@needs_llmbar
def test_llmbar_as_it_was_published() -> None:
    found = {one.dataset.name: one.dataset for one in read_pair_sets(DATA / "llmbar")}
    assert {name: len(dataset.samples) for name, dataset in found.items()} == {
        "CaseStudy/Base_10": 54,
        "CaseStudy/Base_9": 54,
        "CaseStudy/Constraint": 89,
        "CaseStudy/Negation": 59,
        "CaseStudy/Normal": 59,
        "LLMBar/Natural": 100,
        "Processed/FairEval": 66,
        "Processed/LLMEval^2": 200,
        "Processed/MT-Bench": 200,
    }
    assert not any(dataset.problems for dataset in found.values())


@needs_pandalm
def test_people_agree_on_pandalm_as_published() -> None:
    (found,) = read_pair_sets(DATA / "pandalm")
    assert len(found.dataset.samples) == 999
    assert found.dataset.problems == ()
    people = agreement_among_people(found.dataset.samples, seed=0)
    assert people.annotators == 3
    assert {pair: round(kappa or 0, 2) for pair, kappa in people.kappas.items()} == {
        "1-2": 0.85,
        "1-3": 0.88,
        "2-3": 0.86,
    }
    assert all(0.85 <= (kappa or 0) <= 0.88 for kappa in people.kappas.values())
    assert people.agreed.kappa is not None
    assert people.agreed.kappa.value == pytest.approx(0.864, abs=0.001)
    assert people.agreed.alpha is not None
    assert people.agreed.alpha.value == pytest.approx(0.864, abs=0.001)
    assert people.agreed.low is not None
    assert 0.8 < people.agreed.low < 0.864
