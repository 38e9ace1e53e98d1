"""Faithfulness, correctness, relevance and context: by words, and by a judge that has a script."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from evals.core import Cited, Passage, Sample, State
from evals.judge.model import ModelJudge
from evals.rag.scorers.correctness import JudgedCorrectness
from evals.rag.scorers.faithfulness import Faithfulness, is_supported
from evals.rag.scorers.generated import Generated
from evals.rag.scorers.judged_context import JudgedContext
from evals.rag.scorers.judged_faithfulness import JudgedFaithfulness
from evals.rag.scorers.relevance import AnswerRelevance, JudgedRelevance
from rostra.core import ChatMessage, GenerationOptions
from rostra.models import ScriptedModel
from tests.fakes import FakeEmbedder

PUMP = "The pump moves 40 litres of water from the well every minute."


def judge(says: dict[str, str], otherwise: str = "wrong") -> ModelJudge:
    """A judge whose verdict hangs on a word in what it is shown."""

    def answer(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
        shown = messages[-1].content
        verdict = next((said for word, said in says.items() if word in shown), otherwise)
        return json.dumps({"reason": "as told", "verdict": verdict})

    return ModelJudge(ScriptedModel(answer, name="script"), attempts=1)


def state(
    claims: Sequence[str], cited: Sequence[tuple[int, str]], *targets: str, **more: Any
) -> State:
    return State(
        sample=Sample(id="q", input="What does the pump do?", targets=list(targets)),
        output=" ".join(claims),
        claims=list(claims),
        citations=[Cited("d", 0, len(quote), quote, claim) for claim, quote in cited],
        **more,
    )


@pytest.mark.parametrize(
    ("claim", "held"),
    [
        ("The pump moves 40 litres", True),
        ("Every minute, the pump moves water", True),
        ("The pump moves 41 litres of water every minute.", False),
        ("The boiler burns gas and wood.", False),
        ("The pump heats litres", False),  # two of three telling words
        ("It is so.", False),
    ],
)
def test_support_by_words(claim: str, held: bool) -> None:
    assert is_supported(claim, PUMP) is held


def test_without_evidence_nothing_is_supported() -> None:
    assert not is_supported("The pump moves", "")


async def test_each_claim_is_held_against_its_own_citations() -> None:
    claims = [PUMP, "The boiler burns gas."]
    right = state(claims, [(0, PUMP), (1, "In winter the boiler burns gas.")])
    crossed = state(claims, [(1, PUMP), (0, "In winter the boiler burns gas.")])
    whole = state(claims, [(-1, f"{PUMP} In winter the boiler burns gas.")])
    half = state(claims, [(0, PUMP)])
    for given, value in ((right, 1.0), (crossed, 0.0), (whole, 1.0), (half, 0.5)):
        assert [one.value for one in await Faithfulness()(given, 0)] == [value]
    assert (await Faithfulness()(half, 0))[0].why == "not supported: The boiler burns gas."


async def test_an_answer_that_rests_on_nothing_is_not_asked_to_be_faithful() -> None:
    assert list(await Faithfulness()(state([PUMP], []), 0)) == []
    assert list(await Faithfulness()(state([], [], passages=[Passage("d", "x")]), 0)) == []
    uncited = state([PUMP], [], passages=[Passage("d", PUMP)])
    assert [one.value for one in await Faithfulness()(uncited, 0)] == [0.0]


async def test_a_judge_decides_claim_by_claim() -> None:
    said = judge({"boiler": "unsupported"}, "supported")
    given = state([PUMP, "The boiler sings.", "No citation."], [(0, PUMP), (1, "The boiler.")])
    (score,) = await JudgedFaithfulness(said)(given, 0)
    assert score.value == pytest.approx(1 / 3)
    assert score.data == {"claims": [1.0, 0.0, 0.0]}
    assert score.usage.prompt_tokens > 0
    assert "The boiler sings." in score.why


@pytest.mark.parametrize("scorer", [JudgedFaithfulness, JudgedContext])
async def test_a_judge_that_answers_nonsense_leaves_the_sample_unscored(scorer: Any) -> None:
    nonsense = ModelJudge(ScriptedModel(lambda *_: "Well, well."), attempts=2)
    given = state([PUMP], [(0, PUMP)], passages=[Passage("d", PUMP)])
    (score,) = await scorer(nonsense)(given, 0)
    assert score.value is None
    assert score.unscored == "the judge gave no verdict"
    assert score.usage.completion_tokens > 0  # what it used up is known all the same


async def test_correctness_asks_only_about_answers() -> None:
    said = JudgedCorrectness(judge({"40 litres": "correct", "some": "partly"}))
    scores = [
        await said(state([PUMP], [], "It moves water."), 0),
        await said(state(["Does some work."], [], "It moves water."), 0),
        await said(state(["It sings."], [], "It moves water."), 0),
        await said(state(["40 litres? Not found."], [], "It moves water.", abstained=True), 0),
    ]
    assert [one[0].value for one in scores] == [1.0, 0.5, 0.0, 0.0]
    assert list(await said(state([PUMP], []), 0)) == []


async def test_relevance_with_and_without_a_judge() -> None:
    embedder = FakeEmbedder()
    words = AnswerRelevance(lambda: embedder, embedder.space.fingerprint)
    same = state(["What does the pump do?"], [])
    other = state(["Bananas."], [])
    (near,), (far,) = await words(same, 0), await words(other, 0)
    assert near.value == pytest.approx(1.0)
    assert far.value is not None
    assert far.value < 0.9
    judged = JudgedRelevance(judge({"Bananas": "irrelevant"}, "relevant"))
    assert [one.value for one in await judged(same, 0)] == [1.0]
    assert [one.value for one in await judged(other, 0)] == [0.0]
    silent = state(["Not found."], [], abstained=True)
    assert list(await words(silent, 0)) == list(await judged(silent, 0)) == []


async def test_context_is_weighted_by_rank_as_the_judge_sees_it() -> None:
    said = JudgedContext(judge({"useful": "useful"}, "useless"))
    passages = [Passage("a", "no"), Passage("b", "useful"), Passage("c", "a useful one")]
    (score,) = await said(state([PUMP], [], passages=passages), 0)
    assert score.value == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert list(await said(state([PUMP], []), 0)) == []


async def test_who_made_the_answer() -> None:
    made = state([PUMP], [], data={"mode": "generate"})
    quoted = state([PUMP], [], data={"mode": "quote"}, steps=1)
    never_asked = state([PUMP], [], data={"mode": "quote"})
    assert [one.value for one in await Generated()(made, 0)] == [1.0]
    assert [one.value for one in await Generated()(quoted, 0)] == [0.0]
    assert list(await Generated()(never_asked, 0)) == []
    assert list(await Generated()(state([PUMP], []), 0)) == []
