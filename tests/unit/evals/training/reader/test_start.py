"""What the reader begins with already points at the sentence with the question's words."""

import random

import torch
from tokenizers import Tokenizer
from torch import Tensor

from evals.training.reader.layout import (
    BEGIN,
    EVIDENCE,
    FOUND,
    MARKERS,
    PASSAGE,
    REACT,
    STOP,
    Shown,
    evidence_prompt,
    numbers_answer,
)
from evals.training.reader.net import Reader, Shape
from evals.training.reader.sequences import Marks, padded, tokenised
from evals.training.reader.start import Words, begin_by_hand
from evals.training.reader.tasks import Asked

NOUNS = ("server", "vacuum", "connection", "planner", "checkpoint", "transaction", "database")


def words(tokenizer: Tokenizer, shape: Shape) -> Words:
    marks = Marks.of(tokenizer)
    of = {name: int(tokenizer.token_to_id(name) or 0) for name in (EVIDENCE, REACT, *MARKERS)}
    rarity = torch.full((shape.vocabulary,), 0.2)
    for noun in NOUNS:
        rarity[tokenizer.encode(f" {noun}", add_special_tokens=False).ids] = 1.0
    return Words(
        rarity,
        int(tokenizer.token_to_id(BEGIN) or 0),
        (of[EVIDENCE], of[REACT]),
        int(tokenizer.token_to_id(PASSAGE) or 0),
        int(tokenizer.token_to_id(STOP) or 0),
        [of[one] for one in MARKERS],
        marks.numbers,
        int(tokenizer.token_to_id(FOUND) or 0),
    )


def made(tokenizer: Tokenizer) -> Reader:
    shape = Shape(
        vocabulary=tokenizer.get_vocab_size(),
        hidden=384,
        layers=4,
        heads=6,
        intermediate=96,
        context=2048,
        sentences_layer=2,
        answer_layer=3,
    )
    random = torch.randn(shape.vocabulary, shape.hidden, generator=torch.Generator().manual_seed(1))
    net = Reader(shape, torch.nn.functional.normalize(random, dim=1)).eval()
    begin_by_hand(net, words(tokenizer, shape))
    return net


def looks(net: Reader, tokenizer: Tokenizer, asked: Asked) -> Tensor:
    """How much the answer looks at each sentence's end, by number."""
    batch = padded([tokenised(asked, tokenizer, Marks.of(tokenizer))])
    rows, places = batch.decides.nonzero(as_tuple=True)
    with torch.no_grad():
        found = net(batch.tokens, (rows[-1:], places[-1:])).looks
    assert found is not None
    scores: Tensor = found[0][batch.ends[0] > 0]
    return scores


def test_it_points_at_the_sentence_with_the_words(tokenizer: Tokenizer) -> None:
    net = made(tokenizer)
    rng = random.Random(3)
    right = 0
    for _ in range(40):
        chosen = rng.sample(NOUNS, 5)
        at = rng.randrange(5)
        shown = [
            Shown("It", tuple((place + 1, f"the {noun} is here") for place, noun in group))
            for group in (list(enumerate(chosen))[:2], list(enumerate(chosen))[2:])
        ]
        asked = Asked(
            evidence_prompt(f"where is the {chosen[at]}", shown),
            numbers_answer([at + 1]),
            (at + 1,),
        )
        right += int(looks(net, tokenizer, asked).argmax()) == at
    assert right >= 30  # by chance 8


def test_the_same_seed_gives_the_same_start(tokenizer: Tokenizer) -> None:
    one, other = made(tokenizer).state_dict(), made(tokenizer).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
