"""How many samples it takes to see a difference, planned from a run or from numbers alone.

What always holds: the answer is given for systems that answer samples of their own and for systems
that answer the same ones, where it depends on how alike their values are; what cannot be said is
None, with no row left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evals.core import Measure, RunRecord, Sample, values_of
from evals.reports.data import outcomes_of
from evals.reports.errors import EvalTaskNotFound
from evals.statistics import (
    Design,
    StatisticsError,
    detectable_difference,
    mean_estimate,
    power_of,
    samples_needed,
)

_GUESSES = (0.0, 0.5, 0.8)


@dataclass(frozen=True, slots=True)
class Spread:
    """How values vary.

    Attributes:
        deviation: standard deviation of a system's values.
        cluster_size: samples that belong together, rounded; `intra_cluster` is their correlation.
        samples: there are now; 0 where that is not known.
    """

    deviation: float
    cluster_size: int = 1
    intra_cluster: float = 0.0
    samples: int = 0


@dataclass(frozen=True, slots=True)
class PowerRow:
    """One way to compare.

    Attributes:
        correlation: of the systems' values of the same sample; None if each has its own samples.
        measured: whether the correlation was seen, and not assumed.
        samples: needed; None if it takes more than can be said.
        power: of the samples that there are; `detectable` is the least difference that they show.
    """

    correlation: float | None
    measured: bool
    samples: int | None
    power: float | None
    detectable: float | None

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "samples_shared": self.correlation is not None,
            "correlation": self.correlation,
            "measured": self.measured,
            "samples_needed": self.samples,
            "power_now": self.power,
            "detectable_now": self.detectable,
        }


@dataclass(frozen=True, slots=True)
class PowerPlan:
    """Ways to compare, and what each takes."""

    difference: float
    spread: Spread
    alpha: float
    power: float
    rows: tuple[PowerRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "difference": self.difference,
            "alpha": self.alpha,
            "power": self.power,
            "deviation": self.spread.deviation,
            "cluster_size": self.spread.cluster_size,
            "intra_cluster": self.spread.intra_cluster,
            "samples_now": self.spread.samples or None,
            "designs": [row.to_dict() for row in self.rows],
        }


def plan_power(
    difference: float,
    spread: Spread,
    *,
    paired: Spread | None = None,
    correlation: float | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
) -> PowerPlan:
    """Plans a comparison.

    Args:
        difference: to be seen, in the unit of the measure.
        paired: how the differences of two systems varied, where that was seen; its deviation is
            that of the differences.
        correlation: assumed, of the systems' values; None tries several.

    Raises:
        StatisticsError: a number is out of range.
    """
    rows = [_row(difference, spread, None, alpha, power)]
    if paired is not None and spread.deviation > 0:
        seen = 1 - paired.deviation**2 / (2 * spread.deviation**2)
        alike = Spread(spread.deviation, paired.cluster_size, paired.intra_cluster, paired.samples)
        rows.append(_row(difference, alike, max(-1.0, min(1.0, seen)), alpha, power, measured=True))
    for guess in (correlation,) if correlation is not None else () if paired else _GUESSES:
        rows.append(_row(difference, spread, guess, alpha, power))
    return PowerPlan(difference, spread, alpha, power, tuple(rows))


def spread_of(record: RunRecord, task: int, measure: Measure) -> Spread:
    """How a measure's values varied in a run.

    Raises:
        EvalTaskNotFound: fewer than two samples have a value.
    """
    values, samples, _ = values_of(outcomes_of(record, task), measure)
    return _spread(list(values.values()), [samples[sample] for sample in values])


def paired_spread(
    first: tuple[RunRecord, int], second: tuple[RunRecord, int], measure: Measure
) -> tuple[Spread, Spread]:
    """How the values of two systems varied, and how their differences did, on shared samples.

    Raises:
        EvalTaskNotFound: fewer than two samples have a value in both.
    """
    a, samples, _ = values_of(outcomes_of(*first), measure)
    b, _, _ = values_of(outcomes_of(*second), measure)
    shared = [sample for sample in a if sample in b]
    of = [samples[sample] for sample in shared]
    one = _spread([a[sample] for sample in shared], of)
    other = _spread([b[sample] for sample in shared], of)
    apart = _spread([b[sample] - a[sample] for sample in shared], of)
    both = math.sqrt((one.deviation**2 + other.deviation**2) / 2)
    return Spread(both, one.cluster_size, one.intra_cluster, one.samples), apart


def find_measure(record: RunRecord, measure: str = "", task: str = "") -> tuple[int, Measure]:
    """A task of a run and a measure of it by their names; the first ones for empty names.

    Raises:
        EvalTaskNotFound: there is none.
    """
    for number, one in enumerate(record.header.tasks):
        if task and task != one.name:
            continue
        for found in one.measures:
            if not measure or found.name == measure:
                return number, found
    tasks = "; ".join(
        f"{one.name}: {', '.join(found.name for found in one.measures)}"
        for one in record.header.tasks[:10]
    )
    wanted = " of ".join(name for name in (measure, task) if name) or "measure"
    raise EvalTaskNotFound(f"run {record.header.id} has no {wanted}", hint=f"It has {tasks}")


def _spread(values: Sequence[float], samples: Sequence[Sample]) -> Spread:
    if len(values) < 2:
        raise EvalTaskNotFound("fewer than two samples have a value: nothing shows how they vary")
    clusters = [sample.group or f"\0{sample.id}" for sample in samples]
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    estimate = mean_estimate(values, clusters)
    size = max(1, round(estimate.n / estimate.clusters))
    intra = 0.0
    if size > 1 and variance > 0 and estimate.standard_error is not None:
        effect = estimate.standard_error**2 * len(values) / variance
        intra = min(1.0, max(0.0, (effect - 1) / (size - 1)))
    return Spread(math.sqrt(variance), size, intra, len(values))


def _row(
    difference: float,
    spread: Spread,
    correlation: float | None,
    alpha: float,
    power: float,
    *,
    measured: bool = False,
) -> PowerRow:
    design = Design(correlation, spread.cluster_size, spread.intra_cluster, alpha)
    now: float | None = None
    least: float | None = None
    if spread.samples >= 2 * spread.cluster_size:
        now = power_of(spread.samples, difference, spread.deviation, design)
        least = detectable_difference(spread.samples, spread.deviation, design, power=power)
    return PowerRow(correlation, measured, _needed(difference, spread, design, power), now, least)


def _needed(difference: float, spread: Spread, design: Design, power: float) -> int | None:
    try:
        return samples_needed(difference, spread.deviation, design, power=power)
    except StatisticsError as error:
        if "limit" in error.details:
            return None
        raise
