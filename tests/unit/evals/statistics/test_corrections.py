"""Adjusted p-values: against statsmodels, and what must hold of them."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from evals.statistics import StatisticsError, benjamini_hochberg, holm

Adjustment = Callable[[Any], tuple[float, ...]]
BOTH = [holm, benjamini_hochberg]
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))


def test_benjamini_hochberg_by_hand() -> None:
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.02, 0.04, 0.04, 0.02))


@pytest.mark.parametrize("count", [1, 7, 100])
def test_they_are_statsmodels(count: int) -> None:
    given_p = np.round(np.random.default_rng(count).beta(0.3, 2, count), 2)  # with ties
    for adjust, method in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        assert adjust(given_p) == pytest.approx(multipletests(given_p, method=method)[1])


@given(p_values, st.randoms(use_true_random=False))
@pytest.mark.parametrize("adjust", BOTH)
def test_they_keep_the_order_and_never_lower(
    adjust: Adjustment, given_p: list[float], random: Any
) -> None:
    found = adjust(given_p)
    assert all(
        before <= after + 1e-15 and after <= 1 for before, after in zip(given_p, found, strict=True)
    )
    ranked = [after for _, after in sorted(zip(given_p, found, strict=True))]
    assert ranked == sorted(ranked)
    order = list(range(len(given_p)))
    random.shuffle(order)
    assert adjust([given_p[i] for i in order]) == pytest.approx([found[i] for i in order])


@given(p_values)
def test_holm_is_the_stricter_one(given_p: list[float]) -> None:
    assert np.all(np.array(holm(given_p)) >= np.array(benjamini_hochberg(given_p)) - 1e-12)


@pytest.mark.parametrize("adjust", BOTH)
@pytest.mark.parametrize("wrong", [[], [0.5, 1.1], [-0.1], [math.nan], ["x"], [None]])
def test_what_is_no_p_value_is_refused(adjust: Adjustment, wrong: Any) -> None:
    with pytest.raises(StatisticsError):
        adjust(wrong)
