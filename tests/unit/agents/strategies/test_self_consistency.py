"""Self-consistency: how samples are drawn, what is counted, and what they may not do."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.agents.events import (
    Answer,
    Budget,
    Claim,
    Effect,
    ModelAsked,
    Noted,
    RunEnded,
    Status,
    ToolEnded,
)
from rostra.agents.scope import Message, Piece, Scope
from rostra.agents.strategies.make import Means, make_strategy
from rostra.agents.strategies.react import ReAct
from rostra.agents.strategies.self_consistency import SelfConsistent, majority
from rostra.agents.tools.tool import CallContext, ToolResult
from rostra.core import ChatMessage, GenerationOptions, InvalidRequest, Role
from rostra.models import Turn
from tests.unit.agents.strategies.lab import TOOLS, Lab, Script, act, final, info, schema_of


def answer(text: str) -> Answer:
    return Answer(text, [Claim(text)])


def by_seed(*answers: str) -> Script:
    """Each sample looks something up, then gives the answer of its seed; empty abstains."""

    def script(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
        assert options.temperature == 0.7
        assert options.seed is not None
        if not any(message.role is Role.ASSISTANT for message in messages):
            return act(("search", {"query": "alpha"}))
        said = answers[options.seed]
        return final((said, [])) if said else final()

    return script


async def test_what_most_samples_say_is_the_answer() -> None:
    script = by_seed("It is 12.", "It is 30.", "it is  30", "", "It is 30!")
    ran = await Lab().run_cut_everywhere(SelfConsistent(ReAct(), 5), script)
    assert ran.answer == "It is 30."
    (note,) = ran.all(Noted)
    assert (note.kind, note.text) == ("samples", "3 of 5 samples agree")
    assert len(ran.all(ModelAsked)) == 10
    assert len(ran.all(ToolEnded)) == 5


@pytest.mark.parametrize(
    ("said", "chosen", "votes"),
    [
        (["a b", None, None], None, 2),
        (["a b", None], "a b", 1),
        ([None], None, 1),
        # One of each: the one that the others are most like, then the earliest.
        (["red", "green fish", "green fish here"], "green fish", 1),
        (["one", "two"], "one", 1),
        (["...", "!!!"], "...", 1),
    ],
)
def test_votes(said: list[str | None], chosen: str | None, votes: int) -> None:
    drawn = [None if one is None else answer(one) for one in said]
    best, count = majority(drawn)
    assert (None if best is None else best.text, count) == (chosen, votes)


@given(st.lists(st.sampled_from(["a", "A.", "b", "c d", None]), min_size=1, max_size=9))
def test_no_answer_has_more_votes_than_the_chosen_one(said: list[str | None]) -> None:
    def plain(text: str | None) -> str | None:
        return None if text is None else text.lower().rstrip(".")

    best, count = majority([None if one is None else answer(one) for one in said])
    counts = [[plain(other) for other in said].count(plain(one)) for one in said]
    assert count == max(counts)
    assert plain(None if best is None else best.text) in [
        plain(one) for one, votes in zip(said, counts, strict=True) if votes == count
    ]


async def test_samples_change_nothing() -> None:
    async def write(arguments: dict[str, str], context: CallContext) -> ToolResult:
        raise AssertionError("it is not to be had")

    def script(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
        assert "write" not in str(schema_of(options))
        assert "The tool write" not in messages[0].content
        return act(("write", {"text": "x"})) if len(messages) < 5 else final(("Done.", []))

    changes = (info("write", "text", effect=Effect.WRITE), write)
    ran = await Lab(tools=(*TOOLS, changes)).run(SelfConsistent(ReAct(), 2), script)
    assert ran.answer == "Done."
    assert not ran.called


async def test_samples_share_the_steps_and_stay_within_the_budget() -> None:
    made = make_strategy("react", {"samples": 4}, Means(steps=9))
    ran = await Lab(budget=Budget(steps=9)).run(made, by_seed(*["It is 1."] * 4))
    assert ran.answer == "It is 1."
    assert isinstance(ran.last, RunEnded)
    assert ran.last.spent.steps == 8


async def test_samples_without_a_budget_have_no_vote() -> None:
    script = by_seed("It is 1.", "It is 1.", "It is 1.")
    for steps, votes in ((5, 2), (4, 1), (3, 0)):
        strategy = SelfConsistent(ReAct(), 3)
        ran = await Lab(budget=Budget(steps=steps)).run(strategy, script)
        assert isinstance(ran.last, RunEnded)
        assert ran.last.spent.steps <= steps
        if votes == 0:
            assert ran.last.status is Status.EXHAUSTED
            continue
        assert ran.answer == "It is 1."
        (note,) = ran.all(Noted)
        assert note.data == {"votes": votes, "samples": 3, "without_budget": 3 - votes}


@pytest.mark.parametrize(
    ("options", "steps"),
    [({"samples": 0}, 20), ({"samples": 17}, 20), ({"samples": "3"}, 20), ({"samples": 8}, 7)],
)
def test_how_many_samples_there_can_be(options: dict[str, object], steps: int) -> None:
    with pytest.raises(InvalidRequest, match="samples"):
        make_strategy("react", options, Means(steps=steps))


@pytest.mark.parametrize("name", ["react", "plan", "rewoo", "rag"])
def test_every_strategy_can_be_drawn_several_times(name: str) -> None:
    made = make_strategy(name, {"samples": 3})
    assert isinstance(made, SelfConsistent)
    assert made.name == name
    assert not isinstance(make_strategy(name, {"samples": 1}), SelfConsistent)


@pytest.mark.parametrize("name", ["react", "plan", "rewoo", "rag"])
def test_every_strategy_is_held_to_its_part(name: str) -> None:
    made = make_strategy(name, {"samples": 3}, Means(steps=20))
    assert isinstance(made, SelfConsistent)
    assert made.steps == 6


class Greedy:
    """The first sample asks for ever, in a branch of its own; the others ask twice."""

    name = "greedy"

    async def run(self, scope: Scope) -> Answer | None:
        """See `Strategy.run`."""
        asked = [Message(Role.USER, (Piece(scope.task),))]
        said = [await scope.ask("step", asked, GenerationOptions())]
        within = scope.branch(scope.key())
        while said[-1].text == "again":
            said.append(await within.ask("step", asked, GenerationOptions()))
        return answer(said[-1].text)


async def test_a_sample_takes_no_steps_of_the_others() -> None:
    def script(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
        return "again" if options.seed == 0 else "It is 1."

    ran = await Lab(budget=Budget(steps=6)).run_cut_everywhere(
        SelfConsistent(Greedy(), 2, steps=3), script
    )
    assert ran.answer == "It is 1."
    (note,) = ran.all(Noted)
    assert note.data == {"votes": 1, "samples": 2, "without_budget": 1}
    assert len(ran.all(ModelAsked)) == 4


async def test_samples_side_by_side_hold_the_budget_of_cost() -> None:
    said = by_seed(*["It is 1."] * 4)

    def script(messages: Sequence[ChatMessage], options: GenerationOptions) -> Turn:
        text = said(messages, options)
        assert isinstance(text, str)
        return Turn(text, usage={"prompt_tokens": 9, "completion_tokens": 9, "cost": 0.11})

    ran = await Lab(budget=Budget(cost=0.25)).run(SelfConsistent(ReAct(), 4), script)
    assert isinstance(ran.last, RunEnded)
    # The last answer alone goes beyond it.
    assert ran.last.spent.cost == pytest.approx(0.33)
    ran = await Lab(budget=Budget(cost=2)).run(SelfConsistent(ReAct(), 4), script)
    assert ran.answer == "It is 1."
