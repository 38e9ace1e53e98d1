"""How long is waited before another attempt."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.models.backoff import Backoff, retry_after

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@given(st.integers(1, 5000), st.one_of(st.none(), st.floats(0, 30)))
def test_waits_lie_within_their_range(failures: int, asked: float | None) -> None:
    wait = Backoff(first=0.5, most=30.0).wait(failures, asked)
    assert wait is not None
    assert (asked or 0.0) <= wait <= max(asked or 0.0, min(30.0, 0.5 * 2 ** min(failures - 1, 60)))


def test_the_range_doubles() -> None:
    backoff = Backoff(first=1, most=10, draw=lambda low, high: high)
    assert [backoff.wait(n) for n in range(1, 7)] == [1, 2, 4, 8, 10, 10]
    low = Backoff(first=1, most=10, draw=lambda low, high: low)
    assert low.wait(5) == 0


def test_more_than_the_longest_wait_is_not_waited() -> None:
    assert Backoff(most=30).wait(1, 30.5) is None
    assert Backoff(most=30).wait(1, 30) == 30


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "9", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "9", "retry-after-ms": "x"}, 9.0),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=40), usegmt=True)}, 40.0),
        ({"retry-after": format_datetime(NOW - timedelta(days=1), usegmt=True)}, 0.0),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:05 -0000"}, 5.0),
    ],
)
def test_what_a_response_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds
