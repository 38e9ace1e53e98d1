"""Scorers over a judge: values, gaps and usage as the harness wants them."""

import re
from collections.abc import Sequence

import msgspec
import pytest

from evals.core import Passage, Sample, State
from evals.judge.model import ModelJudge
from evals.judge.panel import Panel
from evals.judge.rubrics import BrokenRubric, parse_rubric
from evals.judge.scorers import PairScorer, ReferenceScorer, RubricScorer
from rostra.core import ChatMessage, GenerationOptions
from rostra.models import ScriptedModel

STATE = State(
    sample=Sample(
        id="1", input="How often?", targets=["every month", "monthly"], data={"baseline": "Never."}
    ),
    output="Each month.",
    passages=[Passage("d", "It needs oil every month.")],
)


def judge(*turns: str, name: str = "scripted") -> ModelJudge:
    return ModelJudge(ScriptedModel(list(turns), name=name, loop=True))


async def test_a_rubrics_number_with_reason_and_usage() -> None:
    scorer = RubricScorer(judge('{"reason": "good", "verdict": "4"}'))
    (score,) = await scorer(STATE, 1)
    assert (score.name, score.value, score.why) == ("helpfulness", 0.75, "good")
    assert score.data["votes"] == {"4": 1}
    assert score.usage.prompt_tokens > 0
    assert [measure.name for measure in scorer.measures] == ["helpfulness"]


async def test_a_reference_is_shown_with_all_its_forms() -> None:
    model = ScriptedModel(['{"reason": "same", "verdict": "correct"}'])
    (score,) = await ReferenceScorer(ModelJudge(model))(STATE, 1)
    assert (score.name, score.value) == ("correctness", 1.0)
    shown = model.seen[0][0][-1].content
    assert re.search(r"reference\]\nevery month\nmonthly\n\[", shown)
    assert re.search(r"answer\]\nEach month\.\n\[", shown)


async def test_without_a_reference_there_is_no_score() -> None:
    sample = msgspec.structs.replace(STATE.sample, targets=[])
    state = msgspec.structs.replace(STATE, sample=sample)
    assert await ReferenceScorer(judge())(state, 1) == ()


async def test_no_answer_is_the_lowest_verdict_and_asks_nobody() -> None:
    state = msgspec.structs.replace(STATE, output="  ")
    (score,) = await ReferenceScorer(judge())(state, 1)
    assert score.value == 0


async def test_nonsense_is_unscored_with_its_usage() -> None:
    (score,) = await RubricScorer(judge("who knows"))(STATE, 1)
    assert (score.value, score.unscored) == (None, "the judge gave no verdict")
    assert score.usage.completion_tokens == 6
    assert "who knows" in score.why


async def test_a_panels_disagreement_is_told() -> None:
    panel = Panel([judge('{"verdict": "5"}', name="a"), judge('{"verdict": "1"}', name="b")])
    (score,) = await RubricScorer(panel)(STATE, 1)
    assert score.data["by"] == {"a": "5", "b": "1"}
    assert score.data["agreement"] == 0


@pytest.mark.parametrize(
    ("wins", "value", "consistency"),
    [("Each month.", 1.0, 1.0), ("Never.", 0.0, 1.0), ("", 0.5, 0.0)],
)
async def test_against_a_baseline_in_both_orders(
    wins: str, value: float, consistency: float
) -> None:
    def script(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
        is_first = f"answer_a]\n{wins}" in messages[-1].content
        return f'{{"reason": "", "verdict": "{"a" if is_first else "b"}"}}'

    scorer = PairScorer(ModelJudge(ScriptedModel(script)))
    scores = {score.name: score.value for score in await scorer(STATE, 1)}
    assert scores == {"win rate": value, "win rate consistency": consistency}


async def test_a_baseline_that_is_not_there_and_a_judge_that_is_silent() -> None:
    sample = msgspec.structs.replace(STATE.sample, data={})
    assert await PairScorer(judge())(msgspec.structs.replace(STATE, sample=sample), 1) == ()
    scores = await PairScorer(judge("hm"))(STATE, 1)
    assert [score.unscored for score in scores] == ["the judge gave no verdict"] * 2
    assert scores[0].usage.completion_tokens == 6


def test_configurations_tell_rubrics_apart() -> None:
    own = "---\nname: tone\nversion: 1\nvalues: answer\nverdicts: kind 1, rude 0\n---\nKind?"
    one = RubricScorer(judge(), parse_rubric(own)).config()
    other = RubricScorer(judge(), parse_rubric(own + "!")).config()
    assert one != other
    assert one["judge"] == other["judge"]


def test_rubrics_whose_values_a_state_lacks() -> None:
    with pytest.raises(BrokenRubric, match="claim"):
        RubricScorer(judge(), "support")
    with pytest.raises(BrokenRubric, match="no reference"):
        ReferenceScorer(judge(), "helpfulness")
