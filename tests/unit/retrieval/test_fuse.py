"""Fusion against plain formulas, and what holds for any scores."""

import statistics

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rostra.core import FusionKind
from rostra.retrieval.fuse import fuse, min_max

NAN = float("nan")
finite = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda number: round(number, 3))
scored = finite | st.just(NAN)
candidates = st.lists(st.tuples(finite, scored), min_size=1, max_size=12)
weights = st.floats(0, 1)
kinds: st.SearchStrategy[FusionKind] = st.sampled_from(("convex", "zscore", "rrf"))


@given(st.lists(scored, max_size=12))
@example([])
@example([NAN, NAN])
@example([-1.0])
@example([-3.0, -1.0, NAN])
@example([2.0, 2.0, 2.0])
def test_min_max_keeps_to_0_and_1_and_keeps_the_order(numbers: list[float]) -> None:
    moved = min_max(np.array(numbers, np.float64))
    assert moved.shape == (len(numbers),)
    assert ((moved >= 0) & (moved <= 1)).all()
    assert (moved[np.isnan(numbers)] == 0).all()
    for one, moved_one in zip(numbers, moved, strict=True):
        for other, moved_other in zip(numbers, moved, strict=True):
            if one == other:
                assert moved_one == moved_other
            if one > other:
                assert moved_one >= moved_other
                assert moved_one > 0
    if any(not np.isnan(number) for number in numbers):
        assert moved.max() == 1


def test_min_max_where_nothing_tells_candidates_apart() -> None:
    assert min_max(np.array([2.0, 2.0])).tolist() == [1, 1]
    assert min_max(np.array([2.0, NAN])).tolist() == [1, 0]
    # BM25 of a term that stands in most chunks of a handful
    assert min_max(np.array([-0.5, NAN])).tolist() == [1, 0]


def test_min_max_takes_a_missing_score_for_zero_where_scores_are_positive() -> None:
    assert min_max(np.array([1.0, 3.0, 4.0, NAN])).tolist() == [0.25, 0.75, 1, 0]
    assert min_max(np.array([1.0, 3.0, 4.0])).tolist() == pytest.approx([0, 2 / 3, 1])


def plain_min_max(numbers: list[float]) -> list[float]:
    present = [number for number in numbers if number == number]
    if not present:
        return [0.0 for _ in numbers]
    low = min(present) if len(present) == len(numbers) else min(*present, 0.0, 0.0)
    high = max(present)
    return [
        0.0 if number != number else (number - low) / (high - low) if high > low else 1.0
        for number in numbers
    ]


def plain_z_score(numbers: list[float]) -> list[float]:
    present = [number for number in numbers if number == number]
    if not present:
        return [0.0 for _ in numbers]
    filled = [min(*present, 0.0, 0.0) if number != number else number for number in numbers]
    deviation = statistics.pstdev(filled)
    if deviation < 1e-9:
        return [0.0 for _ in numbers]
    return [(number - statistics.fmean(filled)) / deviation for number in filled]


def plain_reciprocal(numbers: list[float], rrf_k: int) -> list[float]:
    ranked = sorted(
        (at for at, number in enumerate(numbers) if number == number),
        key=lambda at: (-numbers[at], at),
    )
    return [
        1 / (rrf_k + ranked.index(at) + 1) if at in ranked else 0.0 for at in range(len(numbers))
    ]


@given(candidates, weights, st.integers(1, 100), kinds)
def test_fused_scores_are_the_plain_formulas(
    rows: list[tuple[float, float]], weight: float, rrf_k: int, kind: FusionKind
) -> None:
    dense, lexical = [row[0] for row in rows], [row[1] for row in rows]
    fused = fuse(kind, np.array(dense), np.array(lexical), dense_weight=weight, rrf_k=rrf_k)
    plain = {
        "convex": plain_min_max,
        "zscore": plain_z_score,
        "rrf": lambda side: plain_reciprocal(side, rrf_k),
    }
    parts = [plain[kind](side) for side in (dense, lexical)]
    expected = [weight * one + (1 - weight) * other for one, other in zip(*parts, strict=True)]
    np.testing.assert_allclose(fused, expected, rtol=1e-9, atol=1e-9)


@given(candidates, weights, kinds, st.data())
def test_a_better_score_never_makes_a_candidate_worse(
    rows: list[tuple[float, float]], weight: float, kind: FusionKind, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(rows) - 1))
    side = data.draw(st.integers(0, 1))
    scores = [np.array([row[0] for row in rows]), np.array([row[1] for row in rows])]
    before = fuse(kind, *scores, dense_weight=weight, rrf_k=60)[at]
    old = scores[side][at]
    # What has no score counts as 0, or as the worst where some are below.
    missing = min(0.0, float(np.nanmin(scores[side], initial=0.0)))
    scores[side][at] = (missing if np.isnan(old) else old) + data.draw(st.floats(0, 1e6))
    after = fuse(kind, *scores, dense_weight=weight, rrf_k=60)[at]
    assert after >= before - 1e-12


@pytest.mark.parametrize("kind", ["convex", "zscore", "rrf"])
def test_weights_of_0_and_1_leave_one_side_only(kind: FusionKind) -> None:
    dense, lexical = np.array([0.1, 0.9, 0.5]), np.array([3.0, NAN, 7.0])
    by_dense = fuse(kind, dense, lexical, dense_weight=1, rrf_k=60)
    by_lexical = fuse(kind, dense, lexical, dense_weight=0, rrf_k=60)
    assert np.argsort(-by_dense).tolist() == [1, 2, 0]
    assert np.argsort(-by_lexical).tolist() == [2, 0, 1]
    assert by_lexical[1] == 0 or (kind == "zscore" and by_lexical[1] == by_lexical.min())


@given(st.lists(scored, min_size=1, max_size=12))
@example([1e6] * 9 + [1e6 + 1e-9])
@example([0.1, 0.1, 0.1])
def test_equal_scores_stay_equal_as_z_scores(numbers: list[float]) -> None:
    moved = fuse("zscore", np.zeros(len(numbers)), np.array(numbers), dense_weight=0, rrf_k=60)
    assert np.isfinite(moved).all()
    for one, moved_one in zip(numbers, moved, strict=True):
        for other, moved_other in zip(numbers, moved, strict=True):
            if one == other:
                assert moved_one == moved_other
            if one > other:
                assert moved_one >= moved_other


def test_no_scores_are_all_the_same_z_score() -> None:
    nothing = fuse("zscore", np.array([NAN, NAN]), np.array([NAN, NAN]), dense_weight=0.5, rrf_k=1)
    assert nothing.tolist() == [0, 0]
