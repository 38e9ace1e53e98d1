"""Questions that were taken, and whether another one asks the same."""

import numpy as np

from evals.sets.synthetic.checks import Dropped, normal
from rostra.core import FloatMatrix, FloatVector


class Known:
    """Questions by their words and by their vectors.

    Args:
        dimensions: of the vectors, which have unit length.
        nearest: a question whose cosine with a known one is as high asks the same, unless their
            numbers differ, which vectors hardly tell apart.
    """

    def __init__(self, dimensions: int, nearest: float) -> None:
        self._words: set[str] = set()
        self._numbers: list[frozenset[str]] = []
        self._vectors: FloatMatrix = np.zeros((64, dimensions), np.float32)
        self._nearest = nearest

    def check(self, question: str, vector: FloatVector) -> None:
        """Lets a new question pass.

        Raises:
            Dropped: it is not new.
        """
        if normal(question) in self._words:
            raise Dropped("a question that is there already")
        near = np.flatnonzero(self._vectors[: len(self._numbers)] @ vector >= self._nearest)
        if any(self._numbers[at] == _numbers(question) for at in near):
            raise Dropped("a question much like another one")

    def add(self, question: str, vector: FloatVector) -> None:
        """Makes a question known."""
        at = len(self._numbers)
        if at == len(self._vectors):
            self._vectors = np.concatenate([self._vectors, np.zeros_like(self._vectors)])
        self._vectors[at] = vector
        self._words.add(normal(question))
        self._numbers.append(_numbers(question))


def _numbers(question: str) -> frozenset[str]:
    words = normal(question).split()
    return frozenset(word for word in words if any(character.isdigit() for character in word))
