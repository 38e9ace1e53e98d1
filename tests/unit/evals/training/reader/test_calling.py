"""What counts as a call of the right tool."""

import random
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from evals.training.reader.calling import Calls, right_calls
from evals.training.reader.layout import CALL_CALCULATE, CALL_SEARCH, END_CALL, NOTHING, step_prompt
from evals.training.reader.net import Reader
from evals.training.reader.sequences import Marks, StoredSequences, tokenised, write_sequences
from evals.training.reader.tasks import Asked

SEARCHED = [
    "which server writes 5 checkpoints",
    "what is kept until 3.14",
    "who removes 1764 rows",
    "when are 20 locks taken",
    "where do the 7 processes wait",
]
COMPUTED = ["what is 2 rows and 3 rows", "add 5 to 1764", "3.14 times 20"]


def example(task: str, call: str, *, calculate: bool = True) -> Asked:
    return Asked(step_prompt(task, calculate=calculate), call + " 1" + END_CALL, reads=False)


def write(folder: Path, tokenizer: Tokenizer, *examples: Asked) -> StoredSequences:
    marks = Marks.of(tokenizer)
    write_sequences(folder, [tokenised(one, tokenizer, marks) for one in examples])
    return StoredSequences(folder)


def chosen(net: Reader, tokenizer: Tokenizer, task: str) -> str:
    """The tool that a net prefers, from one prompt without padding."""
    ids = tokenizer.encode(step_prompt(task, calculate=True), add_special_tokens=False).ids
    with torch.no_grad():
        logits = net.logits(net(torch.tensor([ids])).states[0, -1])
    return max(
        CALL_SEARCH, CALL_CALCULATE, key=lambda call: float(logits[tokenizer.token_to_id(call)])
    )


@pytest.mark.parametrize("seed", range(4))
def test_shares_of_first_steps_with_numbers_of_which_a_tool_is_to_be_chosen(
    net: Reader, tokenizer: Tokenizer, tmp_path: Path, seed: int
) -> None:
    torch.manual_seed(seed)
    with torch.no_grad():
        net.embed_tokens.weight[[tokenizer.token_to_id(CALL_SEARCH)]] += torch.randn(96)
    passed_over = [
        example("who writes the log", CALL_SEARCH),
        example("what is 5 more than 7", CALL_SEARCH, calculate=False),
        Asked(
            step_prompt("of 20 locks", [("locks", "<|1|> all.<|stop|>")], calculate=True), NOTHING
        ),
    ]
    questions = [example(task, CALL_SEARCH) for task in SEARCHED]
    sums = [example(task, CALL_CALCULATE) for task in COMPUTED]
    random.Random(seed).shuffle(questions)
    held = [
        write(tmp_path / "a", tokenizer, *questions[:2], *passed_over, *sums),
        write(tmp_path / "b", tokenizer, *questions[2:]),
    ]
    searched = sum(chosen(net, tokenizer, task) == CALL_SEARCH for task in SEARCHED)
    computed = sum(chosen(net, tokenizer, task) == CALL_CALCULATE for task in COMPUTED)
    assert right_calls(net, tokenizer, held) == (Calls(searched, 5), Calls(computed, 3))


def test_without_such_steps_the_shares_are_0(
    net: Reader, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    held = [write(tmp_path, tokenizer, example("who writes the log", CALL_SEARCH))]
    none = Calls(0, 0)
    assert right_calls(net, tokenizer, held) == (none, none)
    assert none.share == 0
