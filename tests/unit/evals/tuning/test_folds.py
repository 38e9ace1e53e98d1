"""Cross-validation that cannot see what it is scored on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals import DatasetError
from evals.tuning.folds import best_way, cross_validate


def values_of(seed: int, ways: int, queries: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(seed).random((ways, queries))


@given(
    st.integers(0, 100), st.integers(1, 6), st.integers(2, 30), st.integers(2, 8),
    st.integers(0, 5), st.data(),
)  # fmt: skip
def test_what_is_chosen_for_a_query_does_not_depend_on_its_fold(
    seed: int, ways: int, queries: int, folds: int, deal: int, data: st.DataObject
) -> None:
    values = values_of(seed, ways, queries)
    before = cross_validate(values, folds=folds, rounds=2, seed=deal)
    query = data.draw(st.integers(0, queries - 1))
    for number in range(2):
        fold = before.folds[number] == before.folds[number, query]
        changed = values.copy()
        changed[:, fold] = np.random.default_rng(seed + 1).random((ways, fold.sum())) * 1e6
        after = cross_validate(changed, folds=folds, rounds=2, seed=deal)
        np.testing.assert_array_equal(before.folds, after.folds)
        assert before.chosen[number, query] == after.chosen[number, query]


def test_a_query_that_loves_one_way_is_not_scored_with_it() -> None:
    """Each query is good in a way of its own: tuned on all, all are perfect; held out, none is."""
    values = np.eye(10)
    held_out = cross_validate(values, folds=10, rounds=3).values(values)
    assert held_out.tolist() == [0.0] * 10


def test_noise_gains_nothing_in_the_mean() -> None:
    gains = []
    for seed in range(40):
        values = values_of(seed, 50, 40)
        gains.append(cross_validate(values, seed=seed).values(values).mean() - 0.5)
        assert values.mean(axis=1).max() - 0.5 > 0.05
    assert abs(np.mean(gains)) < 0.02


def test_a_way_that_is_better_everywhere_is_found() -> None:
    values = values_of(1, 5, 30) * 0.1
    values[3] += 1
    found = cross_validate(values)
    assert (found.chosen == 3).all()
    np.testing.assert_allclose(found.values(values), values[3])
    assert best_way(np.zeros((4, 7))) == 0


def test_every_query_is_held_out_once_a_round_and_seeds_decide() -> None:
    values = values_of(2, 3, 23)
    one, same, other = (cross_validate(values, folds=4, seed=seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(one.folds, same.folds)
    assert (one.folds != other.folds).any()
    for dealt in one.folds:
        assert sorted(np.bincount(dealt).tolist()) == [5, 6, 6, 6]


def test_one_query_is_too_few() -> None:
    with pytest.raises(DatasetError, match="two judged queries"):
        cross_validate(np.ones((3, 1)))
