"""Questions that were taken, and whether another one asks the same."""

import numpy as np

from evals.sets.synthetic.checks import Dropped, normal
from rostra.core import FloatMatrix, FloatVector


class Known:
    """Questions by their words and by their vectors.

    Args:
        dimensions: of the vectors, which have unit length.
        nearest: a question whose cosine with a known one is as high asks the same.
    """

    def __init__(self, dimensions: int, nearest: float) -> None:
        self._words: set[str] = set()
        self._vectors: FloatMatrix = np.zeros((64, dimensions), np.float32)
        self._nearest = nearest
        self._count = 0

    def check(self, question: str, vector: FloatVector) -> None:
        """Lets a new question pass.

        Raises:
            Dropped: it is not new.
        """
        if normal(question) in self._words:
            raise Dropped("a question that is there already")
        cosines = self._vectors[: self._count] @ vector
        if self._count and float(cosines.max()) >= self._nearest:
            raise Dropped("a question much like another one")

    def add(self, question: str, vector: FloatVector) -> None:
        """Makes a question known."""
        if self._count == len(self._vectors):
            self._vectors = np.concatenate([self._vectors, np.zeros_like(self._vectors)])
        self._vectors[self._count] = vector
        self._words.add(normal(question))
        self._count += 1
