"""A few texts in memory: what is found, and in which order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rostra.retrieval import TextIndex

FACTS = [
    "Ada drinks green tea in the morning",
    "Ada lives in Oslo",
    "Ada's sister lives in Bergen and drinks coffee",
    "The invoice of March is not paid",
]


def test_what_shares_rare_terms_comes_first() -> None:
    index = TextIndex(FACTS)
    assert index.best("which tea does she drink", 5) == [0, 2]
    assert index.best("where does Ada live?", 1) == [1]
    assert index.best("unpaid invoices", 5) == [3]
    assert index.best("quantum chromodynamics", 5) == []


def test_one_text_is_found_though_its_idf_would_be_negative() -> None:
    assert TextIndex(["tea tea tea"]).best("tea", 3) == [0]
    assert TextIndex([]).best("tea", 3) == []
    assert TextIndex([], np.zeros((0, 2), np.float32)).best("x", 3, np.ones(2, np.float32)) == []


def test_a_close_vector_finds_what_words_do_not() -> None:
    vectors = np.eye(4, dtype=np.float32)
    index = TextIndex(FACTS, vectors)
    assert index.best("what is owed", 5, vectors[3]) == [3]
    assert index.best("what is owed", 5, np.full(4, 0.1, np.float32)) == []
    # Words alone still find, and what both find stands first.
    assert index.best("green tea", 5, vectors[1]) == [1, 0]
    assert index.best("lives in Oslo", 2, vectors[1])[0] == 1


words = st.lists(st.sampled_from(["oak", "elm", "fir", "ash"]), max_size=5).map(" ".join)


@given(st.lists(words, max_size=12), words, st.integers(1, 15))
def test_what_is_found_shares_a_term(texts: list[str], query: str, k: int) -> None:
    found = TextIndex(texts).best(query, k)
    sharing = {at for at, text in enumerate(texts) if set(text.split()) & set(query.split())}
    assert len(found) == len(set(found)) == min(k, len(sharing))
    assert set(found) <= sharing
