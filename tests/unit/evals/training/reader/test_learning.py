"""Training goes on as if it had never stopped."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from evals.training.loop import Plan, train
from evals.training.reader.layout import Shown, evidence_question, material, numbers_answer
from evals.training.reader.learning import Course, Learner, Pace, Stage
from evals.training.reader.net import Guides, Reader, Shape
from evals.training.reader.packs import Marks, StoredPacks, tokenised, write_packs
from evals.training.reader.tasks import Asked, Pack

WORDS = ("server", "vacuum", "connection", "planner", "rows", "tables")


def stage(name: str, begins: float) -> Stage:
    return Stage(name=name, passages=1, hardness=0.0, packs=6, unanswerable=0.0, begins=begins)


def pack(at: int) -> Pack:
    chosen = [WORDS[(at + step) % len(WORDS)] for step in range(3)]
    shown = Shown("", tuple((number, f"the {word} is") for number, word in enumerate(chosen, 1)))
    asked = tuple(
        Asked(evidence_question(word), numbers_answer([number]), (number,))
        for number, word in enumerate(chosen, 1)
    )
    return Pack(material([shown]), asked)


@pytest.fixture
def stored(tokenizer: Tokenizer, tmp_path: Path) -> StoredPacks:
    marks = Marks.of(tokenizer)
    write_packs(tmp_path / "packs", [tokenised(pack(at), tokenizer, marks) for at in range(6)])
    return StoredPacks(tmp_path / "packs")


def learner(shape: Shape, tokenizer: Tokenizer, stored: StoredPacks) -> Learner:
    course = Course(stages=(stage("a", 0.0), stage("b", 0.5)))
    pace = Pace(tokens=200, validation=1)
    both = [stored, stored]
    marks = Marks.of(tokenizer)
    return Learner(Reader(shape, seed=2), course, pace, Guides(), marks, both, both, seed=4)


def plan() -> Plan:
    return Plan(learning_rate=1e-3, steps=8, validate_steps=100, precision="float32")


def test_a_training_in_pieces_is_one_training(
    shape: Shape, tokenizer: Tokenizer, stored: StoredPacks, tmp_path: Path
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


def test_it_learns(shape: Shape, tokenizer: Tokenizer, stored: StoredPacks, tmp_path: Path) -> None:
    one = learner(shape, tokenizer, stored)
    one.net.eval()
    with torch.no_grad():
        before = float(one.loss(one.batch(0, 0.0)))
    train(one, plan(), tmp_path / "run", "f", device="cpu", tell=lambda _: None)
    one.net.eval()
    with torch.no_grad():
        assert float(one.loss(one.batch(0, 0.0))) < before


def test_a_stage_is_learnt_from_its_beginning_on(
    shape: Shape, tokenizer: Tokenizer, stored: StoredPacks
) -> None:
    one = learner(shape, tokenizer, stored)
    first = one.batch(3, 0.2)
    again = one.batch(3, 0.2)
    assert torch.equal(first.material, again.material)
    assert torch.equal(first.targets, again.targets)
