"""Handing over: another agent's answer as a tool's, and its failures."""

from typing import Any

import pytest

from rostra.agents.events import (
    Answer,
    Citation,
    Claim,
    Effect,
    Outcome,
    RunEnded,
    Spent,
    ToolEnded,
)
from rostra.agents.strategies.handoff import HandedBack, answer_result, handoff_toolset
from rostra.agents.strategies.react import ReAct
from rostra.agents.tools.tool import CallContext, ToolFailure
from rostra.core import Overloaded
from tests.unit.agents.strategies.lab import Lab, act, final, turns

STORED = "Intro. Alpha weighs 12 kg. Outro."
AT = STORED.index("Alpha")
ANSWER = Answer(
    "It weighs 12 kg.",
    [
        Claim(
            "It weighs 12 kg.",
            [Citation(4, "Alpha weighs 12 kg.", "c", "doc", AT, AT + 19)],
        )
    ],
)


SPENT = Spent(steps=2, tokens=30, calls=1)


def lab(outcome: HandedBack | Exception, seen: list[Any], effect: Effect = Effect.READ) -> Lab:
    async def run_agent(task: str, context: CallContext) -> HandedBack:
        seen.append((task, context.run, context.call))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    tools = handoff_toolset("expert", "Knows weights.", run_agent, effect=effect).tools
    return Lab(tools=tuple((info, call) for info, call in tools))


ASKS = turns(act(("expert", {"task": "Weigh Alpha."})), final(("12 kg it is.", [1])))


async def test_an_answer_comes_with_quotes_that_can_be_cited_again() -> None:
    seen: list[Any] = []
    back = HandedBack("r", SPENT, ANSWER)
    ran = await lab(back, seen).run_cut_everywhere(ReAct(), ASKS)
    assert isinstance(ran.last, RunEnded)
    assert ran.last.answer is not None
    (cited,) = ran.last.answer.claims[0].evidence
    assert (cited.document_id, cited.quote) == ("doc", "Alpha weighs 12 kg.")
    assert STORED[cited.start : cited.end] == cited.quote
    assert {one[:2] for one in seen} == {("Weigh Alpha.", "run")}
    assert len({one[2] for one in seen}) == 1, "each attempt goes on with the same run"
    # Two questions and a call of its own, beside the other run's.
    assert (ran.last.spent.steps, ran.last.spent.calls) == (2 + 2, 1 + 1)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (HandedBack("r1", SPENT, error="its budget is spent."), "its budget is spent"),
        (Overloaded("too many runs"), "could not begin: too many runs"),
    ],
)
async def test_a_failure_of_the_other_agent_is_an_observation(
    outcome: HandedBack | Exception, said: str
) -> None:
    ran = await lab(outcome, []).run(ReAct(), turns(act(("expert", {"task": "x"})), final()))
    (end,) = ran.all(ToolEnded)
    assert end.outcome is Outcome.ERROR
    assert said in end.text
    assert end.spent == (SPENT if isinstance(outcome, HandedBack) else None)


async def test_no_answer_is_said() -> None:
    ran = await lab(HandedBack("r", SPENT), []).run(
        ReAct(), turns(act(("expert", {"task": "x"})), final())
    )
    assert "no answer" in ran.all(ToolEnded)[0].text
    assert answer_result(None).documents == ()


async def test_what_an_agent_can_do_needs_approval_unless_it_only_reads() -> None:
    seen: list[Any] = []
    await lab(HandedBack("r", SPENT, ANSWER), seen, Effect.UNKNOWN).run(ReAct(), ASKS)
    assert not seen


async def test_an_empty_task_is_refused_before_anything_begins() -> None:
    toolset = handoff_toolset("expert", "d", lambda *_: None)  # type: ignore[arg-type,return-value] # never called
    with pytest.raises(ToolFailure) as failure:
        await toolset.call("expert", {"task": "  "}, CallContext("r", "c"))
    assert not failure.value.began
