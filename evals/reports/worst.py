"""Which samples are looked at first: those that failed, those without some score, the worst."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from evals.core import Better, Measure


class _Scored(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def value(self) -> float | None: ...


class _Done(Protocol):
    """As much of an `Outcome` as decides."""

    @property
    def failed(self) -> str: ...

    @property
    def scores(self) -> Sequence[_Scored]: ...


T = TypeVar("T", bound=_Done)


def worst_first(outcomes: Sequence[T], measures: Sequence[Measure]) -> list[T]:
    """Failed samples, those without some score, then by the mean of their scores.

    Scores are taken as shares of the way between the least and the greatest in this run, those of
    measures for which lower is better turned round; measures without a direction do not count.
    """
    directed = {one.scores: one.better for one in measures if one.better is not Better.NEITHER}
    ends: dict[str, tuple[float, float]] = {}
    for score in (score for outcome in outcomes for score in outcome.scores):
        if score.value is not None and score.name in directed:
            low, high = ends.get(score.name, (score.value, score.value))
            ends[score.name] = min(low, score.value), max(high, score.value)

    def goodness(score: _Scored) -> float | None:
        if score.value is None or score.name not in ends:
            return None
        low, high = ends[score.name]
        way = (score.value - low) / (high - low) if high > low else 1.0
        return way if directed[score.name] is Better.HIGHER else 1 - way

    def key(outcome: T) -> tuple[bool, bool, float]:
        known = [good for score in outcome.scores if (good := goodness(score)) is not None]
        unscored = any(score.value is None for score in outcome.scores)
        return not outcome.failed, not unscored, sum(known) / len(known) if known else 1.0

    return sorted(outcomes, key=key)
