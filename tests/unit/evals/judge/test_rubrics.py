"""The library of rubrics, and files that are none."""

import pytest

from evals.judge.rubrics import BrokenRubric, find_rubric, parse_rubric, rubrics

GOOD = """---
name: tone
version: 3
values: answer
verdicts: kind 1, rude 0
---
Is it kind?
"""


def test_the_library_is_whole() -> None:
    assert {"helpfulness", "correctness", "support", "relevance", "context", "pairwise"} <= set(
        rubrics()
    )
    for name, rubric in rubrics().items():
        assert rubric.name == name
        assert set(rubric.verdicts.values()) >= {0.0, 1.0}
        assert all(verdict in rubric.text for verdict in rubric.verdicts)


def test_a_rubric_is_read() -> None:
    rubric = parse_rubric(GOOD)
    assert (rubric.name, rubric.values, dict(rubric.verdicts), rubric.text) == (
        "tone",
        ("answer",),
        {"kind": 1.0, "rude": 0.0},
        "Is it kind?",
    )
    assert find_rubric(rubric) is rubric


@pytest.mark.parametrize(
    "change", [("kind?", "rude?"), ("rude 0", "rude 0.5"), ("values: answer", "values: text")]
)
def test_a_version_names_text_values_and_verdicts(change: tuple[str, str]) -> None:
    assert parse_rubric(GOOD).version.startswith("3.")
    assert parse_rubric(GOOD).version != parse_rubric(GOOD.replace(*change)).version


@pytest.mark.parametrize(
    "change",
    [
        ("---\nname", "name"),
        ("version: 3", "version: three"),
        ("version: 3\n", ""),
        ("name: tone", "name: tone\nname: tone"),
        ("kind 1, rude 0", "kind 1"),
        ("kind 1, rude 0", "kind 1, kind 0"),
        ("kind 1, rude 0", "kind, rude"),
        ("values: answer", "values: answer, answer"),
        ("values: answer", "values: An Answer"),
        ("Is it kind?\n", ""),
    ],
)
def test_what_is_no_rubric(change: tuple[str, str]) -> None:
    with pytest.raises(BrokenRubric):
        parse_rubric(GOOD.replace(*change))


def test_an_unknown_rubric() -> None:
    with pytest.raises(BrokenRubric, match="no rubric 'beauty'"):
        find_rubric("beauty")
