"""A run as a page gets it: bounded, in order, and equal to the report."""

import json
from dataclasses import replace

import msgspec
import pytest

from evals import (
    EvalTaskNotFound,
    baseline_of,
    render_html,
    report_of,
    run_report,
    run_view,
    sample_page,
)
from evals.core import Resumed
from evals.reports.data import ITEMS, TEXT, sample_view
from tests.unit.evals.reports.parts import HOSTILE, outcome, record


def test_a_view_says_what_the_report_says() -> None:
    run = record([outcome(0), outcome(1, right=None), outcome(2, failed="Error")])
    view = msgspec.to_builtins(run_view(run))
    report = report_of(run).to_dict()
    assert {name: view[name] for name in report} == report
    assert (view["seed"], view["device"], view["arguments"]) == (7, "here", {"data": ""})


def test_pages_make_up_the_whole_in_order() -> None:
    run = record([outcome(at) for at in range(25)])
    found = []
    for offset in range(0, 40, 10):
        page = sample_page(run, 0, limit=10, offset=offset)
        assert page.total == 25
        found += [one.id for one in page.items]
    assert found == [f"s{at}" for at in range(25)]


def test_worst_first() -> None:
    run = record(
        [
            outcome(0, right=1.0, steps=1),
            outcome(1, right=0.0, steps=9),
            outcome(2, right=1.0, steps=9),
            outcome(3, right=None),
            outcome(4, failed="Error"),
        ]
    )
    page = sample_page(run, 0, limit=9, order="worst")
    assert [one.id for one in page.items] == ["s4", "s3", "s1", "s2", "s0"]


def test_a_measure_without_direction_makes_nothing_worse() -> None:
    # `told` grows with the place; all else is equal, so the order of the set stays.
    run = record([outcome(at) for at in range(5)])
    assert [one.id for one in sample_page(run, 0, limit=9, order="worst").items] == [
        f"s{at}" for at in range(5)
    ]


@pytest.mark.parametrize("task", [-1, 1, 2**40])
def test_a_task_that_is_not_there_is_not_found(task: int) -> None:
    with pytest.raises(EvalTaskNotFound):
        sample_page(record([outcome(0)]), task, limit=1)


def test_a_sample_is_bounded_and_says_when_it_is_cut() -> None:
    whole = sample_view(outcome(0, text="short"))
    assert not whole.is_cut
    big = outcome(0, text="long " * 100_000)
    passages = list(big.state.passages) * 1000
    state = msgspec.structs.replace(big.state, passages=passages)
    view = sample_view(msgspec.structs.replace(big, state=state))
    assert view.is_cut
    assert len(view.passages) == ITEMS
    assert len(view.input) == TEXT
    assert len(msgspec.json.encode(view)) < 100_000


def test_the_json_report_has_the_comparison() -> None:
    run, old = record([outcome(at) for at in range(9)]), record([outcome(at) for at in range(9)])
    assert "comparisons" not in json.loads(run_report(run))
    told = json.loads(run_report(run, old))
    assert {one["measure"] for one in told["comparisons"]} >= {"right", "steps"}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_come_through_json_unchanged(text: str) -> None:
    run = record([outcome(0, text=text)])
    (item,) = msgspec.json.decode(msgspec.json.encode(sample_page(run, 0, limit=1)))["items"]
    assert item["output"] == "said" + text


def test_a_run_of_mixed_versions_says_so_wherever_it_is_read() -> None:
    run = record([outcome(0)])
    resumed = Resumed(at=run.header.begun, versions={"python": "3.12"}, device="there")
    mixed = replace(run, resumed=(resumed,))
    changed = {"python": ("3.11", "3.12"), "device": ("here", "there")}
    assert run_view(run).mixed == []
    assert run_view(mixed).mixed == [changed]
    assert report_of(mixed).mixed == (changed,)
    assert "Done with mixed versions" in render_html(mixed)
    assert "mixed versions" not in render_html(run)
    lines = baseline_of(mixed).splitlines()
    assert '"type":"resumed"' in lines[1]
