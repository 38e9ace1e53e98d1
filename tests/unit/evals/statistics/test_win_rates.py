"""Win rates, plain and at equal length: against statsmodels, and how often they are right."""

import math
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from evals.statistics import (
    StatisticsError,
    length_controlled_win_rate,
    mean_estimate,
    proportion_estimate,
    win_rate,
)

preferences = st.lists(
    st.tuples(st.sampled_from([0, 0.5, 1]), st.integers(-5, 5), st.integers(0, 4)),
    min_size=1,
    max_size=30,
)


def test_wins_and_losses_are_a_share_and_ties_a_mean() -> None:
    assert win_rate([1, 1, 0, 1]) == proportion_estimate([1, 1, 0, 1])
    tied = win_rate([1, 1, 0.5, 1, 1, 1])
    expected = mean_estimate([1, 1, 0.5, 1, 1, 1])
    assert tied.mean == expected.mean
    assert tied.interval is not None
    assert expected.interval is not None
    assert expected.interval.high > 1
    assert tied.interval.high == 1
    assert win_rate([0.5, 0.5]).interval is None


def test_many_preferences_are_a_logistic_regression() -> None:
    rng = np.random.default_rng(1)
    lengths = rng.normal(150, 300, 4000)
    scaled = np.tanh(lengths / lengths.std())
    won = rng.random(4000) < expit(0.4 + 0.9 * scaled)
    found = length_controlled_win_rate(won, lengths)
    fit = sm.Logit(won.astype(float), sm.add_constant(scaled)).fit(disp=False)
    assert found.win_rate.mean == pytest.approx(expit(fit.params[0]), abs=1e-3)
    assert found.length_effect == pytest.approx(fit.params[1], abs=5e-3)
    assert found.raw == win_rate(won)
    assert found.win_rate.interval is not None
    low, high = expit(fit.conf_int()[0])
    assert found.win_rate.interval.low == pytest.approx(low, abs=2e-3)
    assert found.win_rate.interval.high == pytest.approx(high, abs=2e-3)


def test_firths_penalty_by_hand() -> None:
    # Without an effect of length the intercept is log((wins + 1/2) / (losses + 1/2)) for one
    # coefficient; lengths that balance within wins and losses leave the effect at 0 and add 1/2.
    lengths = [-1, 1] * 10
    won = [1, 1] * 10
    found = length_controlled_win_rate(won, lengths)
    # Two cells of ten wins each, both with 1/2 a win and 1/2 a loss more.
    assert found.win_rate.mean == pytest.approx(10.5 / 11)
    assert found.length_effect == pytest.approx(0, abs=1e-9)
    assert found.raw.mean == 1


def test_a_judge_that_looks_at_length_alone_leaves_a_wide_interval() -> None:
    lengths = np.concatenate([np.arange(1, 40), -np.arange(1, 40)])
    found = length_controlled_win_rate(lengths > 0, lengths)
    assert found.win_rate.mean == pytest.approx(0.5, abs=1e-6)
    assert found.length_effect > 5
    assert found.win_rate.interval is not None
    assert found.win_rate.interval.high - found.win_rate.interval.low > 0.4


def test_equal_lengths_have_nothing_to_control() -> None:
    found = length_controlled_win_rate([1, 0, 1], [0, 0, 0])
    assert found.win_rate == found.raw == win_rate([1, 0, 1])
    assert found.length_effect == 0


@pytest.mark.parametrize(
    ("won", "lengths"),
    [
        ([], []),
        ([1, 0], [1]),
        ([1.5, 0], [1, 2]),
        ([1, -1], [1, 2]),
        ([1, math.nan], [1, 2]),
        ([1, 0], [1, math.inf]),
        ([1, 0, 1], [7, 7, 7]),
        ([1, 0, 1], [7, 7, 7 + 1e-9]),
    ],
)
def test_what_tells_nothing_of_equal_length_is_refused(won: Any, lengths: Any) -> None:
    with pytest.raises(StatisticsError):
        length_controlled_win_rate(won, lengths)


@given(preferences, st.sampled_from([0.01, 3, 1000]), st.randoms(use_true_random=False))
def test_units_order_and_sides_make_no_difference(
    sample: list[tuple[float, int, int]], unit: float, random: Any
) -> None:
    won, lengths, clusters = zip(*sample, strict=True)
    try:
        expected = length_controlled_win_rate(won, lengths, clusters)
    except StatisticsError:
        return
    assert math.isfinite(expected.length_effect)
    assert 0 <= expected.win_rate.mean <= 1
    if expected.win_rate.interval is not None:
        assert 0 <= expected.win_rate.interval.low <= expected.win_rate.mean
        assert expected.win_rate.mean <= expected.win_rate.interval.high <= 1
    random.shuffle(sample)
    won, lengths, clusters = zip(*sample, strict=True)
    scaled = [length * unit for length in lengths]
    found = length_controlled_win_rate(won, scaled, [f"c{c}" for c in clusters])
    assert found.win_rate.mean == pytest.approx(expected.win_rate.mean, abs=1e-5)
    mirrored = length_controlled_win_rate(
        [1 - w for w in won], [-length for length in lengths], clusters
    )
    assert mirrored.win_rate.mean == pytest.approx(1 - expected.win_rate.mean, abs=1e-5)
    assert mirrored.length_effect == pytest.approx(expected.length_effect, rel=1e-3, abs=1e-3)


# --- How often an interval of 95 % holds the truth ----------------------------------------------


def test_rates_at_equal_length_are_covered_where_raw_ones_are_off() -> None:
    rng = np.random.default_rng(2)
    held, raw = [], []
    for _ in range(500):
        lengths = rng.normal(1, 1, 150)
        won = rng.random(150) < expit(0.2 + 1.2 * np.tanh(lengths / lengths.std()))
        found = length_controlled_win_rate(won, lengths)
        truth = float(expit(0.2))
        held.append(found.win_rate.interval is not None and found.win_rate.interval.contains(truth))
        raw.append(found.raw.interval is not None and found.raw.interval.contains(truth))
    assert 0.93 < np.mean(held) < 0.98
    assert np.mean(raw) < 0.5


def test_clustered_rates_at_equal_length_are_covered() -> None:
    rng = np.random.default_rng(3)
    clusters = np.repeat(np.arange(50), 4)
    held, naive = [], []
    for _ in range(400):
        lengths = rng.normal(0, 1, 200)
        # Each cluster's preferences lean one way: a coin of 0.9 or of 0.1, 0.5 at equal length.
        lean = np.where(rng.random(50) < 0.5, 0.9, 0.1)[clusters]
        won = rng.random(200) < lean
        for into, labels in ((held, clusters), (naive, None)):
            interval = length_controlled_win_rate(won, lengths, labels).win_rate.interval
            into.append(interval is not None and interval.contains(0.5))
    assert 0.93 < np.mean(held) < 0.97
    assert np.mean(naive) < 0.85
