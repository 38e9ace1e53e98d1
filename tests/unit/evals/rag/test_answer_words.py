"""Exact match and token F1 after SQuAD's normalisation: by hand, and what always holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.core import Sample, State
from evals.rag.scorers.exact_match import ExactMatch
from evals.rag.scorers.token_f1 import TokenF1
from evals.rag.text import normalize_answer, token_f1, words_of

words = st.lists(st.sampled_from("abcd"), max_size=6)


def answered(text: str, *targets: str, abstained: bool = False) -> State:
    sample = Sample(id="q", input="q", targets=list(targets))
    return State(sample=sample, output=text, abstained=abstained)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("The Panthers' defense.", "panthers defense"),
        ("an  apple\na day", "apple day"),
        ("308 points!", "308 points"),
        ("\u201cThe\u201d caf\u00e9 \u2013 open", "caf\u00e9 open"),
        ("theatre", "theatre"),  # an article is a word of its own
        ("\ufb01nal", "final"),
        ("...", ""),
    ],
)
def test_normalisation(text: str, same: str) -> None:
    assert normalize_answer(text) == same


def test_f1_by_hand() -> None:
    # Shared: red, car once each; 3 and 2 words: 2 * 2 / 5.
    assert token_f1(words_of("the red red car"), words_of("a red car")) == pytest.approx(0.8)
    assert token_f1(["a"], ["b"]) == 0.0
    assert token_f1([], []) == 1.0
    assert token_f1([], ["a"]) == 0.0


@given(words, words)
def test_f1_is_symmetric_and_one_for_equal_bags_alone(one: list[str], other: list[str]) -> None:
    value = token_f1(one, other)
    assert value == token_f1(other, one)
    assert 0 <= value <= 1
    assert (value == 1) == (sorted(one) == sorted(other))


@given(st.text(max_size=30))
def test_normalisation_is_done_once_and_for_all_but_articles(text: str) -> None:
    once = normalize_answer(text)
    assert once == once.strip()
    assert "  " not in once
    assert not {"a", "an", "the"} & set(once.split())


async def test_the_closest_target_counts() -> None:
    state = answered("The red car", "a blue car", "red car")
    assert [one.value for one in await ExactMatch()(state, 0)] == [1.0]
    assert [one.value for one in await TokenF1()(state, 0)] == [1.0]
    state = answered("red", "a blue car", "red car")
    assert [one.value for one in await ExactMatch()(state, 0)] == [0.0]
    assert [one.value for one in await TokenF1()(state, 0)] == [pytest.approx(2 / 3)]


async def test_an_answer_that_says_there_is_none_is_wrong() -> None:
    state = answered("Not found.", "not found", abstained=True)
    assert [one.value for one in await ExactMatch()(state, 0)] == [0.0]
    assert [one.value for one in await TokenF1()(state, 0)] == [0.0]


async def test_without_a_target_there_is_no_score() -> None:
    assert list(await ExactMatch()(answered("x"), 0)) == []
    assert list(await TokenF1()(answered("x"), 0)) == []
