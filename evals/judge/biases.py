"""What else than the label a judge goes by: the place, the length of an answer, who wrote it.

The last two are told as differences of accuracy (equal opportunity; for self-preference Wataoka et
al., 2024): how much more often the judge finds the right answer when it also is the longer one, or
its own family's. A judge that goes by quality has 0, however often longer answers really are
better; a judge that in a share b of its verdicts goes by the cue alone has b.

What always holds: both orders of a pair weigh the same, so a liking for a position cancels out of
them; pairs that people call a tie, and pairs that differ in nothing, are left out. A bias that
never varies, as that of a judge that always says the longer answer, has an interval too: at most so
many pairs may be otherwise as Wilson's interval leaves of none seen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from evals.core.samples import Sample
from evals.judge.compare import Ballots
from evals.judge.measures import preference, towards_first
from evals.judge.pairs import Pair, Winner, pair_of
from evals.statistics import (
    Estimate,
    Interval,
    LengthControlled,
    StatisticsError,
    bootstrap,
    length_controlled_win_rate,
    mean_estimate,
    proportion_estimate,
)
from evals.statistics.inputs import Floats, Integers
from evals.statistics.resampling import divide

_FEWEST = 5  # pairs on each side of a difference; below, nothing is told


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """A pair with what a judge said of it."""

    pair: Pair
    ballots: Ballots
    group: str

    @property
    def accuracy(self) -> float | None:
        """How much it sides with the label, ties half; None for no verdict or no winner."""
        if self.pair.label in (None, "tie"):
            return None
        return preference(self.ballots, self.pair.label)


def judged_pair(sample: Sample, ballots: Ballots) -> JudgedPair:
    """A sample and the ballots about it."""
    return JudgedPair(pair_of(sample), ballots, sample.group or f"\0{sample.id}")


def position_bias(pairs: Sequence[JudgedPair], *, level: float = 0.95) -> Estimate | None:
    """Share of verdicts for the answer shown first minus that for the second, -1 to 1."""
    values: list[float] = []
    groups: list[str] = []
    for each in pairs:
        if (value := towards_first(each.ballots)) is not None:
            values.append(value)
            groups.append(each.group)
    if not values:
        return None
    found = mean_estimate(values, groups, level=level)
    if found.interval is not None:
        return _around(found, found.interval.low, found.interval.high, level)
    # Of those not seen each may be anything from -1 to 1.
    other, mean = _unseen(groups, level), found.mean
    return _around(found, mean - other * (1 + mean), mean + other * (1 - mean), level)


def length_bias(pairs: Sequence[JudgedPair], *, seed: int, level: float = 0.95) -> Estimate | None:
    """Accuracy where the longer answer is right minus that where the shorter is, -1 to 1."""
    return _difference(pairs, lambda pair: pair.longer, seed, level)


def self_preference(
    pairs: Sequence[JudgedPair], family: str, *, seed: int, level: float = 0.95
) -> Estimate | None:
    """Accuracy where the family's answer is right minus that where the other one is, -1 to 1.

    Args:
        family: of systems, by the beginning of their names.

    Returns:
        None where it is unknown who wrote what, or the family wrote too few of the answers.
    """
    return _difference(pairs, lambda pair: pair.by(family), seed, level)


def length_control(pairs: Sequence[JudgedPair], *, level: float = 0.95) -> LengthControlled | None:
    """Accuracy as it would be between answers of equal length, and the slope of length.

    The length-controlled win rate of the right answers over the wrong ones; lengths are characters.
    """
    values, differences, groups = [], [], []
    for each in pairs:
        if (value := each.accuracy) is not None:
            gap = len(each.pair.first) - len(each.pair.second)
            values.append(value)
            differences.append(gap if each.pair.label == "first" else -gap)
            groups.append(each.group)
    if len(values) < 2 * _FEWEST:
        return None
    try:
        return length_controlled_win_rate(values, differences, groups, level=level)
    except StatisticsError:
        return None  # all lengths differ by the same: nothing is known of equal ones


def own_family(judge: str, samples: Sequence[Sample]) -> str:
    """The family of a set's systems that a judge's name tells it to be of; empty for none."""
    families = families_of(samples)
    return next((family for family in families if family in judge.lower()), "")


def families_of(samples: Sequence[Sample]) -> list[str]:
    """The families that wrote a set's answers: the beginnings of names, `llama` of `llama-7b`."""
    systems = {system for sample in samples for system in sample.data.get("systems", ())}
    # Short beginnings would be found in any name.
    return sorted({name for system in systems if len(name := system.lower().split("-")[0]) > 2})


def _difference(
    pairs: Sequence[JudgedPair],
    cue: Callable[[Pair], Winner | None],
    seed: int,
    level: float,
) -> Estimate | None:
    rows: list[list[float]] = []
    groups: list[str] = []
    for each in pairs:
        favoured = cue(each.pair)
        value = each.accuracy
        if value is None or favoured in (None, "tie"):
            continue
        with_cue = float(favoured == each.pair.label)
        rows.append([value * with_cue, with_cue, value * (1 - with_cue), 1 - with_cue])
        groups.append(each.group)
    if not rows or min(np.sum(rows, axis=0)[[1, 3]]) < _FEWEST:
        return None
    found = bootstrap(np.array(rows), _gap, groups, seed=seed, level=level)
    if found.interval is not None:
        return found
    sides = [[g for g, row in zip(groups, rows, strict=True) if row[at]] for at in (1, 3)]
    other = sum(_unseen(side, level) for side in sides)
    return _around(found, found.mean - other, found.mean + other, level)


def _unseen(groups: Sequence[str], level: float) -> float:
    """Share of pairs that may be otherwise, though none was; each group counts once."""
    seen = proportion_estimate([1.0] * len(set(groups)), level=level).interval
    return 1.0 if seen is None else 1 - seen.low


def _around(found: Estimate, low: float, high: float, level: float) -> Estimate:
    """A bias with its interval, which ends where a bias does."""
    return replace(found, interval=Interval(max(-1.0, low), min(1.0, high), level))


def _gap(values: Floats, counts: Integers) -> Floats:
    """For rows (sum, number, other sum, other number): the difference of the two means."""
    sums = counts @ values
    gap: Floats = divide(sums[:, 0], sums[:, 1]) - divide(sums[:, 2], sums[:, 3])
    return gap
