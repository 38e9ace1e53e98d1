"""The evaluation of schemas: cases, outcomes, and what counts as worse."""

import json
from pathlib import Path

import pytest

from evals.errors import DatasetError
from evals.schemas import evaluate_schemas, read_cases, worse


def write(path: Path, schema: object, *tests: tuple[object, bool]) -> None:
    body = {"schema": schema, "tests": [{"data": data, "valid": valid} for data, valid in tests]}
    path.write_text(json.dumps(body), encoding="utf-8")


def test_outcomes_tell_right_from_wrong(tmp_path: Path) -> None:
    two = {"type": "object", "properties": {"b": {"type": "integer"}, "a": {"type": "string"}}}
    write(tmp_path / "keys.json", two, ({"a": "x", "b": 1.0}, True), ({"a": 1}, False))
    write(tmp_path / "refused.json", {"uniqueItems": True}, ([], True))
    write(tmp_path / "nothing.json", False, (1, False))
    write(tmp_path / "layout.json", {"type": "number"}, (1e300, True), ("1", False))
    seen: list[int] = []
    report = evaluate_schemas(tmp_path, on_case=lambda done, total: seen.append(done))
    assert report.outcomes == {"keys": "VI", "layout": "vI", "nothing": "I", "refused": "-"}
    assert seen == [1, 2, 3, 4]
    scores = report.to_dict()
    assert (scores["accepted"], scores["refused"]) == (3, 1)
    assert (scores["valid_accepted"], scores["valid"]) == (1, 2)
    assert (scores["invalid_rejected"], scores["invalid"]) == (3, 3)
    assert scores["refused_for"] == {"uniqueItems": 1}


def test_suites_are_lists_of_cases(tmp_path: Path) -> None:
    (tmp_path / "suite.json").write_text('[{"schema": true, "tests": []}]')
    assert [case.name for case in read_cases(tmp_path)] == ["suite/0"]
    with pytest.raises(DatasetError, match="no schemas"):
        read_cases(tmp_path / "missing")


@pytest.mark.parametrize(
    ("before", "now", "is_worse"),
    [
        ("VI", "VI", False),
        ("Vi", "VI", False),
        ("VI", "Vi", True),
        ("VI", "-", True),
        ("-", "vi", False),
        ("V", None, True),
    ],
)
def test_what_counts_as_worse(before: str, now: str | None, is_worse: bool) -> None:
    assert list(worse({"a": before}, {} if now is None else {"a": now})) == ["a"] * is_worse
