"""A generator that points at sentences: whatever it says, the answer is verbatim."""

import pytest

from rostra.answer.events import AnswerMode, Done
from rostra.answer.point import point_at_evidence
from rostra.answer.quote import quote_events
from rostra.core import Evidence as EvidenceConstraint
from tests.fakes import ScriptedChatModel
from tests.unit.answer.conftest import hit

HITS = [
    hit("Vacuum reclaims the storage of rows. It can run at any time of day."),
    hit("A lock blocks all other writers at once. Readers go on as they did before."),
]


async def pointed(reply: str) -> tuple[list[str], ScriptedChatModel]:
    model = ScriptedChatModel((reply,))
    evidence = await point_at_evidence(model, "Why?", HITS, [], most=3)
    return [sentence.text for sentence in evidence.sentences], model


@pytest.mark.parametrize(
    ("reply", "sentences"),
    [
        ("[]", []),
        ("[1]", ["Vacuum reclaims the storage of rows."]),
        (
            "[4, 1, 4]",
            ["Readers go on as they did before.", "Vacuum reclaims the storage of rows."],
        ),
        ("Certainly: [3].", ["A lock blocks all other writers at once."]),
        ('[99, 0, -1, true, 2.5, "3"]', []),
        ("no numbers [at all", []),
        ("[1, ", []),
    ],
)
async def test_numbers_become_sentences(reply: str, sentences: list[str]) -> None:
    found, _ = await pointed(reply)
    assert found == sentences


async def test_the_prompt_numbers_every_sentence_and_the_grammar_knows_how_many() -> None:
    _, model = await pointed("[]")
    assert model.options[0].constraint == EvidenceConstraint(sentences=4, most=3)
    prompt = model.prompts[0][-1].content
    assert all(f"[{number}] " in prompt for number in range(1, 5))
    assert prompt.endswith("Question: Why?")


async def test_what_is_pointed_at_is_laid_out_with_exact_citations() -> None:
    model = ScriptedChatModel(("[3, 2]",))
    evidence = await point_at_evidence(model, "Why?", HITS, [], most=3)
    *_, done = quote_events(evidence, [None, None], 0.0, {}, AnswerMode.GENERATE)
    assert isinstance(done, Done)
    assert done.answer.mode is AnswerMode.GENERATE
    for citation in done.answer.citations:
        source = next(h for h in HITS if h.document_id == citation.document_id)
        assert source.text[citation.start - source.start : citation.end - source.start] == (
            citation.quote
        )


async def test_numbers_name_the_same_sentence_wherever_it_stands() -> None:
    hits = [hit(f"Here rank {rank} says something. Then rank {rank} ends.") for rank in range(1, 5)]
    model = ScriptedChatModel(("[3, 7]",))
    evidence = await point_at_evidence(model, "Why?", hits, [], most=3)
    shown = model.prompts[0][-1].content
    for number, sentence in (
        (3, "Here rank 2 says something."),
        (7, "Here rank 4 says something."),
    ):
        assert f"[{number}] {sentence}" in shown
        assert sentence in [found.text for found in evidence.sentences]
    assert shown.index("rank 1") < shown.index("rank 3") < shown.index("rank 4")
    assert shown.index("rank 4") < shown.index("rank 2")
