"""Agentic retrieval: when it searches, what it grants, when it searches again, when it abstains."""

import json
from collections.abc import Sequence

import pytest

from rostra.agents.events import Citation, Claim, ModelAsked, RunEnded, Status, Verified
from rostra.agents.strategies.agentic_rag import AgenticRAG, unsupported
from rostra.agents.strategies.react import ReAct
from rostra.core import ChatMessage, GenerationOptions, ToolCall
from rostra.models import Turn
from tests.unit.agents.strategies.lab import Lab, Script, act, by_prompt, final, info, turns


def route(search: bool, query: str = "") -> str:
    return json.dumps({"thought": "well", "search": search, "query": query})


def checks(*supported: bool) -> str:
    return json.dumps({"checks": [{"reason": "read it", "supported": each} for each in supported]})


GRANTS = checks(True)
LAB = Lab(task="How heavy is it, the Alpha thing?")


def rag(
    *steps: str | Turn, said: str = route(True, "weight of Alpha"), support: Script | str = GRANTS
) -> Script:
    return by_prompt(rag_route=said, react=turns(*steps), support=support)


async def test_it_searches_with_a_query_of_its_own_and_answers_what_is_granted() -> None:
    script = rag("never said", final(("Alpha weighs 12 kg.", [1])))
    ran = await LAB.run_cut_everywhere(AgenticRAG(), script)
    assert ran.answer == "Alpha weighs 12 kg."
    again = await LAB.run(AgenticRAG(), script)
    assert again.called == [("search", {"query": "weight of Alpha"})]
    assert [event.purpose for event in ran.all(ModelAsked)] == ["route", "step", "verify"]


async def test_it_does_not_search_for_what_needs_none() -> None:
    ran = await LAB.run(AgenticRAG(), rag(final(("Hello!", [])), said=route(False)))
    assert ran.answer == "Hello!"
    assert not ran.called


async def test_a_route_that_cannot_be_read_searches_for_the_question() -> None:
    ran = await LAB.run(AgenticRAG(), rag("x", final(("Alpha weighs 12 kg.", [1])), said="?"))
    assert ran.called == [("search", {"query": LAB.task})]
    assert ran.answer == "Alpha weighs 12 kg."


async def test_what_is_not_supported_is_told_and_searched_for_again() -> None:
    steps = (
        "never said",
        final(("Alpha weighs 99 kg.", [1])),
        act(("search", {"query": "beta"})),
        final(("Alpha weighs 12 kg.", [1]), ("Beta weighs 30 kg.", [2])),
    )
    script = rag(*steps, support=checks(True, True))
    ran = await LAB.run_cut_everywhere(AgenticRAG(), script)
    assert ran.answer == "Alpha weighs 12 kg. Beta weighs 30 kg."
    assert [event.passed for event in ran.all(Verified)] == [False, True, True]
    again = await LAB.run(AgenticRAG(), script)
    told = again.models["main"].seen[2][0][-1].content
    assert "its evidence does not say 99" in told


@pytest.mark.parametrize(
    ("answer", "support"),
    [
        (final(("Alpha weighs 12 kg.", [])), GRANTS),
        (final(("Alpha weighs 13 kg.", [1])), GRANTS),
        (final(("Moonlight bathes quiet valleys.", [1])), GRANTS),
        (final(("Alpha weighs 12 kg.", [1])), checks(False)),
        (final(("Alpha weighs 12 kg.", [1])), "no check"),
        (final(("Alpha weighs 12 kg.", [1])), checks(True, True)),
        (final(), GRANTS),
    ],
)
async def test_it_abstains_from_what_it_cannot_show(answer: str, support: str) -> None:
    ran = await LAB.run(AgenticRAG(), rag("x", answer, support=support))
    assert isinstance(ran.last, RunEnded)
    assert ran.last.status is Status.ABSTAINED
    assert len([event for event in ran.all(ModelAsked) if event.purpose == "step"]) <= 3


async def test_models_with_calls_of_their_own_see_the_search_as_theirs() -> None:
    seen: list[Sequence[ChatMessage]] = []

    def script(messages: Sequence[ChatMessage], options: GenerationOptions) -> str | Turn:
        seen.append(messages)
        if sum(message.role == "assistant" for message in messages) == 1:
            return Turn("", (ToolCall("t", "search", '{"query": "alpha"}'),))
        return "Alpha weighs 12 kg [2]."

    def checker(messages: Sequence[ChatMessage], options: GenerationOptions) -> str:
        return GRANTS if "Statement 1" in messages[1].content else route(True, "beta")

    strategy = AgenticRAG(react=ReAct(native=True), checker="checker")
    ran = await LAB.run(strategy, {"main": script, "checker": checker})
    assert ran.answer == "Alpha weighs 12 kg."
    first = seen[0]
    assert [call.id for message in first for call in message.calls] == [
        message.call_id for message in first if message.call_id is not None
    ]


async def test_without_a_search_tool_it_works_with_what_there_is() -> None:
    lab = Lab(tools=((info("weigh", "query"), Lab().tools[0][1]),), task="Alpha?")
    script = rag(act(("weigh", {"query": "alpha"})), final(("Alpha weighs 12 kg.", [1])))
    assert (await lab.run(AgenticRAG(), script)).answer == "Alpha weighs 12 kg."


@pytest.mark.parametrize(
    ("text", "quote", "why"),
    [
        ("The limit is 1,000 rows.", "The limit is 1000 rows.", None),
        ("The limits are 1000 rows.", "The limit of 1000 rows holds.", None),
        ("The limit is 100 rows.", "The limit is 1000 rows.", "its evidence does not say 100"),
        ("In 2024 it grew.", "It grew.", None),
        ("Cats sleep.", "Dogs bark loudly.", "its evidence speaks of something else"),
        ("42", "It is 42.", None),
    ],
)
def test_words_and_numbers_of_a_claim_are_those_of_its_quotes(
    text: str, quote: str, why: str | None
) -> None:
    assert unsupported(Claim(text, [Citation(1, quote, "c")]), frozenset({"2024"})) == why
    assert unsupported(Claim(text, [])) == "it has no evidence"
