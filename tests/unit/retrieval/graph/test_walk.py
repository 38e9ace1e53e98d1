"""Personalised PageRank against the linear system that it solves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rostra.retrieval.graph.walk import FloatArray, personalised_pagerank

Edges = list[tuple[int, int, float]]


def solved(edges: Edges, restart: FloatArray, damping: float) -> FloatArray:
    """The fixed point by a dense solver."""
    nodes = len(restart)
    start = restart / restart.sum()
    weights = np.zeros((nodes, nodes))
    for one, other, weight in edges:
        weights[one, other] += weight
        weights[other, one] += weight
    step = np.empty((nodes, nodes))
    for node in range(nodes):
        total = weights[node].sum()
        step[node] = weights[node] / total if total else start
    found: FloatArray = np.linalg.solve(np.eye(nodes) - damping * step.T, (1 - damping) * start)
    return found


@st.composite
def neighbourhoods(draw: st.DrawFn) -> tuple[Edges, FloatArray, float]:
    nodes = draw(st.integers(1, 12))
    node = st.integers(0, nodes - 1)
    edges = draw(st.lists(st.tuples(node, node, st.floats(0.01, 5)), max_size=30))
    restart = draw(st.lists(st.floats(0, 3), min_size=nodes, max_size=nodes))
    restart[draw(node)] += 1
    return edges, np.array(restart), draw(st.sampled_from([0.0, 0.3, 0.5, 0.85]))


@settings(max_examples=60)
@given(neighbourhoods(), st.randoms(use_true_random=False))
def test_scores_are_those_of_a_dense_solver(
    given: tuple[Edges, FloatArray, float], shuffled: "np.random.Generator"
) -> None:
    edges, restart, damping = given
    scores = personalised_pagerank(edges, restart, damping=damping)
    np.testing.assert_allclose(scores, solved(edges, restart, damping), atol=1e-8)
    assert scores.sum() == pytest.approx(1)
    assert (scores >= 0).all()
    other = list(edges)
    shuffled.shuffle(other)
    np.testing.assert_array_equal(personalised_pagerank(other, restart, damping=damping), scores)


def test_what_cannot_be_reached_has_nothing() -> None:
    scores = personalised_pagerank([(0, 1, 1.0), (2, 3, 1.0)], np.array([1.0, 0, 0, 0]))
    assert scores[1] > 0
    assert scores[2] == scores[3] == 0


def test_two_hops_are_nearer_than_three() -> None:
    path = [(0, 1, 1.0), (1, 2, 1.0), (2, 3, 1.0)]
    scores = personalised_pagerank(path, np.array([1.0, 0, 0, 0]))
    assert scores[2] > scores[3] > 0
