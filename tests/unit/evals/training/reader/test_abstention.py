"""After calibration as many questions are refused as may be, and nothing else has changed."""

import random
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from evals.training.reader.abstention import Choice, calibrate_abstention
from evals.training.reader.layout import (
    END_FOUND,
    FOUND,
    NOTHING,
    Shown,
    evidence_prompt,
    numbers_answer,
    step_prompt,
)
from evals.training.reader.net import Reader
from evals.training.reader.sequences import (
    Marks,
    StoredSequences,
    padded,
    tokenised,
    write_sequences,
)
from evals.training.reader.tasks import Asked

WORDS = ("server", "planner", "index", "row", "lock", "process", "table", "query", "vacuum")


def examples() -> list[Asked]:
    rng = random.Random(1)
    made = []
    for at in range(60):
        lines = tuple((number, f"the {rng.choice(WORDS)} is here") for number in range(1, 5))
        asked, gold = f"where is the {rng.choice(WORDS)}", (1 + at % 4,) if at % 3 else ()
        listed = numbers_answer(gold)
        made.append(Asked(evidence_prompt(asked, [Shown("", lines)]), listed, gold))
        step = FOUND + listed[1:-1] + END_FOUND if gold else NOTHING
        found = "".join(f"<|{number}|> {line}<|stop|>" for number, line in lines)
        made.append(Asked(step_prompt(asked, [(asked, found)]), step, gold))
    return made


@pytest.fixture
def stored(tokenizer: Tokenizer, tmp_path: Path) -> StoredSequences:
    marks = Marks.of(tokenizer)
    write_sequences(tmp_path, [tokenised(one, tokenizer, marks) for one in examples()])
    return StoredSequences(tmp_path)


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("share", [0.1, 0.3])
def test_so_many_are_refused_and_all_other_scores_stay(
    net: Reader, tokenizer: Tokenizer, stored: StoredSequences, kind: int, share: float
) -> None:
    choice = Choice.all_of(tokenizer)[kind]
    batch = padded([stored[at] for at in range(len(stored))])
    places = batch.decides.int().argmax(1)
    rows = torch.arange(len(places))
    with torch.no_grad():
        before = net.logits(net(batch.tokens).states[rows, places])
    told = calibrate_abstention(net, Marks.of(tokenizer), choice, [stored], share)
    with torch.no_grad():
        after = net.logits(net(batch.tokens).states[rows, places])
    changed = (before != after).any(0).nonzero()[:, 0].tolist()
    assert changed == [choice.abstains]
    targets = batch.targets[rows, places]
    for target, said in ((choice.answers, told.answerable), (choice.abstains, told.unanswerable)):
        asked = after[targets == target]
        refused = (asked[:, choice.abstains] > asked[:, choice.answers]).double().mean()
        assert float(refused) == pytest.approx(said, abs=0.06)
    assert told.answerable == pytest.approx(share, abs=0.06)


def test_without_both_kinds_nothing_can_be_told(
    net: Reader, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    marks = Marks.of(tokenizer)
    only = [tokenised(one, tokenizer, marks) for one in examples() if one.gold]
    write_sequences(tmp_path, only)
    with pytest.raises(ValueError, match="with an answer and without"):
        calibrate_abstention(
            net, marks, Choice.all_of(tokenizer)[0], [StoredSequences(tmp_path)], 0.1
        )
