"""Labelled pairs of answers: what judges are measured on.

What always holds: a pair is kept as a `Sample` whose input is the question; winners are told as
`first`, `second` or `tie` by the set's own order, however the answers were shown to a judge.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from evals.core.samples import Sample

Winner = Literal["first", "second", "tie"]
WINNERS: tuple[Winner, ...] = ("first", "second", "tie")
TURNED: Mapping[Winner, Winner] = {"first": "second", "second": "first", "tie": "tie"}


class Pair(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Two answers to one question.

    Attributes:
        question: with everything that belongs to it.
        labels: what each annotator said, in the set's order of annotators; None where one did not.
        label: what most of the annotators said; None where no winner has most of them.
        systems: who wrote the first and the second answer; empty where unknown.
        reference: an answer that is right, for judges that go by one; empty where none is known.
    """

    id: str
    question: str
    first: str
    second: str
    labels: list[Winner | None]
    label: Winner | None
    systems: list[str] = []
    group: str = ""
    reference: str = ""

    @property
    def answers(self) -> tuple[str, str]:
        """Both, in the set's order."""
        return self.first, self.second

    @property
    def longer(self) -> Winner:
        """Which answer has more characters."""
        if len(self.first) == len(self.second):
            return "tie"
        return "first" if len(self.first) > len(self.second) else "second"

    def by(self, family: str) -> Winner | None:
        """Which answer a family of systems wrote; `tie` for both or neither, None where unknown."""
        if len(self.systems) != 2:
            return None
        mine = [is_family(system, family) for system in self.systems]
        if mine[0] == mine[1]:
            return "tie"
        return "first" if mine[0] else "second"


def is_family(system: str, family: str) -> bool:
    """Whether a system belongs to a family: `llama-7b` is one of `llama`."""
    return system.lower().startswith(family.lower())


def majority(labels: Sequence[Winner | None]) -> Winner | None:
    """What more than half of the labels that there are say; None where nothing has so many."""
    given = Counter(label for label in labels if label is not None)
    return next((one for one, count in given.items() if 2 * count > given.total()), None)


def sample_of(pair: Pair) -> Sample:
    """The pair as a sample."""
    data: dict[str, Any] = msgspec.to_builtins(pair)
    for known in ("id", "question", "group"):
        data.pop(known, None)
    return Sample(
        id=pair.id,
        input=pair.question,
        targets=[pair.label] if pair.label is not None else [],
        group=pair.group,
        data=data,
    )


def pair_of(sample: Sample) -> Pair:
    """The pair that a sample is.

    Raises:
        msgspec.ValidationError: it is none.
    """
    told = {"id": sample.id, "question": sample.input, "group": sample.group, **sample.data}
    return msgspec.convert(told, Pair)
