"""Datasets: samples under a name, with everything that was wrong with the others.

What always holds: a dataset has at least one sample, ids are unique, and no record was dropped
without being counted among `problems`.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from evals.core.samples import Problem, Sample
from evals.errors import DatasetError

_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Dataset:
    """See this module.

    Attributes:
        name: as reports show it.
        samples: in the order of the report.
        problems: records that are not among the samples.
        digest: of all samples; equal for equal sets.
    """

    name: str
    samples: tuple[Sample, ...]
    problems: tuple[Problem, ...]
    digest: str

    def limited(self, limit: int | None) -> "Dataset":
        """The first samples alone; all of them for None."""
        if limit is None or limit >= len(self.samples):
            return self
        return make_dataset(self.name, self.samples[: max(0, limit)], self.problems)


def make_dataset(name: str, samples: Iterable[Sample], problems: Sequence[Problem] = ()) -> Dataset:
    """Makes a dataset of what was read; of samples with the same id the first one stays.

    Raises:
        DatasetError: no sample is left.
    """
    kept: dict[str, Sample] = {}
    twice: list[str] = []
    for sample in samples:
        if sample.id in kept:
            twice.append(sample.id)
        else:
            kept[sample.id] = sample
    told = list(problems)
    if twice:
        told.append(Problem("an id that another sample has", len(twice), twice[:_EXAMPLES]))
    if not kept:
        why = "; ".join(f"{problem.count}: {problem.reason}" for problem in told)
        raise DatasetError(f"{name} has no sample that can be used" + (f" ({why})" if why else ""))
    encoded = msgspec.json.encode(list(kept.values()), order="deterministic")
    digest = hashlib.sha256(encoded).hexdigest()
    return Dataset(name, tuple(kept.values()), tuple(told), digest)


class Problems:
    """Collects what is wrong with records while they are read."""

    def __init__(self) -> None:
        self._found: dict[str, list[str]] = {}

    def add(self, reason: str, place: str) -> None:
        """Counts a record that is left out.

        Args:
            reason: the same words for the same trouble.
            place: where the record stands, such as a line.
        """
        self._found.setdefault(reason, []).append(place)

    def all(self) -> list[Problem]:
        """What was found, the most frequent first."""
        told = [Problem(why, len(at), at[:_EXAMPLES]) for why, at in self._found.items()]
        return sorted(told, key=lambda problem: (-problem.count, problem.reason))
