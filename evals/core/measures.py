"""Measures: what a score's number means and how those of many samples become one."""

from enum import StrEnum

import msgspec

_BOUNDS = {"share": (0.0, 1.0), "score": (0.0, 1.0), "signed": (-1.0, 1.0)}


class Better(StrEnum):
    """Which way a measure is to go; NEITHER is told but never gated on."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "neither"


class Reduce(StrEnum):
    """How the repetitions of one sample become its value, before the mean over samples."""

    MEAN = "mean"
    ANY = "any"  # pass@k: did any of them succeed
    ALL = "all"  # pass^k: did all of them


class Measure(msgspec.Struct, frozen=True, omit_defaults=True):
    """A name under which scores are given, and how to read them.

    Attributes:
        unit: `share` is shown in percent, `score` is a plain number between 0 and 1, `signed` one
            between -1 and 1; empty is any other number.
        of: the name of the scores, where several measures read the same ones; empty is `name`.
    """

    name: str
    better: Better = Better.HIGHER
    unit: str = ""
    reduce: Reduce = Reduce.MEAN
    of: str = ""

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The ends between which its values lie; None where there are none."""
        return _BOUNDS.get(self.unit)

    @property
    def scores(self) -> str:
        """The name of the scores that it reads."""
        return self.of or self.name
