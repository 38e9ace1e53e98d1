"""Several verdicts as one: no order of votes matters, doubt never counts in favour."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.core import Usage
from evals.judge.verdicts import Rule, Verdict, combine

SCALE = {"5": 1.0, "4": 0.75, "3": 0.5, "2": 0.25, "1": 0.0}
PAIRWISE = {"a": 1.0, "tie": 0.5, "b": 0.0}
YES_NO = {"supported": 1.0, "unsupported": 0.0}


def said(*choices: str, options: dict[str, float]) -> list[Verdict]:
    return [
        Verdict(
            choice=choice,
            value=options[choice],
            reason=f"reason {place}",
            usage=Usage(prompt_tokens=1),
        )
        for place, choice in enumerate(choices)
    ]


@pytest.mark.parametrize(
    ("choices", "options", "winner"),
    [
        ("a a b", PAIRWISE, "a"),
        ("a b", PAIRWISE, "tie"),
        ("a b tie", PAIRWISE, "tie"),
        ("a a b b", PAIRWISE, "tie"),
        ("b tie", PAIRWISE, "b"),
        ("supported unsupported", YES_NO, "unsupported"),
        ("5 5 1", SCALE, "5"),
        ("5 1", SCALE, "3"),
        ("5 4", SCALE, "4"),
        ("2 2 5 5 1", SCALE, "3"),
    ],
)
def test_majority(choices: str, options: dict[str, float], winner: str) -> None:
    verdict = combine(said(*choices.split(), options=options), options)
    assert verdict.choice == winner
    assert verdict.value == options[winner]
    assert sum(verdict.votes.values()) == verdict.usage.prompt_tokens == len(choices.split())


def test_mean_keeps_what_lies_between() -> None:
    verdict = combine(said("5", "5", "2", options=SCALE), SCALE, "mean")
    assert verdict.value == pytest.approx(0.75)
    assert verdict.choice == "4"


def test_the_reason_is_of_one_who_chose_so() -> None:
    verdict = combine(said("b", "a", "a", options=PAIRWISE), PAIRWISE)
    assert verdict.reason == "reason 1"


@pytest.mark.parametrize(
    ("choices", "share"), [("a", None), ("a a a", 1.0), ("a b", 0.0), ("a a b", 1 / 3)]
)
def test_agreement_is_the_share_of_equal_pairs(choices: str, share: float | None) -> None:
    assert combine(said(*choices.split(), options=PAIRWISE), PAIRWISE).agreement == share


@given(st.lists(st.sampled_from(list(SCALE)), min_size=1, max_size=9), st.randoms())
def test_the_order_of_votes_makes_no_difference(choices: list[str], rng: random.Random) -> None:
    shuffled = list(choices)
    rng.shuffle(shuffled)
    rules: tuple[Rule, ...] = ("majority", "mean")
    for rule in rules:
        one = combine(said(*choices, options=SCALE), SCALE, rule)
        other = combine(said(*shuffled, options=SCALE), SCALE, rule)
        assert one.choice == other.choice
        assert one.value == pytest.approx(other.value)
        assert min(SCALE[c] for c in choices) <= one.value <= max(SCALE[c] for c in choices)
