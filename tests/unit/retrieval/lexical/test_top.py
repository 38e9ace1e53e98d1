"""Ranking many scores, and what a term weighs."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from rostra.retrieval.lexical import best_positions, term_weight


def test_rarer_terms_weigh_more_and_every_term_something() -> None:
    assert term_weight(1, 10_000) > term_weight(50, 10_000) > term_weight(9_999, 10_000) > 0
    assert term_weight(0, 10_000) == term_weight(1, 10_000)
    # In a tiny collection a term that is found weighs about what a missing one does.
    assert term_weight(1, 1) == term_weight(0, 1)
    assert term_weight(3, 3) > 0.7 * term_weight(0, 3)


numbers = st.sampled_from([-2.0, -0.5, 0.0, 0.5, 1.0, float("nan")])


@given(st.lists(st.tuples(numbers, st.booleans()), max_size=30), st.integers(0, 12), st.booleans())
@example([(1.0, True)] * 20, 3, True)
def test_best_positions_are_those_of_a_full_stable_sort(
    rows: list[tuple[float, bool]], k: int, masked: bool
) -> None:
    scores = np.array([row[0] for row in rows], np.float64)
    mask = np.array([row[1] for row in rows], np.bool_)
    allowed = [
        at
        for at, (score, wanted) in enumerate(rows)
        if not np.isnan(score) and (wanted or not masked)
    ]
    expected = sorted(allowed, key=lambda at: (-scores[at], at))[:k]
    assert best_positions(scores, k, mask if masked else None).tolist() == expected
