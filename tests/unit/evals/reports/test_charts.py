"""Charts: where a number stands on its axis, and that nothing leaves the picture."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from evals.reports.charts import Bar, Panel, draw

Numbers = st.floats(-1e9, 1e9, allow_nan=False)
LEFT, RIGHT = 250.0, 580.0


def drawn(bars: list[Bar], *, signed: bool = False) -> etree._Element:
    return etree.fromstring(str(draw([Panel("measure", bars, signed)], "chart")))


def places(svg: etree._Element, tag: str, name: str) -> list[float]:
    return [float(one.get(name)) for one in svg.iter(tag) if one.get("class") != "grid"]


def test_shares_stand_between_0_and_1() -> None:
    svg = drawn([Bar("a", 0.5, 0.25, 0.75, "share"), Bar("b", 1.0, 0.9, 1.1, "share")])
    assert places(svg, "circle", "cx") == [(LEFT + RIGHT) / 2, RIGHT]
    assert places(svg, "line", "x1") == [332.5, 547.0]
    assert places(svg, "line", "x2") == [497.5, RIGHT]
    assert [one.text for one in svg.iter("text") if one.get("class") == "tick"] == [
        "0.0 %", "50.0 %", "100.0 %",
    ]  # fmt: skip


def test_a_label_says_of_how_many_samples_however_long_it_is() -> None:
    svg = drawn([Bar("ask", 0.5, n=8), Bar("x" * 100, 0.5, n=1234), Bar("bare", 0.5)])
    labels = [one.text for one in svg.iter("text") if one.get("class") == "label"]
    assert labels == ["ask (n 8)", "x" * 29 + "… (n 1,234)", "bare"]


def test_differences_stand_around_0() -> None:
    svg = drawn([Bar("a", -0.1, -0.2, 0.0)], signed=True)
    assert places(svg, "circle", "cx") == [LEFT + (RIGHT - LEFT) / 4]
    assert places(svg, "line", "x2") == [(LEFT + RIGHT) / 2]


@pytest.mark.parametrize(
    ("bar", "ticks"),
    [
        (Bar("bias", -0.31, -0.4, -0.2, "signed"), ["-1.0000", "0.0000", "1.0000"]),
        (Bar("bias", 0.31, 0.2, 0.4, "signed"), ["-1.0000", "0.0000", "1.0000"]),
        (Bar("gain", -3.0, -4.0, 1.0), ["-4.0000", "0.0000", "4.0000"]),
        (Bar("steps", 3.0, 2.0, 4.0), ["0.0000", "2.0000", "4.0000"]),
    ],
)
def test_what_may_be_below_0_has_0_in_the_middle(bar: Bar, ticks: list[str]) -> None:
    svg = drawn([bar])
    told = [one.text for one in svg.iter("text") if one.get("class") == "tick"]
    assert told == ticks


@given(st.lists(st.tuples(Numbers, Numbers, Numbers), min_size=1, max_size=5), st.booleans())
def test_nothing_leaves_the_picture(rows: list[tuple[float, float, float]], signed: bool) -> None:
    bars = [Bar("x", sorted(row)[1], sorted(row)[0], sorted(row)[2]) for row in rows]
    svg = drawn(bars, signed=signed)
    found = [*places(svg, "circle", "cx"), *places(svg, "line", "x1"), *places(svg, "line", "x2")]
    assert all(math.isfinite(x) and LEFT <= x <= RIGHT for x in found)
    height = float(svg.get("viewBox").split()[3])
    assert all(0 <= y <= height for y in places(svg, "circle", "cy"))


@given(st.text())
def test_labels_are_text(text: str) -> None:
    svg = drawn([Bar(text, 0.5)])
    assert {one.tag for one in svg.iter()} <= {"svg", "g", "text", "line", "circle"}
