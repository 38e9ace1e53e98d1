"""Both orders: what was shown where, what a flip becomes, what repetition is for."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from evals.core import Sample, State, Unscored
from evals.judge.compare import (
    Ballot,
    Ballots,
    Compare,
    PairwiseJudge,
    ballots_of,
    both_orders,
)
from evals.judge.measures import VerdictScorer
from evals.judge.model import ModelJudge
from evals.judge.pairs import Pair, Winner, majority, pair_of, sample_of
from evals.judge.rubrics import BrokenRubric
from rostra.core import ChatMessage, GenerationOptions, InvalidRequest, ModelUnavailable
from rostra.models import ScriptedModel, Turn

PAIR = Pair(
    id="7",
    question="Name a colour.",
    first="Blue.",
    second="A blue sky over a long sea.",
    labels=["first", "first", None],
    label="first",
    systems=["llama-7b", "opt-7b"],
    group="colours",
)


def judge(choose: Any) -> PairwiseJudge:
    """A judge over a model that sees the two answers as they are shown."""

    def script(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
        shown = re.findall(
            r"^\[\w{16} answer_[ab]\]\n(.*?)\n\[\w{16} end\]$", messages[-1].content, re.M | re.S
        )
        return f'{{"reason": "I saw {len(shown)}", "verdict": "{choose(*shown)}"}}'

    return PairwiseJudge(ModelJudge(ScriptedModel(script)))


@pytest.mark.parametrize(
    ("choose", "given", "swapped", "resolved"),
    [
        (lambda a, b: "a" if len(a) < len(b) else "b", "first", "first", "first"),
        (lambda a, b: "b" if len(a) < len(b) else "a", "second", "second", "second"),
        (lambda a, b: "a", "first", "second", "tie"),
        (lambda a, b: "b", "second", "first", "tie"),
        (lambda a, b: "tie", "tie", "tie", "tie"),
        (lambda a, b: "a" if len(a) < len(b) else "tie", "first", "tie", "tie"),
    ],
)
async def test_winners_are_told_by_the_sets_order(
    choose: Any, given: Winner, swapped: Winner, resolved: Winner
) -> None:
    ballots = await both_orders(judge(choose), PAIR, seed=1)
    assert ballots.winners == (given, swapped)
    assert ballots.resolved == resolved
    assert ballots.given[0].reason == "I saw 2"


async def test_the_solver_keeps_everything_in_the_state() -> None:
    solver = Compare(judge(lambda a, b: "a"), times=3)
    state = await solver(State(sample=sample_of(PAIR)), seed=5)
    state = msgspec.json.decode(msgspec.json.encode(state), type=State)  # as from the log
    ballots = ballots_of(state)
    assert len(ballots.given) == len(ballots.swapped) == 3
    assert (state.output, state.steps) == ("tie", 6)
    assert state.usage.completion_tokens == sum(
        one.usage.completion_tokens for one in [*ballots.given, *ballots.swapped]
    )
    assert pair_of(state.sample) == PAIR


async def test_nonsense_in_one_order_leaves_no_winner() -> None:
    def once(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
        return '{"verdict": "a"}' if "answer_a]\nBlue." in messages[-1].content else "hm"

    ballots = await both_orders(PairwiseJudge(ModelJudge(ScriptedModel(once))), PAIR, seed=1)
    assert ballots.winners == ("first", None)
    assert (ballots.resolved, ballots.unscored) == (None, "the judge gave no verdict")
    assert ballots.swapped[0].usage.completion_tokens == 3  # three attempts of one word


async def test_a_model_that_fails_fails_the_sample() -> None:
    model = ScriptedModel([Turn(raises=ModelUnavailable("gone"))])
    with pytest.raises(ModelUnavailable):
        await Compare(PairwiseJudge(ModelJudge(model)))(State(sample=sample_of(PAIR)), seed=0)


def cast(*winners: Winner | None) -> list[Ballot]:
    return [Ballot(winner, unscored="" if winner else "silence") for winner in winners]


async def scores(pair: Pair, ballots: Ballots) -> dict[str, float | None]:
    data = {"ballots": msgspec.to_builtins(ballots)}
    found = await VerdictScorer()(State(sample=sample_of(pair), data=data), 0)
    assert {score.unscored for score in found if score.value is None} <= {"silence"}
    return {score.name: score.value for score in found}


async def test_measures_by_hand() -> None:
    assert await scores(PAIR, Ballots(cast("first", "first"), cast("first", "second"))) == {
        "accuracy": 1.0,
        "accuracy in order": 1.0,
        "accuracy swapped": 1.0,
        "both orders right": 1.0,
        "consistency": 1.0,
        "position bias": 0.0,
        "prefers longer": 0.0,
        "same when asked again": 0.5,
    }
    # Twice the answer shown first: a flip towards it.
    assert await scores(PAIR, Ballots(cast("first"), cast("second"))) == {
        "accuracy": 0.5,
        "accuracy in order": 1.0,
        "accuracy swapped": 0.0,
        "both orders right": 0.0,
        "consistency": 0.0,
        "position bias": 1.0,
        "prefers longer": 0.5,
    }
    # A tie, and then the answer shown second.
    assert await scores(PAIR, Ballots(cast("tie"), cast("first"))) == {
        "accuracy": 0.5,
        "accuracy in order": 0.0,
        "accuracy swapped": 1.0,
        "both orders right": 0.0,
        "consistency": 0.0,
        "position bias": -0.5,
        "prefers longer": 0.25,
    }


async def test_an_order_without_a_verdict_is_unscored_and_the_other_still_told() -> None:
    assert await scores(PAIR, Ballots(cast("first"), cast(None))) == {
        "accuracy": None,
        "accuracy in order": 1.0,
        "accuracy swapped": None,
        "both orders right": None,
        "consistency": None,
        "position bias": None,
        "prefers longer": None,
    }


async def test_a_pair_without_a_majority_or_of_equal_lengths_has_fewer_measures() -> None:
    pair = msgspec.structs.replace(PAIR, labels=["first", "second"], label=None, second="Green")
    assert set(await scores(pair, Ballots(cast("first"), cast("first")))) == {
        "consistency",
        "position bias",
    }


async def test_a_state_that_no_judge_saw() -> None:
    with pytest.raises(Unscored):
        await VerdictScorer()(State(sample=sample_of(PAIR)), 0)


async def test_a_sample_that_is_no_pair() -> None:
    with pytest.raises(msgspec.ValidationError):
        await Compare(judge(lambda a, b: "a"))(State(sample=Sample(id="1", input="q")), seed=0)


def test_rubrics_that_do_not_compare() -> None:
    with pytest.raises(BrokenRubric, match="does not compare"):
        PairwiseJudge(ModelJudge(ScriptedModel([])), "support")
    with pytest.raises(InvalidRequest):
        Compare(judge(lambda a, b: "a"), times=0)


@pytest.mark.parametrize(
    ("labels", "label"),
    [
        (["first"], "first"),
        (["first", "first", "second"], "first"),
        (["first", "second", "tie"], None),
        (["first", "second"], None),
        (["tie", None, None], "tie"),
        ([None], None),
    ],
)
def test_majority_of_people(labels: list[Winner | None], label: Winner | None) -> None:
    assert majority(labels) == label
