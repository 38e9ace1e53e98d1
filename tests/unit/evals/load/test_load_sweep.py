"""Which rates are tried, and which one is said to hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.load.sweep import MAX_RATES, Tried, next_rate, sustained_rate


def search(capacity: float, first: float) -> list[Tried]:
    """All rates tried against an endpoint that holds up to `capacity`."""
    tried: list[Tried] = []
    while (rate := next_rate(tried, 0.9, first=first)) is not None:
        tried.append(Tried(rate, 1.0 if rate <= capacity else 0.2))
        assert len(tried) <= MAX_RATES
    return tried


def test_rates_double_and_then_close_in() -> None:
    assert [round(one.rate, 3) for one in search(5.0, 1.0)] == [1, 2, 4, 8, 5.657, 4.757]


def test_rates_halve_while_none_holds() -> None:
    assert [round(one.rate, 3) for one in search(0.3, 1.0)] == [1, 0.5, 0.25, 0.354, 0.297]


@given(st.floats(0.1, 10), st.floats(-11, 11))
def test_the_search_ends_near_the_capacity(first: float, doublings: float) -> None:
    capacity = first * 2**doublings
    found = sustained_rate(search(capacity, first), 0.9)
    assert found is not None
    assert found <= capacity < found * 2**0.25 * 1.01


@pytest.mark.parametrize(("capacity", "tries"), [(0.0, 13), (float("inf"), 13)])
def test_a_search_without_an_end_is_given_up(capacity: float, tries: int) -> None:
    assert len(search(capacity, 1.0)) == tries


def test_nothing_measured_ends_the_search() -> None:
    assert next_rate([Tried(1.0, 1.0), Tried(2.0, None)], 0.9, first=1.0) is None


def test_a_rate_that_holds_above_one_that_does_not_is_luck() -> None:
    tried = [Tried(8.0, 0.95), Tried(1.0, 1.0), Tried(4.0, 0.5), Tried(2.0, 0.9)]
    assert sustained_rate(tried, 0.9) == 2
    assert sustained_rate(tried, 0.99) == 1
    assert sustained_rate(tried[2:3], 0.9) is None
    assert sustained_rate([], 0.9) is None
