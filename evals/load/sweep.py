"""Which rate to try next, and which was the highest that held; pure functions of what was tried.

A rate *holds* when the share of requests that met the targets is at least the wanted one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MAX_RATES = 32
_MOST_DOUBLINGS = 12  # up or down from the first rate
_REFINEMENTS = 2


@dataclass(frozen=True, slots=True)
class Tried:
    """A rate and the share that met the targets; None when nothing was measured."""

    rate: float
    share: float | None

    def holds(self, wanted: float) -> bool:
        """Whether enough requests met the targets."""
        return self.share is not None and self.share >= wanted


def sustained_rate(tried: Sequence[Tried], wanted: float) -> float | None:
    """The highest rate that held below every rate that did not; None if there is none.

    A rate above one that failed may hold by luck, and does not count.
    """
    failing = min((one.rate for one in tried if not one.holds(wanted)), default=float("inf"))
    return max(
        (one.rate for one in tried if one.holds(wanted) and one.rate < failing), default=None
    )


def next_rate(tried: Sequence[Tried], wanted: float, *, first: float) -> float | None:
    """The rate to try next; None when enough is known.

    Doubles while rates hold, halves while none does, and then tries geometric means between the
    highest that holds and the lowest that does not.
    """
    if not tried:
        return first
    if tried[-1].share is None:
        return None
    failing = min((one.rate for one in tried if not one.holds(wanted)), default=None)
    holding = sustained_rate(tried, wanted)
    if failing is None or holding is None:
        if len(tried) > _MOST_DOUBLINGS:
            return None
        return tried[-1].rate * (2 if failing is None else 0.5)
    # Between neighbours of doubling lies a factor of 2, and each refinement takes its root.
    if failing / holding <= 2 ** (2.0**-_REFINEMENTS) * 1.001:
        return None
    return float((holding * failing) ** 0.5)
