"""Codes that rule vectors out: never one that is among the best, whatever the vectors are."""

from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rostra.core import FloatMatrix, FloatVector
from rostra.retrieval.dense import blocks
from rostra.retrieval.dense.bounded import FACTS, LANES, BoundedRows
from rostra.retrieval.dense.finder import Allowed
from rostra.retrieval.dense.pruned import PrunedFinder


def finder_of(rows: FloatMatrix, *cuts: int, seed: int = 0) -> PrunedFinder:
    """One that was given the rows in pieces, and a basis of another sample."""
    random = np.random.default_rng(seed)
    sample = rows[random.integers(0, len(rows), 50)] + 0.1
    finder = PrunedFinder.train(np.ascontiguousarray(sample, np.float32), len(rows))
    for piece in np.split(rows, sorted(cuts)):
        finder.add(piece, finder.encode(piece))
    return finder


def best(rows: FloatMatrix, query: FloatVector, k: int, mask: Any) -> set[int]:
    """All that are as good as the k-th, by sums in one order."""
    scores = np.einsum("ij,j->i", rows, query)
    places = np.flatnonzero(mask)
    edge = np.sort(scores[places])[-k]
    return {int(at) for at in places if scores[at] >= edge}


@settings(max_examples=60, deadline=None)
@given(
    width=st.sampled_from([1, 2, 7, 24, 40]),
    count=st.integers(1, 130),
    k=st.integers(1, 20),
    spread=st.sampled_from([1e-3, 1.0, 30.0]),
    seed=st.integers(0, 2**16),
    cuts=st.lists(st.integers(0, 130), max_size=4),
    share=st.sampled_from([1.0, 0.9, 0.3]),
)
def test_no_row_among_the_best_is_ruled_out(
    width: int, count: int, k: int, spread: float, seed: int, cuts: list[int], share: float
) -> None:
    random = np.random.default_rng(seed)
    rows = random.normal(size=(count, width)).astype(np.float32)
    rows *= random.choice([1.0, spread], size=(count, 1)).astype(np.float32)
    rows[random.random(count) < 0.2] = rows[0]
    mask = random.random(count) < share
    mask[0] = True
    finder = finder_of(rows, *(min(cut, count) for cut in cuts), seed=seed)
    allowed = Allowed.of(count, None, None if share == 1.0 else mask)
    mask = np.ones(count, np.bool_) if share == 1.0 else mask
    k = min(k, allowed.count)
    near = rows[random.integers(count)] + 0.1 * random.normal(size=width).astype(np.float32)
    for query in (rows[0], near.astype(np.float32), -rows[0], np.eye(width, dtype=np.float32)[0]):
        found = finder.find(query, k, allowed)
        assert len(set(found.tolist())) == len(found)
        assert mask[found].all()
        assert best(rows, query, k, mask) <= set(found.tolist())


def test_little_of_what_is_near_nothing_is_looked_at() -> None:
    random = np.random.default_rng(1)
    centres = random.normal(size=(60, 64))
    rows = centres[random.integers(0, 60, 6_000)] + 0.5 * random.normal(size=(6_000, 64))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    finder = finder_of(rows)
    found = finder.find(rows[7], 10, Allowed.of(len(rows), None, None))
    assert 10 <= len(found) < 60


def test_rows_that_come_later_are_not_seen() -> None:
    rows = np.random.default_rng(2).normal(size=(100, 24)).astype(np.float32)
    finder = finder_of(rows, 40)
    found = finder.find(rows[60], 40, Allowed.of(40, None, None))
    assert sorted(found.tolist()) == list(range(40))


def test_what_is_saved_is_loaded_by_its_codes() -> None:
    rows = np.random.default_rng(3).normal(size=(70, 24)).astype(np.float32)
    finder = finder_of(rows)
    codes = finder.encode(rows)
    assert codes.shape == (70, finder.code_width)
    again = PrunedFinder.load(finder.save())
    again.add(None, codes[:33])
    again.add(None, codes[33:])
    allowed = Allowed.of(70, None, None)
    for query in rows[:5]:
        assert again.find(query, 5, allowed).tolist() == finder.find(query, 5, allowed).tolist()
    assert not again.outgrown(279)
    assert again.outgrown(280)


def test_blocks_grow_and_keep_what_was_written() -> None:
    random = np.random.default_rng(4)
    heads = random.integers(-127, 128, (3_000, 8)).astype(np.int8)
    tails = random.integers(-127, 128, (3_000, 5)).astype(np.int8)
    facts = random.random((3_000, FACTS)).astype(np.float32)
    kept, first = BoundedRows.empty(8, 5), 0
    while first < 3_000:
        stop = min(3_000, first + int(random.integers(0, 60)))
        kept = kept.with_room(first, stop)
        kept.write(first, heads[first:stop], tails[first:stop], facts[first:stop])
        first = stop
    places = kept.blocks.shape[0] * LANES
    plain = kept.blocks.transpose(0, 2, 1, 3).reshape(places, 8)
    np.testing.assert_array_equal(plain[:3_000], heads)
    np.testing.assert_array_equal(kept.tails[:3_000], tails)
    np.testing.assert_array_equal(kept.units[:3_000], facts[:, 0])


@pytest.mark.parametrize("wide", [False, True])
def test_products_of_blocks(wide: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if wide and not blocks.has_wide_products():
        pytest.skip("this processor has no AVX-512")
    monkeypatch.setattr(blocks, "has_wide_products", lambda: wide)

    @numba.njit  # type: ignore[untyped-decorator]
    def products(codes: Any, query: Any, out: Any) -> None:
        at = np.uintp(codes.ctypes.data), np.uintp(query.ctypes.data)
        blocks.block_products(at[0], at[1], len(query), np.uintp(out.ctypes.data))

    random = np.random.default_rng(5)
    rows = random.integers(-127, 128, (LANES, 24)).astype(np.int8)
    query = random.integers(-32_767, 32_768, 24).astype(np.int16)
    kept = BoundedRows.empty(24, 1).with_room(0, LANES)
    kept.write(0, rows, rows[:, :1], np.zeros((LANES, FACTS), np.float32))
    out = np.empty(LANES, np.int32)
    products(kept.blocks, query, out)
    np.testing.assert_array_equal(out, rows.astype(np.int64) @ query.astype(np.int64))


def test_a_processor_that_is_not_to_use_avx_has_no_wide_products(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(numba.config, "ENABLE_AVX", 0)
    monkeypatch.setattr(numba.config, "CPU_FEATURES", None)
    assert not blocks.has_wide_products()
