"""Power: against statsmodels, against simulated tests, and what must hold of it."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.power import TTestIndPower, TTestPower

from evals.statistics import (
    Design,
    StatisticsError,
    detectable_difference,
    detectable_proportion,
    power_of,
    power_of_proportions,
    samples_needed,
    samples_needed_for_proportions,
)

PAIRED = Design(correlation=0.5)  # the variance of a difference is that of a value
designs = st.builds(
    Design,
    correlation=st.none() | st.floats(-0.9, 0.9),
    cluster_size=st.integers(1, 6),
    intra_cluster=st.floats(0, 1),
    alpha=st.floats(0.001, 0.2),
)


@pytest.mark.parametrize(("difference", "n"), [(0.5, 20), (0.2, 100), (1.0, 5), (3.0, 3)])
def test_power_is_statsmodels(difference: float, n: int) -> None:
    paired = TTestPower().power(difference, n, 0.05)
    assert power_of(n, difference, 1, PAIRED) == pytest.approx(paired, abs=1e-6)
    apart = TTestIndPower().power(difference, n, 0.05)
    assert power_of(n, difference, 1) == pytest.approx(apart, abs=1e-6)


@pytest.mark.parametrize("difference", [0.02, 0.1, 0.5, 1.5])
def test_the_number_of_samples_is_statsmodels(difference: float) -> None:
    for design, solver in ((PAIRED, TTestPower()), (Design(), TTestIndPower())):
        expected = solver.solve_power(difference, alpha=0.05, power=0.9)
        assert samples_needed(difference, 1, design, power=0.9) == math.ceil(expected)


def test_two_points_by_hand() -> None:
    # (1.959964 + 0.841621)^2 * 2 * 0.45^2 / 0.02^2 = 7,947 samples each; half where they correlate.
    assert samples_needed(0.02, 0.45) == pytest.approx(7947, abs=2)
    assert samples_needed(0.02, 0.45, PAIRED) == pytest.approx(7947 / 2, abs=2.5)
    # Clusters of five with 0.2 within multiply that by 1 + 4 * 0.2.
    clustered = Design(0.5, cluster_size=5, intra_cluster=0.2)
    assert samples_needed(0.02, 0.45, clustered) == pytest.approx(7947 / 2 * 1.8, abs=20)


def test_shares_by_hand() -> None:
    # 7.848879 * (0.7 * 0.3 + 0.72 * 0.28) / 0.02^2 = 8,076.5
    assert samples_needed_for_proportions(0.7, 0.72) == pytest.approx(8077, abs=2)
    assert samples_needed_for_proportions(0.72, 0.7) == samples_needed_for_proportions(0.7, 0.72)


@given(designs, st.floats(0.05, 2), st.floats(0.5, 0.95))
def test_the_least_number_is_enough_and_one_cluster_fewer_is_not(
    design: Design, difference: float, power: float
) -> None:
    n = samples_needed(difference, 1, design, power=power)
    assert n % design.cluster_size == 0
    assert power_of(n, difference, 1, design) >= power
    fewer = n - design.cluster_size
    if fewer >= 2 * design.cluster_size:
        assert power_of(fewer, difference, 1, design) < power


@given(designs, st.integers(2, 300), st.floats(0.3, 0.95))
def test_the_least_difference_has_the_power(design: Design, groups: int, power: float) -> None:
    n = groups * design.cluster_size
    difference = detectable_difference(n, 2.5, design, power=power)
    assert power_of(n, difference, 2.5, design) == pytest.approx(power, abs=1e-6)


@given(designs, st.integers(2, 200), st.floats(0, 3), st.floats(0, 1))
def test_power_grows_with_samples_and_differences(
    design: Design, groups: int, difference: float, more: float
) -> None:
    n = groups * design.cluster_size
    power = power_of(n, difference, 1, design)
    assert design.alpha - 1e-9 <= power <= 1
    assert power_of(n, difference + more, 1, design) >= power - 1e-9
    assert power_of(n + design.cluster_size, difference, 1, design) >= power - 1e-9
    assert power_of(n, -difference, 1, design) == pytest.approx(power)


@given(st.floats(0.05, 0.95), st.integers(20, 2000), st.none() | st.floats(0, 0.8))
def test_the_least_share_has_the_power(baseline: float, n: int, correlation: float | None) -> None:
    design = Design(correlation)
    share = detectable_proportion(n, baseline, design)
    if share is not None:
        assert baseline < share <= 1
        assert power_of_proportions(n, baseline, share, design) >= 0.8 - 1e-6
        between = baseline + 0.99 * (share - baseline)
        assert power_of_proportions(n, baseline, between, design) < 0.8


def test_no_share_is_so_much_better() -> None:
    assert detectable_proportion(10, 0.9) is None


@pytest.mark.parametrize(
    "options",
    [
        {"correlation": 1.5},
        {"cluster_size": 0},
        {"intra_cluster": -0.1},
        {"alpha": 0},
        {"alpha": math.nan},
    ],
)
def test_a_design_is_checked(options: dict[str, Any]) -> None:
    with pytest.raises(StatisticsError):
        Design(**options)


def test_what_no_number_of_samples_shows_is_refused() -> None:
    for difference, deviation in ((0, 1), (math.nan, 1), (1e-9, 1), (0.1, -1), (0.1, math.nan)):
        with pytest.raises(StatisticsError):
            samples_needed(difference, deviation)
    with pytest.raises(StatisticsError):
        power_of(5, 1, 1, Design(cluster_size=3))
    with pytest.raises(StatisticsError):
        samples_needed(0.1, 1, power=1)
    with pytest.raises(StatisticsError):
        samples_needed_for_proportions(0.5, 1.2)
    with pytest.raises(StatisticsError, match="correlate"):
        samples_needed_for_proportions(0.1, 0.9, Design(0.9))


# --- Against simulated tests --------------------------------------------------------------------


def rejected(differences: NDArray[np.float64]) -> float:
    """How often a t test of rows of cluster means rejects at 5 %."""
    means = differences.mean(axis=1)
    errors = differences.std(axis=1, ddof=1) / math.sqrt(differences.shape[1])
    bar = stats.t.ppf(0.975, differences.shape[1] - 1)
    return float(np.mean(np.abs(means) > bar * errors))


@pytest.mark.parametrize("n", [4, 12, 60])
def test_paired_power_is_what_simulation_finds(n: int) -> None:
    rng = np.random.default_rng(n)
    shared, own_a, own_b = rng.normal(size=(3, 20_000, n))
    a = math.sqrt(0.7) * shared + math.sqrt(0.3) * own_a + 0.4
    b = math.sqrt(0.7) * shared + math.sqrt(0.3) * own_b
    assert power_of(n, 0.4, 1, Design(0.7)) == pytest.approx(rejected(a - b), abs=0.012)


def test_clustered_power_is_what_simulation_finds() -> None:
    rng = np.random.default_rng(1)
    clusters, size, within = 30, 5, 0.3
    shared = rng.normal(0, math.sqrt(within), (10_000, clusters, 1))
    own = rng.normal(0, math.sqrt(1 - within), (10_000, clusters, size))
    found = rejected((0.3 + shared + own).mean(axis=2))  # clusters of one size: a test of means
    design = Design(0.5, cluster_size=size, intra_cluster=within)
    assert power_of(clusters * size, 0.3, 1, design) == pytest.approx(found, abs=0.015)
    naive = power_of(clusters * size, 0.3, 1, PAIRED)
    assert naive > found + 0.1


@pytest.mark.parametrize("correlation", [None, 0.4])
def test_the_power_of_shares_is_what_simulation_finds(correlation: float | None) -> None:
    rng = np.random.default_rng(2)
    n, first, second = 400, 0.6, 0.68
    spread = math.sqrt(first * (1 - first) * second * (1 - second))
    both = first * second + (correlation or 0) * spread
    cells = [both, first - both, second - both, 1 - first - second + both]
    drawn = rng.multinomial(n, cells, size=20_000)
    gap = (drawn[:, 2] - drawn[:, 1]) / n
    if correlation is None:
        a, b = (rng.binomial(n, share, 20_000) / n for share in (first, second))
        gap, variance = b - a, (a * (1 - a) + b * (1 - b)) / (n - 1)
    else:
        variance = ((drawn[:, 1] + drawn[:, 2]) / n - gap**2) / (n - 1)
    found = float(np.mean(np.abs(gap) > 1.96 * np.sqrt(variance)))
    power = power_of_proportions(n, first, second, Design(correlation))
    assert power == pytest.approx(found, abs=0.015)
