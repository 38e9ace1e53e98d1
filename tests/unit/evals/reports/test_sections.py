"""What a run says beside its tasks: by kind, from the record, in every report."""

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from evals import RunRecord, compare_systems, render_html, run_report, run_view, sections_of
from evals.reports import sections
from tests.unit.evals.reports.parts import HOSTILE, outcome, record


def of_kind(kind: str, found: RunRecord) -> RunRecord:
    return replace(found, header=msgspec.structs.replace(found.header, kind=kind))


def systems(text: str = "", names: tuple[str, ...] = ("a", "b", "c")) -> RunRecord:
    """Systems of which each is right once more than the one before."""
    outcomes = [
        outcome(at, right=float(at >= 5 - task), task=task)
        for at in range(30)
        for task in range(len(names))
    ]
    return of_kind("retrieval", record(outcomes, systems=[name + text for name in names]))


def test_most_kinds_say_nothing() -> None:
    found = record([outcome(0)])
    assert sections_of(found) == ()
    assert run_view(found).sections == []
    assert "systems compared" not in render_html(of_kind("retrieval", found))


def test_systems_beside_each_other() -> None:
    found = systems()
    (section,) = sections_of(found)
    assert section.title == "systems compared"
    assert [row[1] for row in section.rows] == ["b - a", "c - a", "c - b"]
    assert {row[2] for row in section.rows} == {"right"}
    compared = [one.to_dict() for one in compare_systems(found, seed=found.header.seed)]
    assert list(section.data) == compared
    assert [row[6:9] for row in section.rows] == [(1, 0, 29), (2, 0, 28), (1, 0, 29)]
    # Of twelve, three in which a sample differs: the others are adjusted for nothing.
    assert len(compared) == 12
    assert "after Holm for 3 comparisons" in section.notes[0]


def test_json_and_api_have_them() -> None:
    found = systems()
    told: dict[str, Any] = json.loads(run_report(found))
    assert told["sections"] == [one.to_dict() for one in sections_of(found)]
    assert msgspec.to_builtins(run_view(found).sections) == told["sections"]


def test_the_page_compares_few_systems_by_all_measures_and_many_by_one() -> None:
    few, many = render_html(systems()), render_html(systems(names=tuple("abcdefghi")))
    assert "Systems against each other" in few
    assert "systems compared" not in few
    assert "systems compared" in many
    assert "i - a" in many
    assert "With so many systems" not in many


def test_too_many_to_compare_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sections, "_MOST_PAIRS", 2)
    (section,) = sections_of(systems())
    assert section.rows == ((3,),)
    assert "rostra eval compare RUN" in section.notes[0]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_stay_text(text: str) -> None:
    page = render_html(systems(text, names=tuple("abcdefghi")))
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "\u202e" not in page
