"""Which items a step takes."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.training.loop import Draws, bucketed

SIZES = {"a": 7, "b": 3, "none": 0}
WEIGHTS = {"a": 0.5, "b": 0.5, "none": 1.0, "absent": 1.0}


def test_each_kind_has_its_share_and_each_round_every_item_once() -> None:
    draws = Draws(SIZES, WEIGHTS, 6, seed=1)
    drawn = [draws.draw(number) for number in range(7)]
    assert all(Counter(kind for kind, _ in one) == {"a": 3, "b": 3} for one in drawn)
    places = [at for one in drawn for kind, at in sorted(one) if kind == "a"]
    assert Counter(places) == dict.fromkeys(range(7), 3)  # 21 draws, three rounds
    assert Counter(at for kind, at in drawn[0] if kind == "b") == {0: 1, 1: 1, 2: 1}


@given(st.integers(0, 50), st.integers(0, 5))
def test_a_draw_hangs_on_its_number_and_the_seed_alone(number: int, seed: int) -> None:
    before = Draws(SIZES, WEIGHTS, 5, seed)
    for earlier in range(number):
        before.draw(earlier)
    assert before.draw(number) == Draws(SIZES, WEIGHTS, 5, seed).draw(number)


def test_other_seeds_draw_others() -> None:
    many = {"a": 1000}
    assert Draws(many, {"a": 1}, 9, 1).draw(0) != Draws(many, {"a": 1}, 9, 2).draw(0)


def test_there_has_to_be_something_to_draw() -> None:
    with pytest.raises(ValueError, match="no kind"):
        Draws({"a": 0, "b": 3}, {"a": 1.0}, 4, 0)


@given(st.lists(st.integers(1, 99), max_size=60), st.integers(1, 8))
def test_batches_are_of_like_lengths_and_only_a_rest_is_left_out(
    lengths: list[int], size: int
) -> None:
    batches = bucketed(lengths, size, lambda one: one, "seed")
    assert all(len(batch) == size for batch in batches)
    assert len(batches) == len(lengths) // size
    assert not Counter(one for batch in batches for one in batch) - Counter(lengths)
    ordered = sorted(batches)
    assert all(one[-1] <= other[0] for one, other in pairwise(ordered))
    assert batches == bucketed(lengths, size, lambda one: one, "seed")
