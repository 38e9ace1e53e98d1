"""The bootstrap: against scipy's, whole clusters, any statistic, and how often it is right."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from evals.statistics import (
    Statistic,
    StatisticsError,
    bootstrap,
    mean_estimate,
    mean_of,
    of_sample,
    percentile_of,
    ratio_of,
)

numbers = st.floats(-1e6, 1e6, allow_subnormal=False)


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_means_of_skewed_samples_agree_with_scipys(method: Any) -> None:
    values = np.random.default_rng(1).exponential(size=40)
    found = bootstrap(values, mean_of, resamples=20_000, seed=1, method=method)
    # Ours reaches as far into the tails as t does with 39 degrees of freedom.
    tail = stats.norm.cdf(-math.sqrt(40 / 39) * stats.t.ppf(0.975, 39))
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, rng=2, method=method, confidence_level=1 - 2 * tail
    )
    assert found.mean == pytest.approx(values.mean())
    assert found.interval is not None
    width = found.interval.high - found.interval.low
    assert found.interval.low == pytest.approx(expected.confidence_interval.low, abs=0.03 * width)
    assert found.interval.high == pytest.approx(expected.confidence_interval.high, abs=0.03 * width)
    assert found.standard_error == pytest.approx(expected.standard_error, rel=0.03)


def test_whole_clusters_are_drawn() -> None:
    rng = np.random.default_rng(2)
    clusters = np.repeat(np.arange(40), 5)
    values = rng.normal(size=40)[clusters]  # equal within clusters
    found = bootstrap(values, mean_of, clusters, seed=1)
    apart = bootstrap(values, mean_of, seed=1)
    expected = mean_estimate(values, clusters)
    assert found.clusters == 40
    assert found.standard_error == pytest.approx(expected.standard_error, rel=0.1)
    assert apart.standard_error is not None
    assert found.standard_error is not None
    assert found.standard_error > 1.8 * apart.standard_error


def test_resamples_of_clusters_have_whole_clusters_only() -> None:
    clusters = np.array([0, 0, 1, 1, 1, 2])
    seen: list[NDArray[np.int64]] = []

    def watching(values: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        seen.append(counts)
        return mean_of(values, counts)

    bootstrap(np.arange(6), watching, clusters, resamples=100, seed=1, method="percentile")
    counts = seen[1]  # of the resamples; the first is the sample itself
    by_cluster = counts[:, [0, 2, 5]]
    assert np.array_equal(counts, np.repeat(by_cluster, [2, 3, 1], axis=1))
    assert np.all(by_cluster.sum(axis=1) == 3)
    assert len(np.unique(by_cluster, axis=0)) == 10  # all there are


@pytest.mark.parametrize(
    ("statistic", "function"),
    [
        (mean_of, lambda sample: float(np.mean(sample[:, 0]))),
        (ratio_of, lambda sample: float(sample[:, 0].sum() / sample[:, 1].sum())),
        (
            percentile_of(75),
            lambda sample: float(np.quantile(sample[:, 0], 0.75, method="inverted_cdf")),
        ),
    ],
)
def test_ready_statistics_are_those_of_the_repeated_sample(
    statistic: Statistic, function: Any
) -> None:
    rng = np.random.default_rng(3)
    values = rng.uniform(1, 2, size=(30, 2))
    counts = rng.multinomial(30, np.full(30, 1 / 30), size=50)
    own = values if statistic is ratio_of else values[:, 0]
    assert statistic(own, counts) == pytest.approx(of_sample(function)(values, counts))


def test_a_ratio_by_zero_is_undefined_not_a_warning() -> None:
    with pytest.raises(StatisticsError, match="undefined"):
        bootstrap([[1.0, 0.0], [2.0, 0.0]], ratio_of, seed=1)
    # Every fourth resample of two has the zero twice: too often for an interval.
    assert bootstrap([[1.0, 0.0], [2.0, 1.0]], ratio_of, seed=1).interval is None


@pytest.mark.parametrize(
    ("values", "clusters"),
    [([0.5], None), ([0.1, 0.1, 0.1], None), ([1.0, 2.0], ["a", "a"])],
    ids=["one value", "all equal", "one cluster"],
)
def test_data_that_show_no_variation_get_no_interval(values: Any, clusters: Any) -> None:
    found = bootstrap(values, mean_of, clusters, seed=1)
    assert found.mean == pytest.approx(np.mean(values))
    assert (found.interval, found.standard_error) == (None, None)


@pytest.mark.parametrize(
    "options",
    [
        {"resamples": 10},
        {"resamples": 10**7},
        {"level": 1.0},
        {"seed": -1},
        {"clusters": ["a"]},
        {"statistic": lambda values, counts: np.zeros(3)},
        {"statistic": lambda values, counts: np.full(len(counts), math.inf)},
        {"values": []},
        {"values": [1.0, math.nan]},
    ],
)
def test_what_cannot_be_drawn_is_refused(options: dict[str, Any]) -> None:
    arguments = {"values": [1.0, 2.0], "statistic": mean_of, "seed": 1} | options
    with pytest.raises(StatisticsError):
        bootstrap(**arguments)


@given(
    st.lists(st.tuples(numbers, st.integers(0, 6)), min_size=1, max_size=25),
    st.randoms(use_true_random=False),
    st.sampled_from(["bca", "percentile"]),
)
def test_the_same_data_and_seed_give_the_same_whatever_their_order(
    sample: list[tuple[float, int]], random: Any, method: Any
) -> None:
    values, clusters = zip(*sample, strict=True)
    options = {"resamples": 100, "seed": 4, "method": method}
    expected = bootstrap(values, mean_of, clusters, **options)
    random.shuffle(sample)
    values, clusters = zip(*sample, strict=True)
    assert bootstrap(values, mean_of, [f"c{c}" for c in clusters], **options) == expected
    if expected.interval is not None:
        assert min(values) - 1e-6 <= expected.interval.low <= expected.interval.high
        assert expected.interval.high <= max(values) + 1e-6


def test_many_clusters_are_left_out_in_bunches_without_losing_the_skew() -> None:
    # BCa of a mean of exponentials moves the interval up by z^2 * skew / (6 sqrt(n)) * 2 tails.
    values = np.random.default_rng(5).exponential(size=4000)
    found = bootstrap(values, mean_of, resamples=1000, seed=1)
    symmetric = mean_estimate(values)
    assert found.interval is not None
    assert symmetric.interval is not None
    assert found.interval.low == pytest.approx(symmetric.interval.low, abs=0.006)
    assert found.interval.high == pytest.approx(symmetric.interval.high, abs=0.006)


# --- How often an interval of 95 % holds the truth ----------------------------------------------


def test_plain_means_of_skewed_values_are_covered() -> None:
    drawn = np.random.default_rng(6).gamma(2, 1, (800, 70))
    held = [bootstrap(row, mean_of, resamples=400, seed=i).interval for i, row in enumerate(drawn)]
    assert 0.93 < np.mean([i is not None and i.contains(2) for i in held]) < 0.97


def test_clustered_ratios_are_covered() -> None:
    rng = np.random.default_rng(7)
    clusters = np.repeat(np.arange(60), rng.integers(1, 5, 60))
    held = []
    for i in range(500):
        below = rng.uniform(1, 3, clusters.size)
        above = below * (2 + rng.normal(0, 0.5, 60)[clusters]) + rng.normal(0, 1, clusters.size)
        found = bootstrap(
            np.column_stack([above, below]), ratio_of, clusters, resamples=400, seed=i
        )
        held.append(found.interval is not None and found.interval.contains(2))
    assert 0.93 < np.mean(held) < 0.97


def test_clustered_medians_are_covered() -> None:
    rng = np.random.default_rng(8)
    clusters = np.repeat(np.arange(60), 2)
    held = []
    for i in range(500):
        values = rng.normal(size=60)[clusters] + rng.normal(size=120)
        found = bootstrap(
            values, percentile_of(50), clusters, resamples=400, seed=i, method="percentile"
        )
        held.append(found.interval is not None and found.interval.contains(0))
    assert 0.93 < np.mean(held) < 0.97
