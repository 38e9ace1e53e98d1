"""Several queries' results as one ranking."""

from collections.abc import Sequence
from uuid import UUID

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from rostra.retrieval import Hit, HitScores
from rostra.retrieval.queries.merge import merge_hits

POOL = 12


def hit(number: int, *, twins: Sequence[int] = (), score: float = 0.5) -> Hit:
    return Hit(
        chunk_id=UUID(int=number),
        document_id=UUID(int=1000 + number // 3),
        collection="default",
        uri=f"test:/{number // 3}",
        title="",
        context="",
        text=f"text {number}",
        start=number,
        end=number + 1,
        page=None,
        metadata={},
        score=score,
        scores=HitScores(dense=score),
        near_duplicates=tuple(UUID(int=twin) for twin in twins),
    )


def numbers(hits: Sequence[Hit]) -> list[int]:
    return [found.chunk_id.int for found in hits]


rankings = st.lists(st.integers(0, POOL - 1), unique=True, max_size=POOL)


@given(ranking=rankings, copies=st.integers(1, 7), k=st.integers(1, POOL))
@settings(max_examples=60)
def test_what_all_queries_find_alike_keeps_its_order(
    ranking: list[int], copies: int, k: int
) -> None:
    own = [hit(number) for number in ranking]
    assert numbers(merge_hits(own, [own] * copies, k=k, rrf_k=60)) == ranking[:k]
    assert merge_hits(own, [], k=k, rrf_k=60) == own[:k]


@given(
    own=rankings,
    others=st.lists(rankings, max_size=4),
    k=st.integers(1, POOL),
    most=st.none() | st.integers(1, 3),
    rrf_k=st.integers(1, 100),
)
@settings(max_examples=100)
def test_a_merged_ranking_is_bounded_and_made_of_what_was_found(
    own: list[int], others: list[list[int]], k: int, most: int | None, rrf_k: int
) -> None:
    lists = [[hit(number) for number in ranking] for ranking in others]
    question = [hit(number) for number in own]
    # Searches keep to the limit by themselves; merging must not break it again.
    merged = merge_hits(question, lists, k=k, rrf_k=rrf_k, per_document=most if others else None)
    found = numbers(merged)
    assert len(found) <= k
    assert len(set(found)) == len(found)
    assert set(found) <= set(own).union(*others)
    assert [one.score for one in merged] == sorted((one.score for one in merged), reverse=True)
    if most is not None and others:
        documents = [one.document_id for one in merged]
        assert max(map(documents.count, documents), default=0) <= most
    if others:
        # The question was not scored for what only other queries found.
        assert all((one.scores.dense is None) == (one.chunk_id.int not in own) for one in merged)


@given(own=rankings, others=st.lists(rankings, min_size=2, max_size=4), seed=st.randoms())
@settings(max_examples=60)
def test_the_order_of_the_further_queries_decides_nothing(
    own: list[int], others: list[list[int]], seed: object
) -> None:
    question = [hit(number) for number in own]
    lists = [[hit(number) for number in ranking] for ranking in others]
    first = numbers(merge_hits(question, lists, k=POOL, rrf_k=60))
    assert numbers(merge_hits(question, lists[::-1], k=POOL, rrf_k=60)) == first


@pytest.mark.parametrize("copies", [1, 3, 20])
def test_the_question_outweighs_any_number_of_queries_that_disagree(copies: int) -> None:
    # Found first by the question and second by the others, against the other way round, and more.
    own, other = [hit(0), hit(1)], [hit(1), hit(0)]
    assert numbers(merge_hits(own, [other] * copies, k=2, rrf_k=60)) == [0, 1]
    strangers = [[hit(2), hit(3)]] * copies
    assert numbers(merge_hits(own, strangers, k=1, rrf_k=60)) == [0]


@given(others=st.lists(rankings, min_size=1, max_size=6))
@settings(max_examples=60)
def test_what_only_others_find_stands_behind_the_six_best_of_the_question(
    others: list[list[int]],
) -> None:
    own = [hit(100 + number) for number in range(8)]
    strangers = [[hit(number) for number in ranking] for ranking in others]
    merged = numbers(merge_hits(own, strangers, k=20))
    assert merged[:6] == list(range(100, 106))


def test_near_duplicates_of_other_queries_are_shown_once() -> None:
    own = [hit(0, twins=[4]), hit(1)]
    other = [hit(4, twins=[0]), hit(2)]
    assert numbers(merge_hits(own, [other], k=5, rrf_k=60)) == [0, 1, 2]
