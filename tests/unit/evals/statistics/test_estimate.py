"""Means, shares and percentiles: against statsmodels and scipy, and how often they are right."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from evals.statistics import (
    Estimate,
    StatisticsError,
    mean_estimate,
    percentile_estimate,
    proportion_estimate,
)
from evals.statistics.estimate import binomial_quantile

numbers = st.floats(-1e6, 1e6, allow_subnormal=False)
samples = st.lists(st.tuples(numbers, st.integers(0, 5)), min_size=1, max_size=40)
outcomes = st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=40)


def close(found: Estimate, expected: Estimate) -> None:
    """The same but for rounding."""
    assert (found.n, found.clusters) == (expected.n, expected.clusters)
    assert found.mean == pytest.approx(expected.mean, rel=1e-9, abs=1e-9)
    assert (found.standard_error is None) == (expected.standard_error is None)
    if found.standard_error is not None:
        assert found.standard_error == pytest.approx(expected.standard_error, rel=1e-6, abs=1e-9)
    assert (found.interval is None) == (expected.interval is None)
    if found.interval is not None and expected.interval is not None:
        assert found.interval.low == pytest.approx(expected.interval.low, rel=1e-6, abs=1e-6)
        assert found.interval.high == pytest.approx(expected.interval.high, rel=1e-6, abs=1e-6)


def interval(estimate: Estimate) -> tuple[float, float]:
    assert estimate.interval is not None
    return estimate.interval.low, estimate.interval.high


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_a_plain_mean_has_the_textbook_interval(level: float) -> None:
    values = np.random.default_rng(1).normal(3, 2, 25)
    found = mean_estimate(values, level=level)
    error = stats.sem(values)
    assert found.standard_error == pytest.approx(error)
    assert interval(found) == pytest.approx(stats.t.interval(level, 24, values.mean(), error))
    assert (found.n, found.clusters) == (25, 25)


def test_a_clustered_mean_is_that_of_a_regression_with_clustered_errors() -> None:
    rng = np.random.default_rng(2)
    groups = rng.integers(0, 12, 90)
    values = rng.normal(size=90) + rng.normal(size=12)[groups]
    fit = sm.OLS(values, np.ones(90)).fit(
        cov_type="cluster", cov_kwds={"groups": groups}, use_t=True
    )
    found = mean_estimate(values, groups)
    assert found.standard_error == pytest.approx(float(fit.bse[0]))
    assert interval(found) == pytest.approx(tuple(fit.conf_int()[0]))
    assert found.clusters == 12


def test_a_clustered_error_by_hand() -> None:
    # Mean 2; cluster sums of residuals -2, 0, 2; (4 + 0 + 4) / 6^2 * 3/2 = 1/3.
    found = mean_estimate([1, 1, 2, 2, 3, 3], ["a", "a", "b", "b", "c", "c"])
    assert found.mean == 2
    assert found.standard_error == pytest.approx(math.sqrt(1 / 3))
    # t(2) reaches 4.302653 at 97.5 %.
    assert interval(found) == pytest.approx((2 - 2.484138, 2 + 2.484138), abs=1e-5)


@pytest.mark.parametrize(
    ("values", "clusters"),
    [([0.7], None), ([1, 2, 3], ["a", "a", "a"]), ([0.1] * 7, None), ([0, 1, 0, 1], [1, 1, 2, 2])],
    ids=["one value", "one cluster", "all equal", "clusters alike"],
)
def test_data_that_show_no_variation_get_no_interval(values: Any, clusters: Any) -> None:
    found = mean_estimate(values, clusters)
    assert found.interval is None
    assert found.standard_error is None
    assert found.mean == pytest.approx(np.mean(values))


@pytest.mark.parametrize("estimate", [mean_estimate, proportion_estimate])
@pytest.mark.parametrize(
    "arguments",
    [
        ([],),
        ([1.0, math.nan],),
        ([1.0, math.inf],),
        ([1.0, 1e200],),
        (["x"],),
        ([[1.0, 2.0]],),
        ([1, 0], ["a"]),
        ([1, 0], [["a"], ["b"]]),
    ],
)
def test_what_is_no_sample_is_refused(estimate: Callable[..., Estimate], arguments: Any) -> None:
    with pytest.raises(StatisticsError):
        estimate(*arguments)


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, math.nan])
def test_a_level_lies_between_0_and_1(level: float) -> None:
    for estimate in (mean_estimate, proportion_estimate):
        with pytest.raises(StatisticsError):
            estimate([0, 1], level=level)


def test_a_share_is_of_outcomes() -> None:
    with pytest.raises(StatisticsError):
        proportion_estimate([0, 0.5, 1])


@pytest.mark.parametrize(("right", "n"), [(0, 1), (0, 20), (1, 20), (7, 20), (20, 20), (999, 1000)])
def test_a_plain_share_has_wilsons_interval(right: int, n: int) -> None:
    found = proportion_estimate([1] * right + [0] * (n - right))
    assert interval(found) == pytest.approx(
        proportion_confint(right, n, method="wilson"), abs=1e-12
    )
    assert (found.standard_error is None) == (right in (0, n))


def test_clusters_widen_a_share_as_much_as_their_samples_are_alike() -> None:
    once = [1, 1, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1]
    thrice = [outcome for outcome in once for _ in range(3)]
    clusters = [place for place in range(12) for _ in range(3)]
    plain, copied = proportion_estimate(once), proportion_estimate(thrice, clusters)
    low, high = interval(copied)
    naive = interval(proportion_estimate(thrice))
    assert low < interval(plain)[0] < naive[0]
    assert naive[1] < interval(plain)[1] < high
    assert high - low < 1.25 * (interval(plain)[1] - interval(plain)[0])


def test_a_clustered_share_of_all_or_nothing_counts_clusters() -> None:
    found = proportion_estimate([1] * 30, [i // 3 for i in range(30)])
    low, high = interval(found)
    t = stats.t.ppf(0.975, 9)
    assert high == 1
    assert low == pytest.approx(10 / (10 + t**2))
    assert proportion_estimate([1] * 30, ["a"] * 30).interval is None


@given(samples, st.randoms(use_true_random=False))
def test_a_mean_knows_no_order_and_no_names(sample: list[tuple[float, int]], random: Any) -> None:
    expected = mean_estimate(*zip(*sample, strict=True))
    random.shuffle(sample)
    values, clusters = zip(*sample, strict=True)
    close(mean_estimate(values, [f"cluster {label}" for label in clusters]), expected)


@given(outcomes, st.randoms(use_true_random=False))
def test_a_share_knows_no_order_no_names_and_stays_in_range(
    sample: list[tuple[bool, int]], random: Any
) -> None:
    expected = proportion_estimate(*zip(*sample, strict=True))
    random.shuffle(sample)
    values, clusters = zip(*sample, strict=True)
    found = proportion_estimate(values, [f"cluster {label}" for label in clusters])
    close(found, expected)
    if found.interval is not None:
        assert 0 <= found.interval.low <= found.mean <= found.interval.high <= 1
        assert found.interval.high - found.interval.low > 1e-3
    mirrored = proportion_estimate([not value for value in values], clusters)
    if found.interval is not None and mirrored.interval is not None:
        assert mirrored.interval.low == pytest.approx(1 - found.interval.high, abs=1e-9)


@given(samples, st.floats(-100, 100), st.sampled_from([-3.0, 0.5, 8.0]))
def test_a_mean_moves_and_stretches_with_its_values(
    sample: list[tuple[float, int]], shift: float, scale: float
) -> None:
    values, clusters = zip(*sample, strict=True)
    before = mean_estimate(values, clusters)
    after = mean_estimate(np.array(values) * scale + shift, clusters)
    assert after.mean == pytest.approx(before.mean * scale + shift, abs=1e-6)
    if before.standard_error is not None and before.standard_error > 1e-3:
        assert after.standard_error == pytest.approx(abs(scale) * before.standard_error, rel=1e-4)


@given(st.lists(numbers, min_size=1, max_size=60), st.floats(1, 99))
def test_a_percentile_lies_between_two_values_of_the_sample(
    values: list[float], percent: float
) -> None:
    found = percentile_estimate(values, percent)
    assert found.mean == pytest.approx(np.percentile(values, percent))
    if found.interval is not None:
        assert {found.interval.low, found.interval.high} <= set(values)
        assert found.interval.low <= found.mean <= found.interval.high


@pytest.mark.parametrize(("percent", "enough"), [(50, 6), (95, 72), (99, 368), (5, 72)])
def test_a_percentile_takes_enough_values_beyond_it(percent: float, enough: int) -> None:
    assert percentile_estimate(range(enough - 1), percent).interval is None
    assert percentile_estimate(range(enough), percent).interval is not None


def test_a_median_has_the_interval_of_the_sign_test() -> None:
    # For n = 10 ranks 2 and 9 cover the median with 97.9 % (Conover, table of the sign test).
    found = percentile_estimate([3, 1, 4, 15, 9, 2, 6, 5, 35, 8], 50)
    assert interval(found) == (2, 15)
    assert found.mean == 5.5


@given(st.floats(0.001, 0.999), st.integers(1, 100_000), st.floats(0.001, 0.999))
def test_quantiles_of_binomials_are_those_of_scipy(share: float, trials: int, p: float) -> None:
    ours, theirs = binomial_quantile(share, trials, p), stats.binom.ppf(share, trials, p)
    if ours != theirs:  # only where rounding decides, as with half of an odd number of tosses
        assert ours == theirs - 1
        assert stats.binom.cdf(ours, trials, p) == pytest.approx(share, rel=1e-9)


@pytest.mark.parametrize("percent", [0, 100, -1, math.nan])
def test_a_percentile_lies_inside(percent: float) -> None:
    with pytest.raises(StatisticsError):
        percentile_estimate([1, 2, 3], percent)


# --- How often an interval of 95 % holds the truth ----------------------------------------------


def covered(truth: float, estimates: list[Estimate]) -> float:
    held = [e.interval is not None and e.interval.contains(truth) for e in estimates]
    return float(np.mean(held))


@pytest.mark.parametrize("n", [5, 40])
def test_plain_means_are_covered(n: int) -> None:
    drawn = np.random.default_rng(n).normal(2, 3, (3000, n))
    assert 0.93 < covered(2, [mean_estimate(row) for row in drawn]) < 0.97


def test_clustered_means_are_covered_and_would_not_be_without_clusters() -> None:
    rng = np.random.default_rng(3)
    clusters = np.repeat(np.arange(40), rng.integers(1, 9, 40))
    shared = rng.normal(0, 1, (2000, 40))[:, clusters]
    drawn = shared + rng.normal(0, 1, (2000, clusters.size))
    assert 0.93 < covered(0, [mean_estimate(row, clusters) for row in drawn]) < 0.97
    assert covered(0, [mean_estimate(row) for row in drawn]) < 0.85


@pytest.mark.parametrize("n", [15, 100])
def test_plain_shares_are_covered_for_shares_of_all_sizes(n: int) -> None:
    rng = np.random.default_rng(n)
    truths = rng.uniform(0.02, 0.98, 3000)
    held = [
        covered(truth, [proportion_estimate(rng.random(n) < truth)]) for truth in truths.tolist()
    ]
    assert 0.93 < np.mean(held) < 0.97


def test_clustered_shares_are_covered_and_would_not_be_without_clusters() -> None:
    rng = np.random.default_rng(4)
    clusters = np.repeat(np.arange(50), 6)
    # Beta-binomial: a correlation of 1 / (6 + 2 + 1) within clusters, a share of 3/4.
    chances = rng.beta(6, 2, (2000, 50))[:, clusters]
    drawn = rng.random(chances.shape) < chances
    assert 0.93 < covered(0.75, [proportion_estimate(row, clusters) for row in drawn]) < 0.97
    assert covered(0.75, [proportion_estimate(row) for row in drawn]) < 0.92


def test_percentiles_are_covered() -> None:
    drawn = np.random.default_rng(5).exponential(size=(1500, 300))
    for percent, most in ((50, 0.97), (95, 0.985)):  # steps between order statistics are coarse
        truth = -math.log(1 - percent / 100)
        assert 0.94 < covered(truth, [percentile_estimate(row, percent) for row in drawn]) < most
