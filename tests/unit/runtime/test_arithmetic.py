"""Sums over the numbers of a task, as a pattern."""

import re

import pytest

from rostra.runtime.arithmetic import arithmetic_of


def may(task: str, expression: str) -> bool:
    pattern = arithmetic_of(task)
    return pattern is not None and re.search(pattern, expression) is not None


@pytest.mark.parametrize(
    ("task", "expression"),
    [
        ("What is 1,600 times 8?", " 1600 * 8"),
        ("How much is 12.5% of 80?", "12.5 / 100 * 80"),
        ("Work out 7415 + 783.", " 7415 + 783."),
        ("The mean of 3, 4 and 5", "mean(3, 4, 5)"),
        ("(3 + 4) * 2", "(3 + 4) * 2"),
        ("sqrt 2 plus 5", "sqrt(2) + 5"),
        ("-5 + 3", " -5 + 3"),
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


def test_a_task_without_numbers_has_no_sum() -> None:
    assert arithmetic_of("What is six times seven?") is None


def test_of_many_or_long_numbers_any_may_be_written_that_is_no_longer() -> None:
    for task in (" ".join(map(str, range(40))), "9" * 200):
        assert may(task, "123456 + 1.5")
        assert not may(task, "9" * 16)
        assert len(arithmetic_of(task) or "") < 500
    longest = " ".join(f"{at}2345678" for at in range(1, 9))
    assert len(arithmetic_of(longest) or "") < 500
