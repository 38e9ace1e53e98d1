"""One curve for several sets: each counts the same, and is told by the others' curve."""

import numpy as np
import pytest
from scipy import special

from evals import DatasetError
from evals.tuning.choices import JudgedQuery
from evals.tuning.together import calibrated_together


def queries(seed: int, count: int, intercept: float) -> list[JudgedQuery]:
    generator = np.random.default_rng(seed)
    made = []
    for number in range(count):
        dense, shares = generator.uniform(0, 0.9, 50), generator.uniform(0, 1.2, 50)
        rows = generator.random(50) < special.expit(intercept + 6 * dense + 2 * shares)
        documents = tuple(f"d{at}" for at in range(50))
        made.append(
            JudgedQuery(
                id=f"q{number}",
                documents=documents,
                dense=dense,
                lexical=shares,
                shares=shares,
                late=None,
                relevant={f"d{at}": 1 for at in np.flatnonzero(rows)},
            )
        )
    return made


def test_a_set_is_told_by_the_curve_of_the_others_alone() -> None:
    sets = {"a": queries(1, 20, -4.0), "b": queries(2, 20, -4.0), "c": queries(3, 20, -4.0)}
    found = calibrated_together(sets)
    assert [one.name for one in found.held_out] == ["a", "b", "c"]
    assert all(one.brier < one.base for one in found.held_out)
    # What is in a set changes its own figures, and those by which the others are told.
    without = calibrated_together({name: sets[name] for name in ("b", "c")})
    assert found.held_out[0].calibration == without.calibration
    changed = calibrated_together(sets | {"a": queries(9, 20, -8.0)})
    assert changed.held_out[0].calibration == found.held_out[0].calibration
    assert changed.held_out[1].calibration != found.held_out[1].calibration


def test_a_large_set_counts_no_more_than_a_small_one() -> None:
    small, large = queries(1, 10, -2.0), queries(2, 10, -7.0)
    once = calibrated_together({"small": small, "large": large}).calibration
    often = calibrated_together({"small": small, "large": large * 30}).calibration
    assert [often.intercept, often.dense, often.lexical] == pytest.approx(
        [once.intercept, once.dense, once.lexical], abs=0.05
    )


def test_one_set_is_no_judge_of_itself() -> None:
    with pytest.raises(DatasetError, match="two"):
        calibrated_together({"a": queries(1, 20, -4.0)})
    with pytest.raises(DatasetError, match="two"):
        calibrated_together({"a": queries(1, 20, -4.0), "b": queries(2, 3, -400.0)})
