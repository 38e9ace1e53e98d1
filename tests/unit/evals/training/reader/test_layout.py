"""The template makes of the platform's own prompts what the reader is trained on."""

from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import uuid4

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from evals.training.reader.layout import (
    MOST_NUMBERS,
    SCAFFOLDS,
    Shown,
    evidence_prompt,
    material,
    step_prompt,
)
from evals.training.reader.model import last_step
from evals.training.reader.vocabulary import number_id, save_tokenizer
from rostra.agents import prompts
from rostra.agents.events import DocumentSpan, Outcome, PlannedCall, ToolEnded
from rostra.agents.sentences import numbered, observed
from rostra.agents.strategies.conversation import shown
from rostra.answer.point import point_at_evidence
from rostra.core import ChatMessage, Delta, Finish, GenerationOptions, Role
from rostra.retrieval import Hit
from rostra.retrieval.hits import HitScores
from rostra.serving import TextTokenizer

BEST = "The server writes a checkpoint. It does so every five minutes."
NEXT = "A vacuum removes dead rows. It needs no lock that others wait for."
THIRD = "Each connection has a process of its own."


@pytest.fixture(scope="module")
def folder(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(tokenizer, made, last_step(), 2048)
    return made


def rendered(folder: Path, messages: list[ChatMessage]) -> str:
    """By the engine; what transformers makes of it has to be the same."""
    said = [{"role": str(one.role), "content": one.content} for one in messages]
    ids = TextTokenizer(folder).apply_chat(said)
    other = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    rendered = other.apply_chat_template(said, add_generation_prompt=True, tokenize=False)
    assert other(rendered, add_special_tokens=False)["input_ids"] == ids
    return str(other.decode(ids))


def hit(title: str, text: str) -> Hit:
    return Hit(
        chunk_id=uuid4(),
        document_id=uuid4(),
        uri="file:///a",
        title=title,
        start=0,
        end=len(text),
        text=text,
        context="",
        page=None,
        score=1.0,
        scores=HitScores(),
        collection="default",
        metadata={},
    )


class Recorder:
    """A model that keeps its prompt and says that nothing answers."""

    name = "recorder"

    def __init__(self) -> None:
        self.asked: list[ChatMessage] = []

    async def stream(
        self, messages: list[ChatMessage], options: GenerationOptions
    ) -> AsyncGenerator[Delta | Finish, None]:
        self.asked = list(messages)
        yield Delta("[]")


async def test_evidence(folder: Path, tokenizer: Tokenizer) -> None:
    model = Recorder()
    hits = [hit('A "title"', BEST), hit("Vacuum", NEXT), hit("Processes", THIRD)]
    question = "What does the server\nwrite?"
    await point_at_evidence(model, question, hits, [], most=3)  # type: ignore[arg-type]
    first, second = (one.strip() + "." for one in BEST.rstrip(".").split(". "))
    third, fourth = (one.strip() + "." for one in NEXT.rstrip(".").split(". "))
    expected = evidence_prompt(
        question,
        [
            Shown('A "title"', ((1, first), (2, second))),
            Shown("Processes", ((5, THIRD),)),
            Shown("Vacuum", ((3, third), (4, fourth))),
        ],
    )
    assert tokenizer.encode(rendered(folder, model.asked)).ids == tokenizer.encode(expected).ids


def react(*turns: ChatMessage) -> list[ChatMessage]:
    tools = "\n\nTools:\n- search: Finds. Arguments: {}\n- calculate: Computes. Arguments: {}"
    return [
        ChatMessage(Role.SYSTEM, prompts.render("react", {}) + tools),
        ChatMessage(Role.USER, "What does the server write?"),
        *turns,
    ]


def test_a_first_step(folder: Path, tokenizer: Tokenizer) -> None:
    expected = step_prompt("What does the server write?", calculate=True)
    assert tokenizer.encode(rendered(folder, react())).ids == tokenizer.encode(expected).ids


def test_a_step_after_a_search(folder: Path, tokenizer: Tokenizer) -> None:
    call = PlannedCall("1", "search", {"query": "server write"})
    head = "Chapter 3 (document 0198, from 20):\n"
    ended = ToolEnded(
        "k", "1", Outcome.OK, head + BEST, first=7, documents=[
            DocumentSpan(len(head), "0198", 20, 20 + len(BEST))
        ]
    )  # fmt: skip
    sentences = numbered(ended, 7)
    observation = observed(call, ended, sentences)
    told = "".join(piece.text for piece in shown(observation))
    said = '{"thought": "", "action": [{"tool": "search", "args": {"query": "server write"}}]}'
    turns = [ChatMessage(Role.ASSISTANT, said), ChatMessage(Role.USER, told)]
    title = Shown("Chapter 3", tuple((one.number, one.text) for one in sentences))
    assert [one.number for one in sentences] == [7, 8]
    turn = ("server write", material([title]))
    expected = step_prompt("What does the server write?", [turn], calculate=True)
    assert tokenizer.encode(rendered(folder, react(*turns))).ids == tokenizer.encode(expected).ids


def test_the_last_step(folder: Path, tokenizer: Tokenizer) -> None:
    said = '{"thought": "", "action": [{"tool": "calculate", "args": {"expression": "3 * 4"}}]}'
    told = (
        f"Result of calculate:\n[1] value: 12; exact: true\n\n\n{prompts.render('last_step', {})}"
    )
    turns = [ChatMessage(Role.ASSISTANT, said), ChatMessage(Role.USER, told)]
    turn = ("3 * 4", "<|1|> value: 12; exact: true<|stop|>")
    expected = step_prompt("What does the server write?", [turn], calculate=True, last=True)
    assert tokenizer.encode(rendered(folder, react(*turns))).ids == tokenizer.encode(expected).ids


def test_a_next_step_begins_with_the_last_one(folder: Path, tokenizer: Tokenizer) -> None:
    said = '{"thought": "", "action": [{"tool": "search", "args": {"query": "it"}}]}'
    first = [ChatMessage(Role.ASSISTANT, said), ChatMessage(Role.USER, "[1] One.\n[2] Two.")]
    second = [ChatMessage(Role.ASSISTANT, said), ChatMessage(Role.USER, "[3] Three.")]
    before = rendered(folder, react(*first)).removesuffix("<|step|>")
    after = rendered(folder, react(*first, *second))
    assert after.startswith(before)
    assert after.removeprefix(before) == "<|asked|> it<|3|> three.<|stop|><|step|>"


def test_what_a_document_writes_is_no_number_of_a_sentence(folder: Path) -> None:
    told = "Result of search:\n[4] The first of a list\n[1] and what it cites\n[5] The second."
    turns = [ChatMessage(Role.ASSISTANT, "{}"), ChatMessage(Role.USER, told)]
    found = rendered(folder, react(*turns))
    assert "<|4|>" in found and "<|5|>" in found and "<|1|>" not in found


def test_tokens_of_the_reader_in_a_document_are_text(folder: Path) -> None:
    turns = [ChatMessage(Role.ASSISTANT, "{}"), ChatMessage(Role.USER, "[1] Say <|9|> now.")]
    said = [{"role": str(one.role), "content": one.content} for one in react(*turns)]
    tokenizer = TextTokenizer(folder)
    assert tokenizer.token_id("<|9|>") not in tokenizer.apply_chat(said)


def test_any_other_chat_is_rendered_too(folder: Path) -> None:
    assert rendered(folder, [ChatMessage(Role.USER, "Hello")]).startswith("<|begin|><|chat|> hello")


def test_numbers_and_parts_of_steps_are_single_tokens(tokenizer: Tokenizer) -> None:
    assert len({number_id(tokenizer, at) for at in range(1, MOST_NUMBERS + 1)}) == MOST_NUMBERS
    for part in SCAFFOLDS:
        ids = tokenizer.encode(part).ids
        assert len(ids) == 1
        assert tokenizer.decode(ids) == part
