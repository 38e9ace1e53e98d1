"""A vocabulary of bytes, words and pieces of JSON, and a model that draws at random from masks."""

import random
from collections.abc import Callable, Iterator

import msgspec
import pytest
import torch

from rostra.core import Constraint
from rostra.serving.grammar.matcher import Matcher, start_matcher
from rostra.serving.grammar.vocabulary import Vocabulary
from rostra.serving.grammar.worker import compile_constraint

EOS = 256
CALLS = 257

PIECES = (
    '{"', '": ', '", "', '"}', '"]', '}, {"', "], [", "[]", "{}", '["', '": "', '": [', "true",
    "false", "null", ", ", ": ", '"name"', '{"name": "', "arguments", "12", "100", "999", "2024",
    "-0", ".5", "e1", "\\n", '\\"', "\\u00", "\\\\", " the", " quick", " brown", "fox", "quick",
    "hello", " world", "é", "日本", "😀", "aa", "aaa", "aaaa", "abc", "<tool_call>", "</tool_call>",
    "\n", "</think>", "yes", "no", "maybe", "items", "value", '"a": ', '"b": ', '"kind": "',
)  # fmt: skip


def make_vocabulary() -> Vocabulary:
    """Bytes, then an end token and a special one, then pieces; padded as models pad."""
    tokens = [bytes([each]) for each in range(256)] + [b"", b""]
    tokens += [each.encode() for each in PIECES]
    tokens += [b"", b"", b""]
    return Vocabulary(tokens, [EOS], named={"[TOOL_CALLS]": CALLS})


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    return make_vocabulary()


def allowed(matcher: Matcher, vocabulary: Vocabulary) -> list[int]:
    """The tokens of the matcher's mask."""
    bitmask = torch.full((2, vocabulary.words), -1, dtype=torch.int32)
    matcher.fill(bitmask, 1)
    assert (bitmask[0] == -1).all()
    bits = bitmask[1].unsqueeze(1) >> torch.arange(32, dtype=torch.int32) & 1
    return bits.flatten().nonzero().flatten().tolist()


def spell(vocabulary: Vocabulary, tokens: list[int]) -> str:
    return b"".join(vocabulary.tokens[each] for each in tokens).decode()


def run(
    matcher: Matcher, vocabulary: Vocabulary, rng: random.Random, most: int = 100_000
) -> list[int]:
    """Draws each token uniformly from the mask until the text is finished."""
    taken: list[int] = []
    while not matcher.finished:
        choices = allowed(matcher, vocabulary)
        assert choices, "a mask without tokens"
        taken += matcher.take(rng.choice(choices))
        assert len(taken) <= most
    return taken


class Compiled:
    """A constraint, compiled here, to start matchers from."""

    def __init__(self, constraint: Constraint, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        compiled = compile_constraint(constraint, vocabulary)
        self.shortest = compiled.shortest
        self.exact = compiled.exact
        self.automaton = compiled.automaton
        self.encoded = msgspec.msgpack.encode(compiled)

    def start(self, max_tokens: int, *, jump_forward: bool = True) -> Matcher:
        return start_matcher(
            self.encoded,
            self.vocabulary,
            max_tokens=max_tokens,
            eos_token_ids=[EOS],
            jump_forward=jump_forward,
        )

    def accepts(self, text: str) -> bool:
        """Whether the text, byte by byte, is a whole text of the constraint."""
        matcher = self.start(1 << 20, jump_forward=False)
        try:
            for byte in text.encode():
                if matcher.take(byte) != [byte]:
                    return False
            return matcher.finished or (matcher.take(EOS) == [] and matcher.finished)
        except ValueError:
            return False


@pytest.fixture(scope="session")
def compiled(vocabulary: Vocabulary) -> Iterator[Callable[[Constraint], Compiled]]:
    known: dict[Constraint, Compiled] = {}

    def get(constraint: Constraint) -> Compiled:
        if constraint not in known:
            known[constraint] = Compiled(constraint, vocabulary)
        return known[constraint]

    yield get
