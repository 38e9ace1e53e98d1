"""Probabilities from raw scores: monotone, and near the truth that data were drawn from."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from rostra.core import EmbeddingSpace, InvalidRequest, Settings, new_id
from rostra.retrieval import Calibration, fit_calibration, lexical_share
from rostra.retrieval.calibration import default_calibration
from rostra.retrieval.refine import Refiner
from rostra.store import Collection, Database
from rostra.store.tables import utc_now


def drawn(seed: int, on_dense: float, on_lexical: float) -> tuple[np.ndarray, ...]:  # type: ignore[type-arg]
    generator = np.random.default_rng(seed)
    dense, lexical = generator.uniform(-0.2, 1, 4000), generator.uniform(0, 3, 4000)
    odds = -4 + on_dense * dense + on_lexical * lexical
    return dense, lexical, generator.random(4000) < special.expit(odds)


@given(
    st.integers(0, 100),
    st.sampled_from((-6.0, 0.0, 5.0)),
    st.sampled_from((-2.0, 0.0, 1.0)),
    st.floats(-1, 1),
    st.floats(0, 5),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_a_better_score_is_never_less_likely(
    seed: int, on_dense: float, on_lexical: float, dense: float, lexical: float, a: float, b: float
) -> None:
    calibration = fit_calibration(*drawn(seed, on_dense, on_lexical))
    low, high = calibration.probabilities(
        np.array([dense, dense + a]), np.array([lexical, lexical + b])
    )
    assert 0 <= low <= high <= 1


def test_probabilities_are_those_that_the_data_were_drawn_with() -> None:
    dense, lexical, relevant = drawn(1, 5.0, 1.0)
    calibration = fit_calibration(dense, lexical, relevant)
    found = calibration.probabilities(dense, lexical)
    truth = special.expit(-4 + 5 * dense + lexical)
    assert np.abs(found - truth).max() < 0.08
    # What tells nothing has no slope.
    assert fit_calibration(dense, lexical * 0, relevant).lexical == 0


def test_separable_data_have_a_finite_curve() -> None:
    dense = np.array([0.1, 0.2, 0.8, 0.9])
    found = fit_calibration(dense, np.zeros(4), dense > 0.5)
    assert np.isfinite([found.intercept, found.dense, found.lexical]).all()


@pytest.mark.parametrize("relevant", [[True, True], [False, False], []])
def test_one_kind_alone_says_nothing(relevant: list[bool]) -> None:
    count = len(relevant)
    with pytest.raises(InvalidRequest):
        fit_calibration(np.zeros(count), np.zeros(count), np.array(relevant, np.bool_))


def test_lexical_shares_compare_across_queries() -> None:
    assert lexical_share(6.0, {"a": 2.0, "b": 1.0}) == 2.0
    assert lexical_share(-1.0, {"a": 2.0}) == 0.0
    assert lexical_share(None, {"a": 2.0}) == lexical_share(1.0, {}) == 0.0
    assert Calibration(0.0, 1.0, 1.0).probabilities(np.zeros(1), np.zeros(1)).tolist() == [0.5]


def test_what_counts_more_is_fitted_as_if_it_were_there_more_often() -> None:
    dense, lexical, relevant = drawn(1, 5.0, 1.0)
    often = [np.concatenate([one, one[:1000], one[:1000]]) for one in (dense, lexical, relevant)]
    weights = np.where(np.arange(4000) < 1000, 3.0, 1.0)
    one = fit_calibration(dense, lexical, relevant, weights)
    other = fit_calibration(*often)
    assert [one.intercept, one.dense, one.lexical] == pytest.approx(
        [other.intercept, other.dense, other.lexical], abs=0.01
    )


PACKAGED = EmbeddingSpace(
    "all-MiniLM-L6-v2", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", 384
)


def test_the_packaged_model_has_a_curve_of_its_own() -> None:
    found = default_calibration([PACKAGED, replace(PACKAGED, rotation="f" * 64)])
    assert found is not None
    # About the subject, in other words; about something else, with a word or two in common.
    about, other = found.probabilities(np.array([0.6, 0.25]), np.array([0.4, 0.3]))
    assert about > 0.2
    assert other < 0.05


@pytest.mark.parametrize(
    "changed",
    [
        {"revision": "0" * 64},
        {"dimensions": 128},
        {"query_prompt": "q: "},
        {"document_prompt": "d"},
    ],
)
def test_other_cosines_have_none(changed: dict[str, str | int]) -> None:
    space = replace(PACKAGED, **changed)  # type: ignore[arg-type]
    assert default_calibration([space]) is None
    assert default_calibration([PACKAGED, space]) is None


@pytest.mark.parametrize(
    ("changed", "has_one"),
    [({}, True), ({"bm25": "plus"}, False), ({"bm25_k1": 20.0}, False), ({"bm25_b": 0.1}, False)],
)
def test_other_scores_of_terms_have_none(
    settings: Settings, changed: dict[str, Any], has_one: bool
) -> None:
    now = utc_now()
    collection = Collection(new_id(), "a", "", PACKAGED, new_id(), 1, now, now)
    refiner = Refiner(cast(Database, None), settings.model_copy(update=changed), lambda: None)
    assert (refiner.plan([collection], 5).calibration is not None) == has_one
    if not has_one:
        with pytest.raises(InvalidRequest, match="nothing says how likely"):
            refiner.plan([collection], 5, min_probability=0.5)
