"""Handing over: another agent's answer as a tool's, and its failures."""

from typing import Any

import pytest

from rostra.agents.errors import BudgetSpent
from rostra.agents.events import Answer, Citation, Claim, Effect, Outcome, RunEnded, ToolEnded
from rostra.agents.strategies.handoff import answer_result, handoff_toolset
from rostra.agents.strategies.react import ReAct
from rostra.agents.tools.tool import CallContext, ToolFailure
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


def lab(outcome: Answer | Exception | None, seen: list[Any], effect: Effect = Effect.READ) -> Lab:
    async def run_agent(task: str, strategy: str, *, parent: str, call: str) -> Answer | None:
        seen.append((task, strategy, parent, call))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    tools = handoff_toolset("expert", "Knows weights.", "react", run_agent, effect=effect).tools
    return Lab(tools=tuple((info, call) for info, call in tools))


ASKS = turns(act(("expert", {"task": "Weigh Alpha."})), final(("12 kg it is.", [1])))


async def test_an_answer_comes_with_quotes_that_can_be_cited_again() -> None:
    seen: list[Any] = []
    ran = await lab(ANSWER, seen).run_cut_everywhere(ReAct(), ASKS)
    assert isinstance(ran.last, RunEnded)
    assert ran.last.answer is not None
    (cited,) = ran.last.answer.claims[0].evidence
    assert (cited.document_id, cited.quote) == ("doc", "Alpha weighs 12 kg.")
    assert STORED[cited.start : cited.end] == cited.quote
    assert {one[:3] for one in seen} == {("Weigh Alpha.", "react", "run")}
    assert len({one[3] for one in seen}) == 1, "each attempt goes on with the same run"


@pytest.mark.parametrize(
    "failure", [BudgetSpent("it spent its budget"), ToolFailure("it waits for a person")]
)
async def test_a_failure_of_the_other_agent_is_an_observation(failure: Exception) -> None:
    ran = await lab(failure, []).run(ReAct(), turns(act(("expert", {"task": "x"})), final()))
    (end,) = ran.all(ToolEnded)
    assert end.outcome is Outcome.ERROR
    assert str(failure) in end.text


async def test_no_answer_is_said() -> None:
    ran = await lab(None, []).run(ReAct(), turns(act(("expert", {"task": "x"})), final()))
    assert "no answer" in ran.all(ToolEnded)[0].text
    assert answer_result(None).documents == ()


async def test_what_an_agent_can_do_needs_approval_unless_it_only_reads() -> None:
    seen: list[Any] = []
    await lab(ANSWER, seen, Effect.UNKNOWN).run(ReAct(), ASKS)
    assert not seen


async def test_an_empty_task_is_refused_before_anything_begins() -> None:
    toolset = handoff_toolset("expert", "d", "react", lambda *_, **__: None)  # type: ignore[arg-type,return-value] # never called
    with pytest.raises(ToolFailure) as failure:
        await toolset.call("expert", {"task": "  "}, CallContext("r", "c"))
    assert not failure.value.began
