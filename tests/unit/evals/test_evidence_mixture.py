"""The mixture of a scorer's log-odds and search: found again from what was made by it."""

import numpy as np
import pytest
from scipy.optimize import check_grad

from evals.evidence_mixture import Asked, _loss, fit_mixture


def made(count: int, weights: tuple[float, ...], seed: int = 0) -> list[Asked]:
    """Questions whose answer, if any, was drawn by these weights, the bias last."""
    random = np.random.default_rng(seed)
    asked = []
    for _ in range(count):
        signs = random.normal(size=(12, 4))
        odds = np.exp(np.r_[0.0, signs @ np.array(weights[:-1]) + weights[-1]])
        drawn = random.choice(13, p=odds / odds.sum())
        asked.append(Asked(signs, np.arange(1, 13) == drawn, 3))
    return asked


def test_the_weights_that_made_the_answers_are_found_again() -> None:
    weights = (1.2, 0.6, -0.8, 0.5, -1.5)
    found = fit_mixture(made(3000, weights), cosine=True, most=4)
    fitted = (found.odds, found.share, found.rank, found.cosine, found.bias)
    assert fitted == pytest.approx(weights, abs=0.15)


def test_the_gradient_is_the_losss() -> None:
    rows = [(np.c_[one.signs, np.ones(12)], one.right) for one in made(20, (1.0, 0, 0, 0, 0))]
    at = np.array([0.3, -0.2, 0.1, 0.5, -0.4])
    assert check_grad(lambda w: _loss(w, rows)[0], lambda w: _loss(w, rows)[1], at) < 1e-5


def test_the_threshold_refuses_the_share_and_the_cut_quotes_as_many() -> None:
    asked = made(2000, (1.2, 0.6, -0.8, 0.5, -1.5))
    found = fit_mixture(asked, cosine=False, most=4, refused=0.1)
    assert found.cosine == 0
    answered = [one for one in asked if one.right.any()]

    def mixed(one: Asked) -> np.ndarray:
        return np.array([found.log_odds(*signs[:3], 0.0) for signs in one.signs])

    refused = np.mean([mixed(one).max() < found.threshold for one in answered])
    assert refused == pytest.approx(0.1, abs=0.01)
    quoted = [
        min(4, int((mixed(one) >= mixed(one).max() + np.log(found.cut)).sum())) for one in asked
    ]
    assert np.mean(quoted) == pytest.approx(3, abs=0.3)


def test_a_set_without_a_found_answer_is_refused() -> None:
    nothing = [Asked(np.zeros((3, 4)), np.zeros(3, bool), 1)]
    with pytest.raises(ValueError, match="no question"):
        fit_mixture(nothing, cosine=True, most=4)
