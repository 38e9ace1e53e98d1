"""Dates, against counting day by day."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_servers.calculator.dates import add, calendar_parts, parse_date, workdays_between
from rostra.core import InvalidRequest

days = st.dates(date(1900, 1, 1), date(2100, 12, 31))


@given(days, st.integers(-60, 60))
def test_workdays_are_counted_one_by_one(start: date, count: int) -> None:
    day, step, left = start, timedelta(days=1 if count > 0 else -1), abs(count)
    while left:
        day += step
        left -= day.weekday() < 5
    assert add(start, workdays=count) == day


@given(days, st.integers(0, 60))
def test_workdays_between_are_mondays_to_fridays(start: date, length: int) -> None:
    end = start + timedelta(days=length)
    counted = sum((start + timedelta(days=n)).weekday() < 5 for n in range(length))
    assert workdays_between(start, end) == counted
    assert workdays_between(end, start) == -counted


@given(days, days)
def test_the_parts_of_a_difference_lead_from_one_date_to_the_other(one: date, other: date) -> None:
    first, last = sorted((one, other))
    years, months, rest = calendar_parts(one, other)
    assert 0 <= months < 12
    assert 0 <= rest < 31
    assert add(first, months=12 * years + months, days=rest) == last


@pytest.mark.parametrize(
    ("start", "months", "expected"),
    [
        ("2024-01-31", 1, "2024-02-29"),
        ("2023-01-31", 1, "2023-02-28"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2024-03-31", -1, "2024-02-29"),
        ("2024-12-15", 1, "2025-01-15"),
        ("2024-01-15", -1, "2023-12-15"),
    ],
)
def test_months_end_on_their_last_day(start: str, months: int, expected: str) -> None:
    assert add(parse_date(start), months=months) == parse_date(expected)


@pytest.mark.parametrize("text", ["", "31.03.2026", "2026-02-30", "2026-3-1x", "٢٠٢٦-٠١-٠١", "\0"])
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="no date"):
        parse_date(text)


@pytest.mark.parametrize(
    "parts", [{"months": 120_000}, {"days": 4_000_000}, {"workdays": -(10**6)}]
)
def test_the_calendar_ends(parts: dict[str, int]) -> None:
    with pytest.raises(InvalidRequest, match="years 1 to 9999"):
        add(date(2026, 1, 1), **parts)
