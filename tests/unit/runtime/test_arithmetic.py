"""Sums over the numbers of a task, as a pattern."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.agents.strategies.schemas import fitted
from rostra.runtime.arithmetic import arithmetic_of


def may(task: str, expression: str) -> bool:
    pattern = arithmetic_of(task)
    if pattern is None:
        return False
    schema = {"type": "string", "pattern": pattern}
    assert fitted({"type": "object", "properties": {"x": schema}})["properties"]["x"] == schema
    return re.search(pattern, expression) is not None


def sums(terms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    signs = st.sampled_from(["+", "-", "*", "/", "**"])
    joined = st.tuples(terms, signs, terms).map(" ".join)
    return joined | joined.map("({})".format)


@pytest.mark.parametrize(
    ("task", "expression"),
    [
        ("What is 1,600 times 8?", " 1600 * 8"),
        ("How much is 12.5% of 80?", "12.5 / 100 * 80"),
        ("Work out 7415 + 783.", " 7415 + 783"),
        ("Add 7415 and 783.", " 7415 + 783."),
        ("The mean of 3, 4 and 5", "mean(3, 4, 5)"),
        ("(3 + 4) * 2", "(3 + 4) * 2"),
        ("sqrt 2 plus 5", "sqrt(2) + 5"),
        ("-5 + 3", " -5 + 3"),
        ("What is ((3+4) × 2) ÷ 5?", " ((3 + 4) * 2) / 5"),
        ("2^10 =", "2 ** 10"),
        ("1,600 * 8,000", "1600 * 8000"),
        ("the root of 9 + 16", "sqrt(9 + 16)"),
        ("How many minutes are 3 + 4 days?", "(3 + 4) * 24 * 60"),
        ("Take 5 + 10% of 80", "5 + 10 / 100 * 80"),
        ("5 + 10%", "5 + 10 / 100"),
        ("is 3) + (4 a sum", "3 + 4"),
        ("RFC-10 + 3", "10 + 3"),
        ("3 days in minutes", " 3 * 24 * 60"),
    ],
)
def test_sums_of_its_numbers_can_be_written(task: str, expression: str) -> None:
    assert may(task, expression)


@pytest.mark.parametrize(
    "expression",
    ["4015 + 981", "4015 + 980 makes", "40150 + 980", "4015 980", "4015 +", "", " ", "abc(980)"],
)
def test_nothing_else_can(expression: str) -> None:
    assert not may("4015 plus 980 makes what?", expression)


@pytest.mark.parametrize(
    ("task", "expression"),
    [
        ("What comes out of 1110 * 160?", "1110 - 160"),
        ("What comes out of 1110 * 160?", "1110 * 160 * 160"),
        ("What comes out of 1110 * 160?", "160 * 1110"),
        ("What comes out of 1110 * 160?", "1110 * 160 * 2"),
        ("(3 + 4) * 2", "3 + 4 * 2"),
        ("2^10", "2 * 10"),
        ("2^10", "2 ** 10 ** 10"),
    ],
)
def test_a_sum_in_signs_stands_as_it_is_written(task: str, expression: str) -> None:
    assert not may(task, expression)


def test_a_task_without_numbers_has_no_sum() -> None:
    assert arithmetic_of("What is six times seven?") is None


@pytest.mark.parametrize(
    ("task", "expression"),
    [
        ("Add up:\n- 3\n- 4\n- 5", "3 + 4 + 5"),
        ("Years from 1990-2004", "2004 - 1990"),
        ("minus 5 + 3", "-5 + 3"),
        ("- 8 + 3", "-8 + 3"),
        ("−8 + 3", "-8 + 3"),
        ("√16 + 9", "sqrt(16) + 9"),
        ("sqrt(16) + 9", "sqrt(16) + 9"),
        ("mean of 3 + 4 + 5", "mean(3, 4, 5)"),
        ("50 + 10 percent", "50 + 10 / 100 * 50"),
        ("50 + 10 %", "50 + 10 / 100 * 50"),
        ("A hundred minus 3 * 4", "100 - 3 * 4"),
        ("half of 12 + 8", "(12 + 8) / 2"),
        ("days to 2024-01-15", "2024 - 15"),
        ("what (is 3 + 4)?", "3 + 4"),
        ("5 * 3 - x", "3 * 5"),
    ],
)
def test_what_may_be_another_sum_than_the_signs_say_is_left_open(
    task: str, expression: str
) -> None:
    assert may(task, expression)


@given(st.recursive(st.integers(0, 999).map(str), sums, max_leaves=12))
def test_a_sum_in_signs_can_be_written_as_it_is(written: str) -> None:
    assert len(arithmetic_of(written) or "") < 500
    assert len(written) > 120 or may(written, written)


def test_of_many_or_long_numbers_any_may_be_written_that_is_no_longer() -> None:
    for task in (" ".join(map(str, range(40))), "9" * 200):
        assert may(task, "123456 + 1.5")
        assert not may(task, "9" * 16)
        assert len(arithmetic_of(task) or "") < 500
    longest = " ".join(f"{at}2345678" for at in range(1, 9))
    assert len(arithmetic_of(longest) or "") < 500
