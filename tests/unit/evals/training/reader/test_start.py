"""What the reader begins with already points at the sentence with the question's words."""

import random

import pytest
import torch
from tokenizers import Tokenizer

from evals.training.reader.layout import (
    CALL_SEARCH,
    END_CALL,
    PASSAGE,
    Shown,
    evidence_prompt,
    step_prompt,
)
from evals.training.reader.net import Reader, Shape
from evals.training.reader.sequences import Marks, padded, tokenised
from evals.training.reader.start import begin_by_hand
from evals.training.reader.tasks import Asked
from evals.training.reader.words import Words

OTHERS = ("door", "house", "tree", "field", "bridge")
NOUNS = ("server", "vacuum", "connection", "planner", "checkpoint", "transaction", "database")


def rarity(tokenizer: Tokenizer, size: int) -> torch.Tensor:
    """Nouns are rare, all else is common."""
    rare = torch.full((size,), 0.2)
    for noun in NOUNS:
        rare[tokenizer.encode(f" {noun}", add_special_tokens=False).ids] = 1.0
    return rare


def made(tokenizer: Tokenizer) -> Reader:
    shape = Shape(
        vocabulary=tokenizer.get_vocab_size(),
        hidden=384,
        layers=4,
        heads=4,
        head_dim=128,
        intermediate=96,
        context=2048,
        sentences_layer=2,
        answer_layer=3,
    )
    random = torch.randn(shape.vocabulary, shape.hidden, generator=torch.Generator().manual_seed(1))
    net = Reader(shape, torch.nn.functional.normalize(random, dim=1)).eval()
    begin_by_hand(net, Words.of(tokenizer, rarity(tokenizer, shape.vocabulary)))
    return net


def question(rng: random.Random, sentences: int) -> Asked:
    """About one noun among sentences of which each has its own, in passages of about four."""
    nouns = [rng.choice(NOUNS)] + [rng.choice(OTHERS) for _ in range(sentences - 1)]
    order = rng.sample(range(sentences), sentences)
    lines = [(place, f"the {nouns[at]} is here") for place, at in enumerate(order, 1)]
    cuts = range(0, sentences, 4)
    shown = [Shown("It", tuple(lines[cut : cut + 4])) for cut in cuts]
    gold = order.index(0) + 1
    return Asked(evidence_prompt(f"where is the {nouns[0]}", shown), f"[{gold}]", (gold,))


def named(net: Reader, tokenizer: Tokenizer, asked: Asked) -> tuple[int, int]:
    """The number that the guided head looks at most, and the one that is said first."""
    marks = Marks.of(tokenizer)
    batch = padded([tokenised(asked, tokenizer, marks)])
    rows, places = batch.decides.nonzero(as_tuple=True)
    with torch.no_grad():
        passed = net(batch.tokens, (rows[-1:], places[-1:]))
        said = net.logits(passed.states[0, places[-1]])[list(marks.numbers)].argmax()
    assert passed.looks is not None
    ends = passed.looks[0].masked_fill(batch.ends[0] == 0, -1e4)
    return int(batch.ends[0, ends.argmax()]), int(said) + 1


@pytest.mark.parametrize(("sentences", "fewest"), [(5, 36), (40, 34), (160, 30)])
def test_it_points_at_the_sentence_with_the_words_and_names_it(
    tokenizer: Tokenizer, sentences: int, fewest: int
) -> None:
    net = made(tokenizer)
    rng = random.Random(3)
    looked = said = 0
    for _ in range(40):
        asked = question(rng, sentences)
        found = named(net, tokenizer, asked)
        looked += found[0] == asked.gold[0]
        said += found[1] == asked.gold[0]
    assert min(looked, said) >= fewest  # by chance 8, 1 and none


@pytest.mark.parametrize(
    "task",
    [
        "where is the server",
        "What does the planner write into the index of the table?",
        "which rows of the table are dead",
        "how much is 3 times 17",
    ],
)
@pytest.mark.parametrize("calculate", [False, True])
def test_it_writes_the_task_as_its_query(tokenizer: Tokenizer, task: str, calculate: bool) -> None:
    net = made(tokenizer)
    call, end = (int(tokenizer.token_to_id(one) or 0) for one in (CALL_SEARCH, END_CALL))
    prompt = tokenizer.encode(step_prompt(task, calculate=calculate), add_special_tokens=False)
    said = [*prompt.ids, call]
    for _ in range(80):
        with torch.no_grad():
            states = net(torch.tensor([said])).states
        said.append(int(net.logits(states[0, -1]).argmax()))
        if said[-1] == end:
            break
    query = tokenizer.decode(said[len(prompt.ids) + 1 : -1], skip_special_tokens=False)
    assert said[-1] == end
    assert query.strip() == task.lower()


def test_a_vocabulary_of_another_layout_is_refused(tokenizer: Tokenizer) -> None:
    other = Tokenizer.from_str(tokenizer.to_str().replace(PASSAGE, "<|page|>"))
    with pytest.raises(ValueError, match="lacks tokens of the layout"):
        Words.of(other, torch.ones(other.get_vocab_size()))


def test_the_same_seed_gives_the_same_start(tokenizer: Tokenizer) -> None:
    one, other = made(tokenizer).state_dict(), made(tokenizer).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
