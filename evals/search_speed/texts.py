"""Texts whose words follow Zipf's law, and questions to them.

What always holds: equal seeds give equal texts; no word is a function word or has an English
suffix, so that an analyzer gives words back as they are and peers see the same tokens.
"""

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.int32]

WORDS = 120  # of a text
VOCABULARY = 200_000
_CONSONANTS = "bcdfghklmnprtvz"
_VOWELS = "aiou"
_AS_TEXTS = 5
_RARER = 4
# Ranks that rarer words are drawn from.
_MIDDLE = (20, 20_000)


class ZipfTexts:
    """Draws texts; word `n` is the n-th most frequent."""

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        shares = 1 / np.arange(1, VOCABULARY + 1)
        self._upto = np.cumsum(shares) / shares.sum()
        self._spelled = np.array([_spelled(number) for number in range(VOCABULARY)], object)

    def draw(self, count: int) -> Tokens:
        """Numbers of words, int32 [count, WORDS]."""
        return self._drawn((count, WORDS))

    def spell(self, numbers: Tokens) -> list[str]:
        """The words in letters, a text for each row."""
        return [" ".join(row) for row in self._spelled[numbers].tolist()]

    def questions(self, count: int) -> list[str]:
        """Every second of words drawn as the texts' are, the others of rarer words."""
        found: list[str] = []
        for number in range(count):
            if number % 2:
                words = self._random.integers(*_MIDDLE, _RARER).astype(np.int32)
            else:
                words = self._drawn((_AS_TEXTS,))
            found += self.spell(words[None, :])
        return found

    def _drawn(self, shape: tuple[int, ...]) -> Tokens:
        return np.searchsorted(self._upto, self._random.random(shape)).astype(np.int32)


def word_numbers() -> dict[str, int]:
    """Of every word, which it is."""
    return {_spelled(number): number for number in range(VOCABULARY)}


def _spelled(number: int) -> str:
    letters = ""
    base = len(_CONSONANTS) * len(_VOWELS)
    while True:
        number, digit = divmod(number, base)
        letters += _CONSONANTS[digit // len(_VOWELS)] + _VOWELS[digit % len(_VOWELS)]
        if not number:
            return letters + "x"
