"""Dense indexes against brute force in numpy."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.core import FloatMatrix, FloatVector
from rostra.retrieval.dense import (
    FlatIndex,
    HnswIndex,
    load_dense_index,
    make_dense_index,
    picked_kind,
    whole,
)
from rostra.retrieval.lexical import Mask

# The fraction of vectors that a mask allows.
SHARES = (0.0, 0.002, 0.1, 0.7, 1.0)


def unit(vectors: npt.NDArray[np.float64]) -> FloatMatrix:
    rows = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return rows.astype(np.float32)


@pytest.fixture(scope="module")
def vectors() -> FloatMatrix:
    """Vectors in clusters, as text has them."""
    random = np.random.default_rng(7)
    centres = random.normal(size=(40, 24))
    return unit(centres[random.integers(0, 40, 2_000)] + 0.6 * random.normal(size=(2_000, 24)))


@pytest.fixture(scope="module")
def queries(vectors: FloatMatrix) -> FloatMatrix:
    random = np.random.default_rng(8)
    near = vectors[random.integers(0, len(vectors), 50)]
    return unit(near + 0.1 * random.normal(size=near.shape))


@pytest.fixture(scope="module")
def hnsw(vectors: FloatMatrix) -> HnswIndex:
    return HnswIndex.build(vectors)


def brute(vectors: FloatMatrix, query: FloatVector, k: int, mask: Mask | None = None) -> list[int]:
    scores = np.einsum("ij,j->i", vectors, query)
    allowed = [at for at in range(len(vectors)) if mask is None or mask[at]]
    return sorted(allowed, key=lambda at: (-scores[at], at))[:k]


def masks(count: int) -> list[Mask]:
    random = np.random.default_rng(9)
    return [random.random(count) < share for share in SHARES]


@pytest.mark.parametrize("gather_limit", [-1, 1_000, 10_000], ids=["selector", "both", "gather"])
def test_flat_search_is_brute_force_under_any_mask(
    vectors: FloatMatrix,
    queries: FloatMatrix,
    gather_limit: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(whole, "_GATHER_LIMIT", gather_limit)
    index = FlatIndex(vectors)
    for mask in [None, *masks(len(vectors))]:
        for query in queries[:10]:
            # FAISS keeps candidates by other means from 100 on.
            for k in (1, 10, 150):
                assert index.search(query, k, mask).tolist() == brute(vectors, query, k, mask)


def test_flat_scores_are_inner_products(vectors: FloatMatrix, queries: FloatMatrix) -> None:
    positions = np.array([5, 1_999, 0, 5], np.int64)
    scores = FlatIndex(vectors).scores(queries[0], positions)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, vectors[positions] @ queries[0], atol=1e-6)


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_an_empty_index_finds_nothing(kind: whole.DenseKind, tmp_path: Path) -> None:
    empty = np.zeros((0, 24), np.float32)
    index = make_dense_index(empty, kind)
    index.save(tmp_path)
    query = unit(np.ones(24))
    for one in (index, load_dense_index(tmp_path, empty, kind)):
        assert one.vectors.shape == (0, 24)
        assert one.search(query, 10).tolist() == []
        assert one.search(query, 10, np.zeros(0, np.bool_)).tolist() == []
        assert one.scores(query, np.zeros(0, np.int64)).tolist() == []


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_more_asked_for_than_there_is_and_nothing_asked_for(
    kind: whole.DenseKind, vectors: FloatMatrix
) -> None:
    index = make_dense_index(vectors[:7], kind)
    query = vectors[3]
    assert index.search(query, 100).tolist() == brute(vectors[:7], query, 7)
    assert index.search(query, 0).tolist() == []
    mask = np.array([False, True] * 3 + [False])
    assert sorted(index.search(query, 100, mask).tolist()) == [1, 3, 5]
    assert index.search(query, 0, mask).tolist() == []


@given(data=st.data())
def test_equal_vectors_tie_and_stand_in_the_order_of_their_positions(data: st.DataObject) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    few = unit(random.normal(size=(4, 64)))
    # Equal vectors in rows of any alignment, between others.
    picked = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=300))
    stored, k = few[picked], data.draw(st.integers(1, 320))
    mask = random.random(len(picked)) < 0.8
    index = FlatIndex(stored)
    scores = index.scores(few[1], np.arange(len(picked)))
    assert len(set(scores.tolist())) == len(set(picked))
    assert index.search(few[0], k, mask).tolist() == brute(stored, few[0], k, mask)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole, "_GATHER_LIMIT", -1)
        for allowed in (None, mask):
            found = index.search(few[0], k, allowed).tolist()
            expected = brute(stored, few[0], k, allowed)
            # Which of several equal ones is the last to get in is FAISS's choice.
            assert [picked[at] for at in found] == [picked[at] for at in expected]
            assert found == sorted(found, key=lambda at: (expected_rank(expected, picked, at), at))
            assert index.search(few[0], k, allowed).tolist() == found


def expected_rank(expected: list[int], picked: list[int], at: int) -> int:
    """The place of a vector's kind in the expected order."""
    return [picked[one] for one in expected].index(picked[at])


def test_hnsw_finds_nearly_all_that_brute_force_does(
    vectors: FloatMatrix, queries: FloatMatrix, hnsw: HnswIndex
) -> None:
    assert np.array_equal(hnsw.vectors, vectors)
    found = [
        len(set(hnsw.search(query, 10).tolist()) & set(brute(vectors, query, 10)))
        for query in queries
    ]
    assert sum(found) / (10 * len(queries)) >= 0.95


@pytest.mark.parametrize("gather_limit", [-1, 1_000], ids=["selector", "both"])
def test_hnsw_never_returns_what_the_mask_forbids(
    vectors: FloatMatrix,
    queries: FloatMatrix,
    hnsw: HnswIndex,
    gather_limit: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(whole, "_GATHER_LIMIT", gather_limit)
    for mask in masks(len(vectors)):
        for query in queries[:20]:
            found = hnsw.search(query, 10, mask)
            assert mask[found].all()
            assert len(set(found.tolist())) == len(found)
            if mask.sum() <= gather_limit:
                assert found.tolist() == brute(vectors, query, 10, mask)


def test_hnsw_under_a_mask_still_finds_what_is_near(
    vectors: FloatMatrix, queries: FloatMatrix, hnsw: HnswIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "_GATHER_LIMIT", -1)
    mask = masks(len(vectors))[3]
    found = [
        len(set(hnsw.search(query, 10, mask).tolist()) & set(brute(vectors, query, 10, mask)))
        for query in queries
    ]
    assert sum(found) / (10 * len(queries)) >= 0.95


def test_a_saved_graph_answers_as_before(
    vectors: FloatMatrix, queries: FloatMatrix, hnsw: HnswIndex, tmp_path: Path
) -> None:
    hnsw.save(tmp_path)
    loaded = load_dense_index(tmp_path, vectors, "hnsw")
    assert isinstance(loaded, HnswIndex)
    assert np.array_equal(loaded.vectors, vectors)
    for query in queries[:20]:
        assert loaded.search(query, 10).tolist() == hnsw.search(query, 10).tolist()


def test_the_kind_that_is_asked_for_now_counts_not_the_one_saved(
    vectors: FloatMatrix, hnsw: HnswIndex, tmp_path: Path
) -> None:
    few = vectors[:50]
    assert isinstance(load_dense_index(tmp_path, few, "hnsw"), HnswIndex)
    hnsw.save(tmp_path)
    assert isinstance(load_dense_index(tmp_path, few, "flat"), FlatIndex)


def test_auto_is_exact_up_to_the_limit() -> None:
    assert picked_kind(whole.EXACT_LIMIT, "auto") == "flat"
    assert picked_kind(whole.EXACT_LIMIT + 1, "auto") == "hnsw"
