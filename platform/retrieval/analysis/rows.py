"""Terms of many texts at once: each distinct one spelled once, texts as numbers of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt


class Vocabulary(dict[str, int]):
    """Terms to numbers, and back by `spelled`; a term that is new gets the next number."""

    def __init__(self) -> None:
        super().__init__()
        self.spelled: list[str] = []

    def __missing__(self, term: str) -> int:
        number = self[term] = len(self.spelled)
        self.spelled.append(term)
        return number


@dataclass(frozen=True)
class TermRows:
    """See this module.

    Attributes:
        terms: distinct terms, each in one of the texts at least, in no particular order.
        tokens: int32, places in `terms`, in the order of the texts.
        starts: int64 [texts + 1], where each text's tokens start.
    """

    terms: Sequence[str]
    tokens: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __iter__(self) -> Iterator[list[str]]:
        """Each text's terms, as an analyzer gives them."""
        tokens, starts = self.tokens.tolist(), self.starts.tolist()
        for at in range(len(self)):
            yield [self.terms[token] for token in tokens[starts[at] : starts[at + 1]]]

    @classmethod
    def of(cls, rows: Sequence[Sequence[str]]) -> "TermRows":
        """Terms as an analyzer gives them, one text after another."""
        starts = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, rows), np.int64, len(rows)), out=starts[1:])
        vocabulary = Vocabulary()
        number = vocabulary.__getitem__
        total = int(starts[-1])
        tokens = np.fromiter(map(number, chain.from_iterable(rows)), np.int32, total)
        return cls(vocabulary.spelled, tokens, starts)
