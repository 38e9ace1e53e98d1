"""Reranked hits: the same ones, in another order or, when time ran out, in the same."""

import threading
from collections.abc import Sequence
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.retrieval import Hit, HitScores
from rostra.retrieval.lexical import Scores
from rostra.retrieval.rerank import PairBatches, reordered, rerank_hits


def hit(number: int, score: float) -> Hit:
    return Hit(
        UUID(int=number), UUID(int=0), "default", "a", "A", "", f"text {number}", 0, 1, None, {},
        score, HitScores(dense=score, lexical=1.0, fused=score),
    )  # fmt: skip


class Fixed:
    """A reranker with known scores."""

    name = "fixed"

    def __init__(self, scores: Sequence[float]) -> None:
        self._scores = np.array(scores, np.float64)

    def scores(self, query: str, passages: Sequence[str]) -> Scores:
        return self._scores


numbers = st.floats(-100, 100).map(lambda number: round(number, 3))


@given(st.lists(st.tuples(numbers, numbers), max_size=12), st.floats(0, 1))
def test_the_same_hits_come_back(rows: list[tuple[float, float]], weight: float) -> None:
    hits = [hit(at, own) for at, (own, _) in enumerate(rows)]
    found = reordered(hits, np.array([score for _, score in rows], np.float64), weight)
    assert sorted(one.chunk_id for one in found) == sorted(one.chunk_id for one in hits)
    for one in found:
        assert one.scores.rerank == rows[one.chunk_id.int][1]
        assert one.scores.dense == rows[one.chunk_id.int][0]
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_a_weight_of_1_decides_alone_and_less_counts_beside() -> None:
    hits = [hit(0, 1.0), hit(1, 0.5), hit(2, 0.0)]
    scores = np.array([-5.0, -1.0, -3.0])
    alone = reordered(hits, scores, 1.0)
    assert [(one.chunk_id.int, one.score) for one in alone] == [(1, -1.0), (2, -3.0), (0, -5.0)]
    beside = reordered(hits, scores, 0.25)
    assert {one.chunk_id.int: one.score for one in beside} == pytest.approx(
        {0: 0.75, 1: 0.375 + 0.25, 2: 0.125}
    )
    # Equal ones keep their order.
    assert [one.chunk_id.int for one in reordered(hits, np.zeros(3), 1.0)] == [0, 1, 2]


async def test_hits_are_reranked() -> None:
    hits = [hit(0, 1.0), hit(1, 0.5)]
    found = await rerank_hits(Fixed([1.0, 2.0]), "q", hits)
    assert found.done
    assert [one.chunk_id.int for one in found.hits] == [1, 0]
    assert (await rerank_hits(Fixed([]), "q", [])).hits == []


class Slow:
    """Waits until it is told to go on."""

    name = "slow"

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.begun = threading.Event()
        self.batches: list[list[str]] = []
        self._batches = PairBatches(self._predict, size=4)

    def scores(self, query: str, passages: Sequence[str]) -> Scores:
        return self.submit(query, passages).result()

    def submit(self, query: str, passages: Sequence[str]):  # type: ignore[no-untyped-def]
        future = self._batches.submit([(query, passage) for passage in passages])
        assert self.begun.wait(60)  # so that no deadline passes before the first batch is read
        return future

    def _predict(self, pairs: list[tuple[str, str]]) -> Scores:
        self.begun.set()
        assert self.go_on.wait(30)
        self.batches.append([query for query, _ in pairs])
        if any(query == "broken" for query, _ in pairs):
            raise ValueError("broken")
        return np.arange(len(pairs), dtype=np.float64)


async def test_after_the_deadline_the_order_stands_and_the_rest_is_not_read() -> None:
    slow = Slow()
    hits = [hit(at, -float(at)) for at in range(9)]
    found = await rerank_hits(slow, "q", hits, seconds=0.01)
    assert not found.done
    assert found.hits == hits
    assert slow.begun.wait(30)
    slow.go_on.set()
    # The next search is answered, and of the one that gave up no further batch was read.
    slow.submit("next", ["a", "b"]).result(30)
    assert slow.batches == [["q"] * 4, ["next"] * 2]


def test_searches_that_wait_share_batches() -> None:
    slow = Slow()
    first = slow.submit("a", ["1", "2"])
    assert slow.begun.wait(30)
    others = [slow.submit("b", ["1"]), slow.submit("c", ["1", "2", "3", "4"])]
    slow.go_on.set()
    assert first.result(30).tolist() == [0, 1]
    assert others[0].result(30).tolist() == [0]
    assert others[1].result(30).tolist() == [1, 2, 3, 0]
    assert slow.batches == [["a", "a"], ["b", "c", "c", "c"], ["c"]]


def test_a_search_that_fails_fails_alone() -> None:
    slow = Slow()
    first = slow.submit("a", ["1"])
    assert slow.begun.wait(30)
    broken, fine = slow.submit("broken", ["1"]), slow.submit("fine", ["1", "2"])
    slow.go_on.set()
    assert first.result(30).tolist() == [0]
    assert fine.result(30).tolist() == [0, 1]
    with pytest.raises(ValueError, match="broken"):
        broken.result(30)
    assert slow.submit("more", []).result(30).tolist() == []
