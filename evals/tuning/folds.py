"""Cross-validation: each query is scored with the weights that the others chose.

What always holds: what is chosen for a query never depends on that query, nor on any other of its
fold; every query is held out once in each round; equal seeds give equal folds.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evals.errors import DatasetError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

FOLDS = 5
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class CrossValidated:
    """Which way was chosen without each query.

    Attributes:
        chosen: int64 [rounds, queries], places among the ways.
        folds: int64 [rounds, queries], the fold that each query was held out in.
    """

    chosen: Integers
    folds: Integers

    def values(self, values: Floats) -> Floats:
        """What the chosen ways gave, the mean over rounds, float64 [queries].

        Args:
            values: float64 [ways, queries].
        """
        return np.asarray(values[self.chosen, np.arange(values.shape[1])].mean(axis=0), np.float64)


def best_way(values: Floats) -> int:
    """The way with the highest mean over queries; of equal ones the first.

    Args:
        values: float64 [ways, queries].
    """
    means = values.mean(axis=1)
    # What rounding leaves between equal means is no difference.
    return int(np.flatnonzero(means >= means.max() - 1e-12)[0])


def cross_validate(
    values: Floats, *, folds: int = FOLDS, rounds: int = ROUNDS, seed: int = 0
) -> CrossValidated:
    """Chooses a way for each query on the queries of the other folds.

    Args:
        values: float64 [ways, queries], higher is better.
        folds: parts that queries are dealt into; fewer where there are fewer queries.
        rounds: how often that is done, each time dealt anew.
        seed: of the dealing.

    Raises:
        DatasetError: there are fewer than two queries.
    """
    count = values.shape[1]
    if count < 2:
        raise DatasetError("to tune takes two judged queries at least")
    parts = min(folds, count)
    generator = np.random.default_rng(seed)
    chosen = np.zeros((rounds, count), np.int64)
    dealt = np.zeros((rounds, count), np.int64)
    for number in range(rounds):
        dealt[number] = generator.permutation(np.arange(count) % parts)
        for fold in range(parts):
            held_out = dealt[number] == fold
            chosen[number, held_out] = best_way(values[:, ~held_out])
    return CrossValidated(chosen, dealt)
