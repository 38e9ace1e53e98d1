"""Training goes on as if it had never stopped."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from evals.training.loop import Plan, train
from evals.training.reader.layout import PAD, Shown, evidence_prompt, numbers_answer
from evals.training.reader.learning import Course, Learner, Pace, Stage
from evals.training.reader.net import Guides, Reader, Shape
from evals.training.reader.sequences import (
    Marks,
    StoredSequences,
    tokenised,
    write_sequences,
)
from evals.training.reader.tasks import Asked

WORDS = ("server", "vacuum", "connection", "planner", "rows", "tables")


def stage(name: str, begins: float) -> Stage:
    return Stage(name=name, passages=1, hardness=0.0, examples=18, unanswerable=0.0, begins=begins)


def asked(at: int) -> list[Asked]:
    chosen = [WORDS[(at + step) % len(WORDS)] for step in range(3)]
    shown = Shown("", tuple((number, f"the {word} is") for number, word in enumerate(chosen, 1)))
    return [
        Asked(evidence_prompt(word, [shown]), numbers_answer([number]), (number,))
        for number, word in enumerate(chosen, 1)
    ]


@pytest.fixture
def stored(tokenizer: Tokenizer, tmp_path: Path) -> StoredSequences:
    marks = Marks.of(tokenizer)
    made = [tokenised(one, tokenizer, marks) for at in range(6) for one in asked(at)]
    assert write_sequences(tmp_path / "examples", made) == 18
    return StoredSequences(tmp_path / "examples")


def learner(shape: Shape, tokenizer: Tokenizer, stored: StoredSequences) -> Learner:
    course = Course(stages=(stage("a", 0.0), stage("b", 0.5)))
    pace = Pace(tokens=200, validation=1)
    both = [stored, stored]
    marks = Marks.of(tokenizer)
    net = Reader(shape, seed=2)
    answers = int(tokenizer.token_to_id(PAD) or 0)
    return Learner(net, course, pace, Guides(), marks, answers, both, both, seed=4)


def plan() -> Plan:
    return Plan(learning_rate=1e-3, steps=8, validate_steps=100, precision="float32")


def test_a_training_in_pieces_is_one_training(
    shape: Shape, tokenizer: Tokenizer, stored: StoredSequences, tmp_path: Path
) -> None:
    whole = learner(shape, tokenizer, stored)
    train(whole, plan(), tmp_path / "whole", "f", device="cpu", tell=lambda _: None)

    def ticks() -> float:
        ticks.now += 1.0  # type: ignore[attr-defined]
        return float(ticks.now)  # type: ignore[attr-defined]

    ticks.now = 0.0  # type: ignore[attr-defined]
    pieces = 0
    for _ in range(20):
        piece = learner(shape, tokenizer, stored)
        done = train(
            piece,
            plan(),
            tmp_path / "pieces",
            "f",
            device="cpu",
            minutes=0.2,
            tell=lambda _: None,
            clock=ticks,
        )
        pieces += 1
        if done.is_done:
            break
    assert pieces > 1
    for name, weight in whole.net.state_dict().items():
        assert torch.equal(weight, piece.net.state_dict()[name]), name


def test_it_learns(
    shape: Shape, tokenizer: Tokenizer, stored: StoredSequences, tmp_path: Path
) -> None:
    one = learner(shape, tokenizer, stored)
    one.net.eval()
    with torch.no_grad():
        before = float(one.loss(one.batch(0, 0.0)))
    train(one, plan(), tmp_path / "run", "f", device="cpu", tell=lambda _: None)
    one.net.eval()
    with torch.no_grad():
        assert float(one.loss(one.batch(0, 0.0))) < before


def test_a_step_takes_the_same_examples_each_time(
    shape: Shape, tokenizer: Tokenizer, stored: StoredSequences
) -> None:
    one = learner(shape, tokenizer, stored)
    first = one.batch(3, 0.2)
    again = one.batch(3, 0.2)
    assert torch.equal(first.tokens, again.tokens)
    assert torch.equal(first.targets, again.targets)


def test_validation_tells_what_was_right(
    shape: Shape, tokenizer: Tokenizer, stored: StoredSequences
) -> None:
    one = learner(shape, tokenizer, stored)
    one.net.eval()
    found = one.validate()
    names = {f"{what} {name}" for what in ("picked", "seen", "decided", "said") for name in "ab"}
    assert set(found) == names
    assert all(0 <= score <= 1 for score in found.values())
