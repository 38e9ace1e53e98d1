"""Maximal marginal relevance against its definition, and the order of passages in prompts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.core import FloatMatrix
from rostra.retrieval import outside_in
from rostra.retrieval.diversity import diverse_order


def units(seed: int, count: int) -> FloatMatrix:
    vectors = np.random.default_rng(seed).normal(size=(count, 6))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def naive(relevance: list[float], vectors: FloatMatrix, diversity: float, most: int) -> list[int]:
    taken: list[int] = []
    while len(taken) < min(most, len(relevance)):
        worths = {}
        for row in range(len(relevance)):
            if row not in taken:
                close = max(
                    (float(vectors[row].astype(float) @ vectors[one].astype(float))
                     for one in taken), default=0.0,
                )  # fmt: skip
                worths[row] = (1 - diversity) * relevance[row] - diversity * close
        best = max(worths.values())
        taken.append(min(row for row, worth in worths.items() if worth >= best - 1e-12))
    return taken


@given(
    st.lists(st.floats(0, 1).map(lambda number: round(number, 2)), max_size=10),
    st.integers(0, 1000),
    st.sampled_from((0.0, 0.1, 0.5, 0.9, 1.0)),
    st.integers(0, 12),
)
def test_each_next_one_is_the_best_by_the_definition(
    relevance: list[float], seed: int, diversity: float, most: int
) -> None:
    vectors = units(seed, len(relevance))
    found = diverse_order(np.array(relevance, np.float64), vectors, diversity, most)
    assert found.tolist() == naive(relevance, vectors, diversity, most)


def test_what_says_the_same_is_put_back() -> None:
    same, other = units(1, 2)
    vectors = np.stack([same, same, same, other])
    relevance = np.array([1.0, 0.9, 0.8, 0.5])
    assert diverse_order(relevance, vectors, 0.0, 4).tolist() == [0, 1, 2, 3]
    assert diverse_order(relevance, vectors, 0.5, 4).tolist() == [0, 3, 1, 2]


@pytest.mark.parametrize(
    ("given_order", "expected"),
    [
        ([], []),
        ([1], [1]),
        ([1, 2], [1, 2]),
        ([1, 2, 3], [1, 3, 2]),
        ([1, 2, 3, 4, 5, 6], [1, 3, 5, 6, 4, 2]),
    ],
)
def test_the_best_stand_first_and_last(given_order: list[int], expected: list[int]) -> None:
    assert outside_in(given_order) == expected
