"""What a chunk's vector knows of the chunks before and after it.

A chunk alone often does not say what it is about; what stands beside it does. So a vector is the
mean of its own text's, weight 0.7, and of its neighbours' in its document, weight 0.3 together, of
unit length. Nothing more is read for it: the neighbours' texts are embedded anyway. It finds about
what longer passages with pooled token vectors (`late`) find, at a third of their cost; see
docs/performance.md.

What always holds: a chunk's text weighs more than all that is beside it; a vector depends on these
texts and their order alone; a chunk without neighbours has its own text's vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rostra.core import FloatMatrix
from rostra.retrieval import truncate

# Raise it when texts get other vectors.
VERSION = 1
# Chosen on reading-comprehension questions, the second set of docs/performance.md.
_WEIGHT = 0.3


@dataclass(frozen=True, slots=True)
class Beside:
    """A chunk's text, and its neighbours' as they are embedded: one or two, in their order."""

    text: str
    neighbours: tuple[str, ...]


def with_neighbours(texts: Sequence[str]) -> list[str | Beside]:
    """Each text of one document, in order, with those beside it; a lone one stays as it is."""
    if len(texts) < 2:
        return list(texts)
    return [
        Beside(text, (*texts[max(0, at - 1) : at], *texts[at + 1 : at + 2]))
        for at, text in enumerate(texts)
    ]


def blended(own: FloatMatrix, first: FloatMatrix, last: FloatMatrix) -> FloatMatrix:
    """Unit vectors of chunks, from those of their own texts and of their first and last neighbours.

    Where there is one neighbour it is both. A text without a direction of its own, a vector of
    zeros, gets none from its neighbours: who takes the vectors sees that it cannot be used.
    """
    mixed = (1 - _WEIGHT) * own + _WEIGHT / 2 * (first + last)
    mixed[~own.any(axis=1)] = 0.0
    return truncate(mixed.astype(np.float32), own.shape[1])
