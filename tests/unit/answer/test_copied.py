"""A generator that copies: whatever it says, the answer is verbatim."""

import json

import pytest

from rostra.answer.copied import copy_evidence
from rostra.core import Quotes
from tests.fakes import ScriptedChatModel
from tests.unit.answer.conftest import hit

HITS = [
    hit("Vacuum reclaims the storage of rows. It can run at any time of day."),
    hit("A lock blocks all other writers at once. It can run at any time of day."),
]
FIRST, SECOND = "Vacuum reclaims the storage of rows.", "A lock blocks all other writers at once."
BOTH = "It can run at any time of day."


async def copied(reply: str, most: int = 3) -> tuple[list[tuple[int, str]], ScriptedChatModel]:
    model = ScriptedChatModel((reply,))
    evidence = await copy_evidence(model, "Why?", HITS, [], most=most)
    assert evidence.score == float(bool(evidence.sentences))
    return [(HITS.index(one.hit), one.text) for one in evidence.sentences], model


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("[]", []),
        (json.dumps([SECOND, FIRST]), [(1, SECOND), (0, FIRST)]),
        (json.dumps([BOTH]), [(0, BOTH)]),
        (json.dumps([f" {FIRST} ", "storage of rows"]), [(0, FIRST)]),
        (json.dumps(["Invented text.", FIRST, 3, "."]), [(0, FIRST)]),
        ("no array [at all", []),
    ],
)
async def test_texts_become_spans(reply: str, found: list[tuple[int, str]]) -> None:
    assert (await copied(reply))[0] == found


async def test_no_more_than_most_and_the_first_is_the_most_telling() -> None:
    model = ScriptedChatModel((json.dumps([BOTH, FIRST, SECOND]),))
    evidence = await copy_evidence(model, "Why?", HITS, [], most=2)
    assert [one.text for one in evidence.sentences] == [FIRST, BOTH]
    assert max(evidence.sentences, key=lambda one: one.score).text == BOTH


async def test_the_grammar_has_the_passages_and_nothing_is_asked_without_any() -> None:
    _, model = await copied("[]")
    assert model.options[0].constraint == Quotes(tuple(one.text for one in HITS), most=3)
    silent = ScriptedChatModel(())
    assert (await copy_evidence(silent, "Why?", [], [], most=3)).sentences == []
    assert silent.prompts == []
