"""What is said of a run over questions: systems side by side, and what was left out and why.

What always holds: it is computed from the run's file alone; F1 of abstention is made of the means
of precision and recall and has no interval.
"""

from dataclasses import dataclass
from typing import Any

from evals.compare import Comparison, compare_systems
from evals.core import Outcome, RunRecord, TaskReport, report_of
from evals.rag.scorers.abstention import abstention_f1
from evals.rag.tasks import LEFT_OUT
from evals.solvers.ask import DISTURBED
from evals.solvers.disturbed import Disturbance

_DISTURBED = {f"ask {one}" for one in Disturbance}


@dataclass(frozen=True, slots=True)
class RagReport:
    """See this module.

    Attributes:
        comparisons: of each two systems, by every measure, adjusted for all of them.
    """

    record: RunRecord
    comparisons: tuple[Comparison, ...]

    @property
    def left_out(self) -> dict[str, str]:
        """Reasons by measure or system."""
        told = self.record.header.arguments.get(LEFT_OUT, {})
        return {str(name): str(why) for name, why in told.items()}

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        report = report_of(self.record)
        whole = report.to_dict()
        robust = [one for one in self.comparisons if _is_robustness(one)]
        others = [one for one in self.comparisons if not _is_robustness(one)]
        rows = []
        for number, task in enumerate(report.tasks):
            outcomes = [one for one in self.record.outcomes if one.task == number]
            rows.append(_row(task, outcomes))
        return {
            "run": report.run,
            "complete": report.is_complete,
            "results": rows,
            "left_out": self.left_out,
            "robustness": [one.to_dict() for one in robust],
            "comparisons": [one.to_dict() for one in others],
            "mixed": whole["mixed"],
            "tasks": whole["tasks"],
        }


def report_rag(record: RunRecord, *, seed: int = 0) -> RagReport:
    """Compares the systems of a run.

    Args:
        seed: of the tests.
    """
    return RagReport(record, tuple(compare_systems(record, seed=seed)))


def _is_robustness(one: Comparison) -> bool:
    """Whether a disturbed system is held against the one that is not."""
    return one.baseline_system == "ask" and one.candidate_system in _DISTURBED


def _row(task: TaskReport, outcomes: list[Outcome]) -> dict[str, Any]:
    measures: dict[str, float | None] = {}
    intervals: dict[str, list[float] | None] = {}
    counts: dict[str, int] = {}
    units: dict[str, str] = {"abstention f1": "score"}
    for one in task.measures:
        name, estimate = one.measure.name, one.estimate
        units[name] = one.measure.unit
        interval = None if estimate is None else estimate.interval
        measures[name] = None if estimate is None else round(estimate.mean, 4)
        intervals[name] = (
            None if interval is None else [round(interval.low, 4), round(interval.high, 4)]
        )
        counts[name] = 0 if estimate is None else estimate.n
    f1 = abstention_f1(measures.get("abstention precision"), measures.get("abstention recall"))
    cited = [one.exact for outcome in outcomes for one in outcome.state.citations]
    return {
        "dataset": task.header.dataset,
        "system": task.header.solver,
        "questions": task.header.samples,
        "measures": measures | {"abstention f1": None if f1 is None else round(f1, 4)},
        "intervals": intervals,
        "n": counts,
        "units": units,
        "disturbed": _disturbed(task, outcomes),
        "citations": {"count": len(cited), "exact": cited.count(True)},
        "failed": task.failed,
    }


def _disturbed(task: TaskReport, outcomes: list[Outcome]) -> dict[str, int] | None:
    """Of how many answered questions a disturbance changed the passages; None of other systems."""
    if task.header.solver not in _DISTURBED:
        return None
    told = [one.state.data[DISTURBED] for one in outcomes if DISTURBED in one.state.data]
    return {"changed": sum(map(bool, told)), "questions": len(told)}
