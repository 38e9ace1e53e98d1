"""Arrival processes and length distributions: what their names promise."""

import statistics
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.load.arrivals import Process, arrival_times
from evals.load.errors import InvalidTraffic
from evals.load.lengths import read_lengths
from evals.load.plan import MAX_REQUESTS, MAX_TOKENS


@given(
    process=st.sampled_from(["poisson", "gamma", "constant"]),
    rate=st.floats(0.01, 50),
    seconds=st.floats(0.1, 60),
    burstiness=st.floats(0.05, 20),
    seed=st.integers(0, 1000),
)
def test_times_ascend_within_the_duration_and_come_again(
    process: Process, rate: float, seconds: float, burstiness: float, seed: int
) -> None:
    times = arrival_times(process, rate, seconds, Random(seed), burstiness=burstiness)
    assert times == sorted(times)
    assert all(0 <= at < seconds for at in times)
    assert times == arrival_times(process, rate, seconds, Random(seed), burstiness=burstiness)


def test_constant_arrivals_have_equal_gaps() -> None:
    assert arrival_times("constant", 4, 1, Random(0)) == [0, 0.25, 0.5, 0.75]


@pytest.mark.parametrize(
    ("process", "burstiness", "variation"),
    [("poisson", 9.0, 1.0), ("gamma", 1.0, 1.0), ("gamma", 0.25, 2.0), ("gamma", 4.0, 0.5)],
)
def test_gaps_have_the_mean_and_the_variation_of_their_distribution(
    process: Process, burstiness: float, variation: float
) -> None:
    # A gamma distribution of shape k has a coefficient of variation of 1 / sqrt(k).
    times = arrival_times(process, 10, 1500, Random(1), burstiness=burstiness)
    gaps = [after - before for before, after in pairwise(times)]
    mean = statistics.fmean(gaps)
    assert mean == pytest.approx(0.1, rel=0.05)
    assert statistics.stdev(gaps) / mean == pytest.approx(variation, rel=0.05)


def test_too_many_requests_are_refused() -> None:
    with pytest.raises(InvalidTraffic, match="more than"):
        arrival_times("poisson", MAX_REQUESTS, 2, Random(0))


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [("7", 7, 7), ("uniform:3:5", 3, 5), ("lognormal:100:0", 100, 100)],
)
def test_lengths_are_within_what_was_written(text: str, least: int, most: int) -> None:
    lengths = read_lengths(text)
    drawn = {lengths.draw(Random(seed)) for seed in range(200)}
    assert min(drawn) == least
    assert max(drawn) == most
    assert str(lengths) == text


def test_lognormal_lengths_have_the_median_and_stay_in_bounds() -> None:
    random = Random(3)
    drawn = [read_lengths("lognormal:200:0.5").draw(random) for _ in range(4000)]
    assert statistics.median(drawn) == pytest.approx(200, rel=0.05)
    wild = [read_lengths("lognormal:1000:5").draw(random) for _ in range(4000)]
    assert min(wild) == 1
    assert max(wild) == MAX_TOKENS


@pytest.mark.parametrize(
    "text",
    ["", "0", "-3", "1.5", "ten", "nan", "inf", "uniform:5", "uniform:5:3", "uniform:1:2:3",
     "lognormal:0:1", "lognormal:10:-1", "lognormal:10:nan", "normal:10:1", str(MAX_TOKENS + 1)],
)  # fmt: skip
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(InvalidTraffic):
        read_lengths(text)
