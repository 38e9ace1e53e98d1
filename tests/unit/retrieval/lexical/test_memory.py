"""BM25 in memory against rank-bm25 itself and against brute force."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from rostra.retrieval.lexical import (
    TINY,
    LexicalIndex,
    PostingsIndex,
    RankBm25Index,
    TermCounts,
    best_positions,
    make_lexical_index,
    term_weight,
)

# Few terms, so that many stand in most chunks, where rank-bm25's floor sets in.
TERMS = ("a", "b", "c", "d", "e", "f")
texts = st.lists(st.lists(st.sampled_from(TERMS), max_size=8), max_size=6)
queries = st.lists(st.sampled_from((*TERMS, "unknown")), max_size=5)
INDEXES = (PostingsIndex, RankBm25Index)


@st.composite
def histories(draw: st.DrawFn) -> tuple[TermCounts, list[list[str]]]:
    """Term counts after adds and removals as indexes do them, and the texts they stand for."""
    counts, rows = TermCounts.of([]), list[list[str]]()
    for _ in range(draw(st.integers(1, 4))):
        kept = draw(st.lists(st.sampled_from(range(len(rows))), unique=True)) if rows else []
        added = draw(texts)
        rows = [rows[at] for at in kept] + added
        order = draw(st.permutations(range(len(rows))))
        rows = [rows[at] for at in order]
        counts = (
            counts.take(np.array(kept, np.int64))
            .append(TermCounts.of(added))
            .take(np.array(order, np.int64))
            .compact()
        )
    return counts, rows


def rank_bm25(rows: Sequence[Sequence[str]], query: Sequence[str]) -> list[float]:
    """The oracle; it divides by zero where no chunk has a term."""
    if not any(rows):
        return [0.0] * len(rows)
    model = BM25Okapi(rows, k1=1.5, b=0.75, epsilon=0.25)
    return [float(score) for score in model.get_scores(list(query))]


def check(index: LexicalIndex, rows: Sequence[Sequence[str]], query: Sequence[str]) -> None:
    scores = index.scores(query)
    assert scores.dtype == np.float64
    assert scores.shape == (len(rows),)
    shares = [bool(set(row) & set(query)) for row in rows]
    assert (~np.isnan(scores)).tolist() == shares
    expected = rank_bm25(rows, query)
    np.testing.assert_allclose(np.nan_to_num(scores), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("make", INDEXES)
@given(histories(), queries)
def test_scores_are_rank_bm25s_after_any_history(
    make: type[PostingsIndex | RankBm25Index],
    history: tuple[TermCounts, list[list[str]]],
    query: list[str],
) -> None:
    counts, rows = history
    check(make(counts), rows, query)


@pytest.mark.parametrize("make", INDEXES)
@pytest.mark.parametrize(
    ("rows", "query"),
    [
        ([], ["a"]),
        ([[]], ["a"]),
        ([[], [], []], ["a", "a"]),
        ([["a"]], ["a"]),
        ([["a", "b"], ["a"]], ["a", "a", "b"]),
        ([["a"], ["a", "b"], ["a", "c"]], ["a", "c", "unknown"]),
        ([["a", "b"], [], ["a", "b", "b"], ["a"]], ["b", "b", "b", "a"]),
        ([["a"]], []),
        ([["a"]], ["unknown", "unknown"]),
    ],
)
def test_edges(
    make: type[PostingsIndex | RankBm25Index], rows: list[list[str]], query: list[str]
) -> None:
    check(make(TermCounts.of(rows)), rows, query)


def test_in_a_collection_of_one_chunk_a_match_scores_negative_and_is_still_a_match() -> None:
    scores = make_lexical_index(TermCounts.of([["a", "b"]])).scores(["a"])
    assert scores[0] < 0
    assert best_positions(scores, 10).tolist() == [0]


def test_both_implementations_agree_where_one_takes_over_from_the_other() -> None:
    random = np.random.default_rng(5)
    words = [f"w{at}" for at in range(40)]
    rows = [
        [words[int(at) % 40] for at in random.zipf(1.4, size=random.integers(0, 30))]
        for _ in range(TINY)
    ]
    few, many = TermCounts.of(rows[:-1]), TermCounts.of(rows)
    assert isinstance(make_lexical_index(few), RankBm25Index)
    assert isinstance(make_lexical_index(many), PostingsIndex)
    for query in (["w1"], ["w1", "w2", "w2", "w39"], ["w0", "nothing"]):
        check(make_lexical_index(few), rows[:-1], query)
        check(make_lexical_index(many), rows, query)
        check(RankBm25Index(many), rows, query)


@given(histories(), st.sampled_from((*TERMS, "unknown")))
def test_a_terms_frequency_is_the_number_of_its_chunks(
    history: tuple[TermCounts, list[list[str]]], term: str
) -> None:
    counts, rows = history
    for make in INDEXES:
        assert make(counts).frequency(term) == sum(term in row for row in rows)


def test_rarer_terms_weigh_more_and_every_term_something() -> None:
    assert term_weight(1, 10_000) > term_weight(50, 10_000) > term_weight(9_999, 10_000) > 0
    assert term_weight(0, 10_000) == term_weight(1, 10_000)
    # In a tiny collection a term that is found weighs about what a missing one does.
    assert term_weight(1, 1) == term_weight(0, 1)
    assert term_weight(3, 3) > 0.7 * term_weight(0, 3)


@given(histories())
def test_counts_hold_every_chunks_terms_and_no_term_too_many(
    history: tuple[TermCounts, list[list[str]]],
) -> None:
    counts, rows = history
    assert [sorted(counts.row(at)) for at in range(len(counts))] == [sorted(row) for row in rows]
    assert counts.lengths.tolist() == [len(row) for row in rows]
    assert sorted(counts.vocabulary) == sorted({term for row in rows for term in row})


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
