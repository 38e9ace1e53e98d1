"""The gate: may a candidate replace a baseline?

What always holds: it closes on a significant regression, on a measure or dataset that the candidate
no longer has, and on a candidate that is not complete; never on chance alone more often than
`alpha` says, over all measures together.
"""

from dataclasses import dataclass
from typing import Any

from evals.circumstances import Circumstances, compare_circumstances
from evals.compare import Comparison, compare_runs
from evals.core import Better, RunRecord, values_of


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that the candidate lacks, once for all measures that it concerns.

    Attributes:
        task: of the baseline; empty where it concerns the whole run.
        measures: names; none where it concerns the whole run.
    """

    reason: str
    task: str = ""
    measures: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """In words, on one line."""
        if not self.task:
            return self.reason
        few = len(self.measures) == 1
        what = self.measures[0] if few else f"{len(self.measures)} measures"
        return f"{what} of {self.task}: {self.reason}"

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {"reason": self.reason, "task": self.task, "measures": list(self.measures)}


@dataclass(frozen=True, slots=True)
class GateReport:
    """What the gate says, and why.

    Attributes:
        regressions: comparisons in which the candidate is worse.
        missing: what the candidate lacks, one for each cause.
        differs: in what the runs differ beside their results.
    """

    baseline: str
    candidate: str
    alpha: float
    comparisons: tuple[Comparison, ...]
    regressions: tuple[Comparison, ...]
    missing: tuple[Missing, ...]
    differs: Circumstances

    @property
    def is_open(self) -> bool:
        """Whether the candidate may pass."""
        return not self.regressions and not self.missing

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "open": self.is_open,
            "baseline": self.baseline,
            "candidate": self.candidate,
            "alpha": self.alpha,
            "regressions": [one.to_dict(self.alpha) for one in self.regressions],
            "missing": [one.to_dict() for one in self.missing],
            "differs": self.differs.to_dict(),
            "comparisons": [one.to_dict(self.alpha) for one in self.comparisons],
        }


def gate_run(
    baseline: RunRecord,
    candidate: RunRecord,
    *,
    alpha: float = 0.05,
    tolerance: float = 0.0,
    seed: int = 0,
) -> GateReport:
    """Holds a candidate against a baseline.

    Args:
        alpha: probability that a candidate that is as good is refused.
        tolerance: a mean may be worse by so much, in the measure's unit.
        seed: of the randomisation tests.

    Raises:
        NothingToCompare: the runs have nothing in common.
    """
    comparisons = compare_runs(baseline, candidate, seed=seed)
    regressions = tuple(
        one
        for one in comparisons
        if one.verdict(alpha) == "worse" and abs(one.difference) > tolerance
    )
    return GateReport(
        baseline.header.id,
        candidate.header.id,
        alpha,
        tuple(comparisons),
        regressions,
        tuple(_missing(baseline, candidate, comparisons)),
        compare_circumstances(baseline.header, candidate.header),
    )


def _missing(
    baseline: RunRecord, candidate: RunRecord, comparisons: list[Comparison]
) -> list[Missing]:
    told: list[Missing] = []
    if not candidate.is_complete:
        told.append(Missing(f"run {candidate.header.id} is not complete"))
    compared = {
        (one.dataset, one.baseline_system, one.measure.name): one.left_out for one in comparisons
    }
    for number, task in enumerate(baseline.header.tasks):
        own = [outcome for outcome in baseline.outcomes if outcome.task == number]
        causes: dict[str, list[str]] = {}
        for measure in task.measures:
            if measure.better is Better.NEITHER or not values_of(own, measure)[0]:
                continue
            left_out = compared.get((task.dataset, task.solver, measure.name))
            if left_out is None:
                causes.setdefault("cannot be compared", []).append(measure.name)
                continue
            for reason in ("only in the baseline", "another sample under the same id"):
                if count := left_out.get(reason):
                    causes.setdefault(f"{count} samples {reason}", []).append(measure.name)
        told += [Missing(reason, task.name, tuple(names)) for reason, names in causes.items()]
    return told
