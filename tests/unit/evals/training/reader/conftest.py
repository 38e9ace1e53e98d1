"""A vocabulary and a net that are made in a moment."""

import pytest
from tokenizers import Tokenizer

from evals.training.reader.net import Reader, Shape
from evals.training.reader.vocabulary import train_tokenizer

TEXTS = (
    "The server writes a checkpoint every five minutes by default.",
    "A vacuum removes dead rows from the tables of a database.",
    "Each connection is served by a process of its own.",
    "The planner chooses an index when few rows are wanted.",
    "What does the server write every five minutes?",
    "Locks are kept until the transaction that took them has ended.",
    "rows[] of table[] are kept[] in index[] and lock[].",
    'Réglages of {"braces": [1, 2]} and\ttabs, 3.14 and 1764 too.',
)


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TEXTS * 20, 1200)


@pytest.fixture(scope="session")
def shape(tokenizer: Tokenizer) -> Shape:
    return Shape(
        vocabulary=tokenizer.get_vocab_size(),
        hidden=96,
        layers=5,
        heads=3,
        head_dim=48,
        intermediate=96,
        context=2048,
        sentences_layer=2,
        answer_layer=3,
    )


@pytest.fixture
def net(shape: Shape) -> Reader:
    return Reader(shape, seed=1).eval()
