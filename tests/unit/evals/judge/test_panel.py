"""Panels: one vote each, a member that fails loses its own alone, disagreement is told."""

from typing import Any

import pytest

from evals.core import Unscored
from evals.judge.ask import ask
from evals.judge.compare import Ballot, both_orders
from evals.judge.model import JudgeSaidNothing, ModelJudge
from evals.judge.pairs import Pair, Winner
from evals.judge.panel import PairPanel, Panel
from rostra.core import InvalidRequest, ModelUnavailable
from rostra.models import ScriptedModel, Turn

VALUES = {"question": "How often?", "answer": "Every month."}


def judge(name: str, *verdicts: int | str) -> ModelJudge:
    turns = [f'{{"reason": "{name} says", "verdict": {verdict}}}' for verdict in verdicts]
    return ModelJudge(ScriptedModel(turns, name=name, loop=True), attempts=1)


def broken(name: str) -> ModelJudge:
    model = ScriptedModel([Turn(raises=ModelUnavailable("gone"))], name=name, loop=True)
    return ModelJudge(model)


async def test_the_majority_decides_and_who_said_what_is_told() -> None:
    panel = Panel([judge("one", 5), judge("two", 2), judge("three", 5)])
    verdict = await ask(panel, "helpfulness", VALUES)
    assert (verdict.choice, verdict.value) == ("5", 1.0)
    assert verdict.by == {"one": "5", "two": "2", "three": "5"}
    assert verdict.agreement == pytest.approx(1 / 3)
    assert verdict.reason == "one says"
    assert verdict.attempts == 3
    assert panel.name == "one + two + three"


async def test_the_mean() -> None:
    panel = Panel([judge("one", 5), judge("two", 2), judge("three", 5)], rule="mean")
    assert (await ask(panel, "helpfulness", VALUES)).value == pytest.approx(0.75)


async def test_members_without_a_verdict_lose_their_vote() -> None:
    panel = Panel([judge("one", 4), broken("two"), judge("three", '"superb"')])
    verdict = await ask(panel, "helpfulness", VALUES)
    assert verdict.choice == "4"
    assert verdict.by == {"one": "4", "two": "", "three": ""}
    assert verdict.lost == {
        "the judge's model failed: model_unavailable": 1,
        "the judge gave no verdict": 1,
    }
    assert verdict.usage.completion_tokens > 4  # the nonsense was paid for


async def test_nobody_has_a_verdict() -> None:
    with pytest.raises(Unscored) as caught:
        await ask(Panel([broken("two"), judge("three", "0")]), "helpfulness", VALUES)
    assert isinstance(caught.value, JudgeSaidNothing)
    assert "two: gone" in caught.value.detail
    assert "three: " in caught.value.detail


def test_a_panel_has_several_judges() -> None:
    with pytest.raises(InvalidRequest, match="two judges"):
        Panel([judge("one", 5)])
    with pytest.raises(InvalidRequest, match="each once"):
        Panel([judge("one", 5), judge("one", 4)])


class Fixed:
    """Says the same winner in both orders, or nothing, or fails."""

    def __init__(self, name: str, winner: Winner | None, *, fails: bool = False) -> None:
        self.name = name
        self._winner: Winner | None = winner
        self._fails = fails

    def config(self) -> dict[str, Any]:
        return {"judge": "fixed"}

    async def compare(self, pair: Pair, *, swapped: bool, seed: int) -> Ballot:
        if self._fails:
            raise ModelUnavailable("gone")
        return Ballot(self._winner, self.name, "" if self._winner else "silence")


@pytest.mark.parametrize(
    ("members", "winner"),
    [
        (["first", "first", "second"], "first"),
        (["first", "second", None], "tie"),
        (["second", None, None], "second"),
        (["tie", "tie", "second"], "tie"),
        ([None, None], None),
    ],
)
async def test_pairs(members: list[Winner | None], winner: Winner | None) -> None:
    judges = [Fixed(str(place), member) for place, member in enumerate(members)]
    pair = Pair(id="1", question="q", first="x", second="yy", labels=["first"], label="first")
    ballots = await both_orders(
        PairPanel([*judges, Fixed("broken", None, fails=True)]), pair, seed=0
    )
    assert ballots.resolved == winner
    assert ballots.unscored == ("" if winner else "silence")
    assert sum(ballots.given[0].votes.values()) == sum(member is not None for member in members)
