"""Generated answers from a scripted model: marks become citations, however they arrive."""

import asyncio
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.answer import NOT_FOUND, Answer, AnswerEvent, AnswerMode, Cited, Done, TextDelta
from rostra.answer.generate import generate_events, prompt
from rostra.core import ChatMessage, ModelUnavailable, Overloaded, Role
from tests.fakes import ScriptedChatModel
from tests.unit.answer.conftest import hit

HITS = [hit("Vacuum reclaims storage.", page=4), hit("0123456789 A lock blocks.", 11, page=None)]


async def events_of(*script: str | Exception) -> list[AnswerEvent]:
    model = ScriptedChatModel(script)
    events = [event async for event in generate_events(model, "Why?", HITS, [], {"search": 1.0})]
    assert model.closed == 1
    return events


async def answer_of(*script: str) -> Answer:
    events = await events_of(*script)
    assert [type(event) for event in events].count(Done) == 1
    done = events[-1]
    assert isinstance(done, Done)
    deltas = [event.text for event in events if isinstance(event, TextDelta)]
    assert "".join(deltas) == "".join(script) == done.answer.answer
    if done.answer.found:
        cited = [event.citation for event in events if isinstance(event, Cited)]
        assert cited == done.answer.citations
    return done.answer


TEXT = (
    "Storage is reclaimed [1]. Writers wait, as 3.5 tests show [2] [1].\nNo more [9] or [0] or []."
)
STATEMENTS = ["Storage is reclaimed", "Writers wait, as 3.5 tests show"]


def check_citations(answer: Answer) -> None:
    assert (answer.mode, answer.found) == (AnswerMode.GENERATE, True)
    assert [citation.quote for citation in answer.citations] == [
        HITS[0].text,
        HITS[1].text,
        HITS[0].text,
    ]
    for citation, passage in zip(answer.citations, (HITS[0], HITS[1], HITS[0]), strict=True):
        assert citation.document_id == passage.document_id
        assert (citation.start, citation.end) == (passage.start, passage.end)
        assert citation.page == passage.page
    assert [answer.answer[c.answer_start : c.answer_end] for c in answer.citations] == [
        STATEMENTS[0],
        STATEMENTS[1],
        STATEMENTS[1],
    ]


async def test_marks_become_citations_of_their_passages() -> None:
    check_citations(await answer_of(TEXT))


async def test_a_mark_is_found_character_by_character() -> None:
    check_citations(await answer_of(*TEXT))


@given(st.lists(st.integers(0, len(TEXT)), max_size=12))
def test_a_mark_is_found_wherever_the_stream_is_cut(cuts: list[int]) -> None:
    edges = sorted({0, *cuts, len(TEXT)})
    pieces = [TEXT[one:other] for one, other in pairwise(edges)]
    check_citations(asyncio.run(answer_of(*pieces)))


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("[1]", [""]),
        ("[1] Storage.", [""]),
        ("One. Two [2]", ["Two"]),
        ("One! Two? Three. [2]", ["Three."]),
        ("One [1][2].", ["One", "One"]),
        ("- First [1]\n- Second [2]", ["- First", "- Second"]),
        ("Version 3.5 [1]", ["Version 3.5"]),
        ("One.\n\nTwo  [2]", ["Two"]),
        ("Told [7] so [1].", ["so"]),
        ("[[1]]", ["["]),
    ],
)
async def test_a_citation_backs_the_statement_before_its_mark(
    text: str, statements: list[str]
) -> None:
    answer = await answer_of(text)
    backed = [text[c.answer_start : c.answer_end] for c in answer.citations]
    assert backed == statements


@pytest.mark.parametrize(
    "text", ["[0]", "[3]", "[999]", "[1234]", "[a]", "[-1]", "[1", "1]", "[ 1]"]
)
async def test_a_mark_that_names_no_passage_cites_nothing(text: str) -> None:
    answer = await answer_of("Well ", text, " so.")
    assert answer.citations == []
    assert answer.found


@given(st.text(st.sampled_from("[]12 .\nab"), max_size=40), st.integers(1, 5))
def test_offsets_hold_for_any_text(text: str, size: int) -> None:
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    answer = asyncio.run(answer_of(*pieces))
    for citation in answer.citations:
        assert 0 <= citation.answer_start <= citation.answer_end <= len(text)
        backed = text[citation.answer_start : citation.answer_end]
        assert backed == backed.rstrip()
    if answer.found:
        assert len(answer.citations) == text.count("[1]") + text.count("[2]")


@pytest.mark.parametrize(
    "script",
    [[NOT_FOUND], [" ", NOT_FOUND, "\n"], ["Not found in ", "these documents."], [], [" \n"]],
)
async def test_an_answer_that_finds_nothing_cites_nothing(script: list[str]) -> None:
    answer = await answer_of(*script)
    assert (answer.found, answer.citations) == (False, [])


@pytest.mark.parametrize("error", [Overloaded("busy"), ModelUnavailable("gone")])
async def test_the_models_errors_pass_through(error: Exception) -> None:
    with pytest.raises(type(error)):
        await events_of(error)
    with pytest.raises(type(error)):
        await events_of("Half a", error)


async def test_leaving_ends_the_generation_at_once() -> None:
    model = ScriptedChatModel(["One ", "two"])
    stream = generate_events(model, "Why?", HITS, [], {})
    assert await anext(stream) == TextDelta("One ")
    assert model.closed == 0
    await stream.aclose()
    assert model.closed == 1


def test_the_prompt_has_rules_first_and_the_question_last() -> None:
    history = [ChatMessage(Role.USER, "Before?"), ChatMessage(Role.ASSISTANT, "Yes.")]
    messages = prompt("Why so?", HITS, history)
    assert [message.role for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[1:3] == history
    assert messages[0] == prompt("Other?", [], [])[0]
    assert NOT_FOUND in messages[0].content
    last = messages[-1].content
    assert last.endswith("Why so?")
    assert last.index('number="1"') < last.index(HITS[0].text) < last.index('number="2"')


def test_the_best_passages_stand_first_and_last_with_the_numbers_of_their_rank() -> None:
    hits = [hit(f"Passage of rank {rank}.") for rank in range(1, 6)]
    shown = prompt("Why?", hits, [])[-1].content
    ranks = [int(found) for found in re.findall(r"Passage of rank (\d)", shown)]
    numbers = [int(found) for found in re.findall(r'<passage number="(\d)"', shown)]
    assert ranks == numbers == [1, 3, 5, 4, 2]
