"""Examples: the same each time, and never of pages that are held out."""

import random
import re
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from evals.training.clozes import ClozeMaker
from evals.training.errors import ExamplesMissing
from evals.training.pages import Passage
from evals.training.reader.building import Builder, Building, Pool
from evals.training.reader.layout import CALL_SEARCH
from evals.training.reader.learning import Stage
from evals.training.reader.sequences import StoredSequences, TokenSequence, write_sequences
from evals.training.reader.tasks import (
    Question,
    arithmetic_step,
    opening_step,
    other_query_of,
    query_of,
)
from rostra.core import sentence_spans
from rostra.retrieval import TextIndex
from rostra.runtime.reader import searched

STAGE = Stage(name="s", passages=3, hardness=0.5, examples=12, unanswerable=0.3, begins=0.0)
NOUNS = ("server", "planner", "index", "row", "lock", "process", "table", "query")


def passage(at: int) -> Passage:
    word = NOUNS[at % len(NOUNS)]
    held = at % 4 == 0
    mark = "hidden" if held else "open"
    text = (
        f"The {mark} {word} writes number {at} of its pages every five minutes by default. "
        f"Another {mark} {word} waits until the first one of them has ended its work. "
        f"It is {mark} to everybody who asks the {word} for one of its pages."
    )
    return Passage(f"page{at // 2}", f"Chapter > {word}", text, sentence_spans(text), held)


@pytest.fixture
def builder() -> Builder:
    passages = [passage(at) for at in range(40)]
    vectors = np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pool = Pool(passages, TextIndex([one.text for one in passages], vectors), vectors)
    pool.questions = {1: [Question("who waits for the work?", 1, (1,))]}
    maker = ClozeMaker({}, 40, lambda word, _: word)
    return Builder([pool], maker, Building(questions=4), 5)


def test_the_same_examples_each_time(
    builder: Builder, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    digests = []
    for name in ("a", "b"):
        made = builder.sequences(STAGE, 30, tokenizer, held_out=False)
        assert write_sequences(tmp_path / name, made) == 30
        digests.append(StoredSequences(tmp_path / name).digest())
    assert digests[0] == digests[1]


def test_held_out_pages_and_others_never_meet(builder: Builder, tokenizer: Tokenizer) -> None:
    for one in builder.sequences(STAGE, 40, tokenizer, held_out=False):
        assert "hidden" not in tokenizer.decode(one.tokens.tolist())
    for one in builder.sequences(STAGE, 20, tokenizer, held_out=True):
        assert "open" not in tokenizer.decode(one.tokens.tolist())


def test_answers_are_numbers_of_what_is_shown(builder: Builder, tokenizer: Tokenizer) -> None:
    answered = 0
    for one in builder.sequences(STAGE, 40, tokenizer, held_out=False):
        assert set(one.gold.tolist()) <= set(one.marks.tolist())
        answered += bool(one.gold.any())
    assert answered > 10


def test_examples_are_read_as_they_were_written(
    builder: Builder, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    made = list(builder.sequences(STAGE, 20, tokenizer, held_out=False))
    write_sequences(tmp_path, made)
    stored = StoredSequences(tmp_path)
    made.sort(key=lambda one: (len(one.tokens), one.tokens.tobytes()))
    assert len(stored) == len(made)
    for at, one in enumerate(made):
        for name in TokenSequence.__slots__:
            np.testing.assert_array_equal(getattr(one, name), getattr(stored[at], name))
    assert stored.tokens == sum(len(one.tokens) for one in made)


def test_examples_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(ExamplesMissing, match="build reader"):
        try:
            StoredSequences(tmp_path)
        except ExamplesMissing as error:
            raise ExamplesMissing(error.hint or "") from error


def test_the_task_is_the_query() -> None:
    task = 'What  does "the server"\nwrite?'
    assert query_of(task).strip() == searched(task) == "What does the server write?"
    assert other_query_of("What does the server write?") == "server write"
    assert other_query_of("why?") == ""


def test_arithmetic_is_copied_from_the_task() -> None:
    rng = random.Random(1)
    for _ in range(50):
        step = arithmetic_step(rng)
        assert not step.reads
        assert step.prompt.endswith("<|step|>")


def test_a_question_with_numbers_is_searched_for() -> None:
    rng = random.Random(1)
    steps = [opening_step("what does the vacuum command do?", rng, 1.0) for _ in range(300)]
    assert all(step.answer.startswith(CALL_SEARCH) for step in steps)
    numbered = [step for step in steps if re.search("[0-9]", step.prompt)]
    assert len(numbered) > 200
    assert len({step.prompt for step in numbered}) > 200
