"""Paired comparisons: against scipy and statsmodels, by hand, and how often they are wrong."""

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from evals.statistics import (
    PairedResult,
    StatisticsError,
    mcnemar_exact,
    mean_estimate,
    paired_bootstrap,
    paired_randomisation,
    paired_t,
    sign_test,
    wilcoxon_test,
)

Test = Callable[..., PairedResult]

quarters = st.integers(-8, 8).map(lambda number: number / 4)  # sums of these are exact
pairs = st.lists(st.tuples(quarters, quarters, st.integers(0, 4)), min_size=1, max_size=20)

CLUSTERED: list[Any] = [
    pytest.param(partial(paired_randomisation, resamples=199, seed=5), id="randomisation"),
    pytest.param(partial(paired_bootstrap, resamples=199, seed=5), id="bootstrap"),
    pytest.param(paired_t, id="t"),
]
ALL: list[Any] = [
    *CLUSTERED,
    pytest.param(sign_test, id="sign"),
    pytest.param(wilcoxon_test, id="Wilcoxon"),
]


def p_value(result: PairedResult) -> float:
    assert result.p_value is not None
    return result.p_value


def interval(result: PairedResult) -> tuple[float, float]:
    assert result.interval is not None
    return result.interval.low, result.interval.high


def test_few_samples_are_flipped_in_all_ways() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.5, 1, 10), rng.normal(0, 1, 10)
    found = paired_randomisation(a, b, seed=1)
    expected = stats.permutation_test(
        (a - b,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert found.method == "exact randomisation"
    assert p_value(found) == pytest.approx(expected.pvalue)


def test_flips_of_whole_clusters_by_hand() -> None:
    # Cluster sums 3, 2, -1 add up to 4; of the 8 ways of signs, 3 + 2 - 1 and 3 + 2 + 1 are as far.
    a, clusters = [1, 2, 2, -1], ["x", "x", "y", "z"]
    found = paired_randomisation(a, [0] * 4, clusters, seed=1)
    assert p_value(found) == 4 / 8
    assert (found.n, found.clusters) == (4, 3)
    assert (found.wins, found.losses, found.ties) == (3, 1, 0)
    assert found.difference == 1


def test_many_samples_are_flipped_at_random() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(0.4, 1, 50), rng.normal(0, 1, 50)
    found = paired_randomisation(a, b, resamples=20_000, seed=1)
    expected = stats.permutation_test(
        (a - b,), np.mean, permutation_type="samples", n_resamples=20_000, rng=3
    )
    assert found.method == "randomisation"
    assert p_value(found) == pytest.approx(expected.pvalue, abs=0.006)


def test_thousands_of_samples_are_no_trouble() -> None:
    values = np.random.default_rng(12).normal(0.05, 1, 3000)
    found = paired_randomisation(values, np.zeros(3000), resamples=1000, seed=1)
    assert p_value(found) == pytest.approx(p_value(paired_t(values, np.zeros(3000))), abs=0.02)


@pytest.mark.parametrize(("count", "method"), [(7, "exact"), (8, "")])
def test_all_ways_are_tried_where_they_are_no_more_than_resamples(count: int, method: str) -> None:
    found = paired_randomisation(range(count), [0] * count, resamples=128, seed=1)
    assert found.method == f"{method} randomisation".strip()


def test_simulation_never_gives_a_p_value_of_zero() -> None:
    found = paired_randomisation(np.ones(50), np.zeros(50), resamples=999, seed=1)
    assert p_value(found) == 1 / 1000
    rng = np.random.default_rng(3)
    found = paired_bootstrap(rng.normal(9, 1, 50), np.zeros(50), resamples=999, seed=1)
    assert p_value(found) == 1 / 1000


def test_the_interval_holds_what_the_randomisation_test_would_not_reject() -> None:
    rng = np.random.default_rng(4)
    differences = rng.normal(0.3, 1, 9)
    low, high = interval(paired_randomisation(differences, np.zeros(9), seed=1))

    def rejected(shift: float) -> bool:
        return p_value(paired_randomisation(differences, np.full(9, shift), seed=1)) <= 0.05

    width = high - low
    for bound, outward in ((low, -1), (high, 1)):
        assert rejected(bound + outward * 1e-6 * width)
        assert not rejected(bound - outward * 1e-6 * width)
    mirrored = interval(paired_randomisation(np.zeros(9), differences, seed=1))
    assert mirrored == pytest.approx((-high, -low))


def test_too_few_clusters_get_no_interval() -> None:
    differences = [0.1, 0.5, 0.3, 0.9, 0.2, 0.7]
    assert paired_randomisation(differences, [0] * 6, seed=1).interval is not None
    assert paired_randomisation(differences[:5], [0] * 5, seed=1).interval is None


def test_t_is_students_and_clustered_is_that_of_the_mean() -> None:
    rng = np.random.default_rng(5)
    a, b, clusters = rng.normal(0.5, 1, 40), rng.normal(0, 1, 40), rng.integers(0, 12, 40)
    expected = stats.ttest_rel(a, b)
    plain = paired_t(a, b)
    assert p_value(plain) == pytest.approx(expected.pvalue)
    assert interval(plain) == pytest.approx(tuple(expected.confidence_interval()))
    clustered, mean = paired_t(a, b, clusters), mean_estimate(a - b, clusters)
    assert clustered.interval == mean.interval
    assert mean.standard_error is not None
    t = mean.mean / mean.standard_error
    assert p_value(clustered) == pytest.approx(2 * stats.t.sf(abs(t), mean.clusters - 1))


def test_the_bootstrap_agrees_with_t_where_both_are_right() -> None:
    rng = np.random.default_rng(6)
    a, b = rng.normal(0.15, 1, 300), rng.normal(0, 1, 300)
    found, expected = paired_bootstrap(a, b, seed=1), paired_t(a, b)
    assert p_value(found) == pytest.approx(p_value(expected), abs=0.015)
    assert interval(found) == pytest.approx(interval(expected), abs=0.02)


@pytest.mark.parametrize(("both", "won", "lost"), [(10, 9, 2), (0, 3, 0), (5, 0, 0), (50, 12, 12)])
def test_mcnemar_is_statsmodels(both: int, won: int, lost: int) -> None:
    a = [1] * both + [1] * won + [0] * lost + [0] * 4
    b = [1] * both + [0] * won + [1] * lost + [0] * 4
    found = mcnemar_exact(a, b)
    expected = mcnemar([[both, won], [lost, 4]], exact=True).pvalue
    assert p_value(found) == pytest.approx(min(1.0, expected))
    assert (found.wins, found.losses, found.ties) == (won, lost, both + 4)
    low, high = interval(found)
    assert -1 <= low <= found.difference <= high <= 1


def test_mcnemars_interval_by_hand() -> None:
    # 20 samples, 8 won, 2 lost: (6 / 22) +- 1.96 sqrt(11 - 36 / 22) / 22 (Agresti and Min).
    found = mcnemar_exact([1] * 8 + [0] * 12, [0] * 8 + [1] * 2 + [0] * 10)
    assert interval(found) == pytest.approx((0.000114, 0.545341), abs=1e-6)


def test_sign_and_wilcoxon_are_scipys() -> None:
    rng = np.random.default_rng(7)
    a, b = rng.integers(0, 5, 30), rng.integers(0, 4, 30)
    wins, losses = int(np.sum(a > b)), int(np.sum(a < b))
    assert p_value(sign_test(a, b)) == pytest.approx(stats.binomtest(wins, wins + losses).pvalue)
    expected = stats.wilcoxon(a, b, zero_method="wilcox").pvalue
    assert p_value(wilcoxon_test(a, b)) == pytest.approx(expected)


@pytest.mark.parametrize("test", [*ALL, mcnemar_exact])
def test_no_difference_anywhere_is_no_evidence(test: Test) -> None:
    found = test([1, 0, 1, 1], [1, 0, 1, 1])
    assert found.p_value == 1
    assert (found.difference, found.ties) == (0, 4)


@pytest.mark.parametrize("test", CLUSTERED)
def test_one_cluster_says_nothing(test: Test) -> None:
    found = test([0.9, 0.8, 0.7], [0.1, 0.3, 0.2], ["x", "x", "x"])
    assert found.interval is None
    assert found.p_value in (None, 1.0)


def test_the_same_difference_everywhere_shows_no_variation() -> None:
    for found in (
        paired_t([1, 2, 3], [0, 1, 2]),
        paired_bootstrap([1, 2, 3], [0, 1, 2], resamples=100, seed=1),
    ):
        assert (found.interval, found.p_value) == (None, None)
    # The flips of 0.1 add up to means that differ by rounding.
    flipped = paired_randomisation([0.1] * 30, [0] * 30, seed=1)
    assert flipped.interval is None
    assert p_value(flipped) < 0.001


@pytest.mark.parametrize("test", [*ALL, mcnemar_exact])
@pytest.mark.parametrize(
    ("a", "b"), [([], []), ([1, 0], [1]), ([1, math.nan], [1, 0]), (["x"], [1])]
)
def test_what_is_not_paired_is_refused(test: Test, a: Any, b: Any) -> None:
    with pytest.raises(StatisticsError):
        test(a, b)


def test_mcnemar_takes_right_and_wrong_only() -> None:
    with pytest.raises(StatisticsError):
        mcnemar_exact([0.5, 1], [0, 1])


@given(pairs, st.randoms(use_true_random=False))
@pytest.mark.parametrize("test", CLUSTERED)
def test_order_names_and_sides_make_no_difference(
    test: Test, sample: list[tuple[float, float, int]], random: Any
) -> None:
    expected = test(*zip(*sample, strict=True))
    random.shuffle(sample)
    a, b, clusters = zip(*sample, strict=True)
    found = test(a, b, [f"c{c}" for c in clusters])
    assert found == expected or found.p_value == pytest.approx(expected.p_value)
    mirrored = test(b, a, clusters)
    assert mirrored.difference == -found.difference
    assert (mirrored.wins, mirrored.losses) == (found.losses, found.wins)
    if found.method != "bootstrap":
        assert mirrored.p_value == pytest.approx(found.p_value)
    if found.p_value is not None:
        assert 0 < found.p_value <= 1


@given(pairs)
def test_exact_flips_are_all_flips(sample: list[tuple[float, float, int]]) -> None:
    a, b, clusters = (np.array(column) for column in zip(*sample, strict=True))
    sums = [float(np.sum((a - b)[clusters == label])) for label in set(clusters.tolist())]
    ways = [
        abs(sum(sign * value for sign, value in zip(signs, sums, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(sums))
    ]
    expected = np.mean(np.array(ways) >= abs(sum(sums)))
    assert p_value(paired_randomisation(a, b, clusters, seed=1)) == pytest.approx(expected)


# --- How often a test of 5 % is wrong, and an interval of 95 % right -----------------------------


def errors_and_coverage(test: Test, drawn: Any, clusters: Any, truth: float) -> tuple[float, float]:
    """How often `truth` is rejected, and how often the interval holds it."""
    results = [test(row, np.full(row.size, truth), clusters) for row in drawn]
    rejected = float(np.mean([p_value(result) <= 0.05 for result in results]))
    held = [r.interval is not None and r.interval.contains(0) for r in results]
    return rejected, float(np.mean(held))


def clustered_draws(seed: int, runs: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(40), rng.integers(1, 7, 40))
    shared = rng.normal(0, 1, (runs, 40))[:, clusters]
    return 0.5 + shared + rng.normal(0, 1, (runs, clusters.size)), clusters


@pytest.mark.parametrize("test", CLUSTERED)
def test_plain_tests_have_their_size_and_coverage(test: Test) -> None:
    drawn = np.random.default_rng(8).normal(0.5, 1, (1000, 40))
    size, coverage = errors_and_coverage(test, drawn, None, 0.5)
    assert 0.03 < size < 0.07
    assert 0.93 < coverage < 0.97


@pytest.mark.parametrize("test", CLUSTERED)
def test_clustered_tests_have_their_size_and_coverage(test: Test) -> None:
    drawn, clusters = clustered_draws(9, 1000)
    size, coverage = errors_and_coverage(test, drawn, clusters, 0.5)
    assert 0.03 < size < 0.07
    assert 0.93 < coverage < 0.97


def test_a_test_that_overlooks_clusters_is_wrong_far_too_often() -> None:
    drawn, _ = clustered_draws(9, 1000)
    size, _ = errors_and_coverage(paired_t, drawn, None, 0.5)
    assert size > 0.15


def test_the_exact_tests_of_outcomes_are_wrong_at_most_as_often_as_they_say() -> None:
    rng = np.random.default_rng(10)
    a, b = rng.random((2, 1000, 80)) < 0.7
    results = [mcnemar_exact(*row) for row in zip(a, b, strict=True)]
    assert 0.01 < np.mean([p_value(result) <= 0.05 for result in results]) < 0.055
    held = [r.interval is not None and r.interval.contains(0) for r in results]
    assert 0.93 < np.mean(held) < 0.975


def test_rank_and_sign_tests_have_their_size() -> None:
    drawn = np.random.default_rng(11).normal(size=(600, 25))
    for test in (sign_test, wilcoxon_test):
        wrong = np.mean([p_value(test(row, np.zeros(25))) <= 0.05 for row in drawn])
        assert 0.02 < wrong < 0.065
