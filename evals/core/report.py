"""Reports: all that is said about a run, computed from its file and from nothing else.

What always holds: no number is NaN, one that cannot be had is None and its reason counted; a sample
is a value of a measure, unscored with a reason, failed with an error's name, or not applicable, and
the four are counted. Times stand apart, so that a resumed run's report differs in them alone.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from evals.core.log import Outcome, RunRecord, TaskHeader
from evals.core.measures import Measure, Reduce
from evals.core.samples import Sample
from evals.core.states import Usage
from evals.statistics import Estimate, mean_estimate, percentile_estimate, proportion_estimate


@dataclass(frozen=True, slots=True)
class MeasureReport:
    """One measure over a task's samples.

    Attributes:
        estimate: its mean with a clustered interval; None if no sample has a value.
        unscored: samples without a value, by reason.
    """

    measure: Measure
    estimate: Estimate | None
    unscored: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        told: dict[str, Any] = {
            "measure": self.measure.name,
            "better": str(self.measure.better),
            "value": None,
            "low": None,
            "high": None,
            "standard_error": None,
            "n": 0,
            "clusters": 0,
            "unscored": sum(self.unscored.values()),
            "unscored_for": self.unscored,
        }
        if self.estimate is not None:
            told["value"] = _rounded(self.estimate.mean)
            told["standard_error"] = _rounded(self.estimate.standard_error)
            told["n"], told["clusters"] = self.estimate.n, self.estimate.clusters
            if self.estimate.interval is not None:
                told["low"] = _rounded(self.estimate.interval.low)
                told["high"] = _rounded(self.estimate.interval.high)
        return told


@dataclass(frozen=True, slots=True)
class TaskReport:
    """One task of a run.

    Attributes:
        done: samples with an outcome, repetitions counted apart.
        failed: those whose solver failed, by the error's name.
        usage: of the solver; `judging` of the scorers.
        seconds: median and 95th percentile of the solver's time, without cached samples.
    """

    header: TaskHeader
    done: int
    failed: dict[str, int]
    measures: tuple[MeasureReport, ...]
    usage: Usage
    judging: Usage
    cached: int
    seconds: tuple[float | None, float | None]

    def measure(self, name: str) -> MeasureReport | None:
        """The report of a measure, if the task has it."""
        return next((one for one in self.measures if one.measure.name == name), None)

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it; everything but `times` is the same after a resume."""
        return {
            "dataset": self.header.dataset,
            "system": self.header.solver,
            "samples": self.header.samples,
            "repeats": self.header.repeats,
            "done": self.done,
            "failed": sum(self.failed.values()),
            "failed_for": self.failed,
            "problems": [
                {"reason": one.reason, "count": one.count, "examples": one.examples}
                for one in self.header.problems
            ],
            "measures": [one.to_dict() for one in self.measures],
            "usage": _usage(self.usage),
            "judging": _usage(self.judging),
            "times": {
                "seconds_p50": _rounded(self.seconds[0]),
                "seconds_p95": _rounded(self.seconds[1]),
                "cached": self.cached,
            },
        }


@dataclass(frozen=True, slots=True)
class Section:
    """A table of a run that is no task's, such as its judges or its systems beside each other.

    Attributes:
        columns: headings; every row has as many cells.
        rows: as people read them.
        notes: what has to be known of the table, a line each.
        data: the same for programs, with all numbers.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | float, ...], ...]
    notes: tuple[str, ...] = ()
    data: tuple[dict[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "title": self.title,
            "columns": list(self.columns),
            "rows": [list(row) for row in self.rows],
            "notes": list(self.notes),
            "data": list(self.data),
        }


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run, task by task.

    Attributes:
        mixed: changes of versions and device while it was done, as (before, now) by name.
    """

    run: str
    kind: str
    is_complete: bool
    tasks: tuple[TaskReport, ...]
    mixed: tuple[dict[str, tuple[str, str]], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "run": self.run,
            "kind": self.kind,
            "complete": self.is_complete,
            "mixed": [
                {name: list(values) for name, values in changed.items()} for changed in self.mixed
            ],
            "tasks": [task.to_dict() for task in self.tasks],
        }


def report_of(record: RunRecord, *, level: float = 0.95) -> RunReport:
    """Computes a run's report.

    Args:
        level: of the intervals.
    """
    tasks = []
    for number, header in enumerate(record.header.tasks):
        own = [outcome for outcome in record.outcomes if outcome.task == number]
        tasks.append(_task(header, own, level))
    return RunReport(
        record.header.id,
        record.header.kind,
        record.is_complete,
        tuple(tasks),
        tuple(record.mixed),
    )


def values_of(
    outcomes: Sequence[Outcome], measure: Measure
) -> tuple[dict[str, float], dict[str, Sample], Counter[str]]:
    """A measure's value of each sample, by sample id, its repetitions reduced to one.

    Where a repetition has no score, whether any or all succeed may be clear from the others: one
    success, or one that is none. If not, the sample is unscored.

    Args:
        outcomes: of one task.

    Returns:
        values, the samples that have one, and the reasons of scores without a value.
    """
    found: dict[str, list[float]] = {}
    samples: dict[str, Sample] = {}
    unscored: Counter[str] = Counter()
    repetitions: Counter[str] = Counter()
    for outcome in outcomes:
        sample = outcome.state.sample
        repetitions[sample.id] += 1
        for score in outcome.scores:
            if score.name != measure.scores:
                continue
            if score.value is None:
                unscored[score.unscored] += 1
            else:
                found.setdefault(sample.id, []).append(score.value)
                samples[sample.id] = sample
    if measure.reduce is not Reduce.MEAN:
        decisive = 1.0 if measure.reduce is Reduce.ANY else 0.0
        for sample_id in [one for one in found if len(found[one]) < repetitions[one]]:
            if decisive in found[sample_id]:
                continue  # Whatever the others would have been.
            del found[sample_id], samples[sample_id]
            unscored["a repetition without a score"] += 1
    values = {sample: _reduced(repeated, measure.reduce) for sample, repeated in found.items()}
    return values, samples, unscored


def _task(header: TaskHeader, outcomes: Sequence[Outcome], level: float) -> TaskReport:
    measures = []
    for measure in header.measures:
        values, samples, unscored = values_of(outcomes, measure)
        estimate = None
        if values:
            clusters = [samples[sample].group or f"\0{sample}" for sample in values]
            estimate = _estimate(list(values.values()), clusters, level, measure.bounds)
        measures.append(MeasureReport(measure, estimate, dict(unscored.most_common())))
    failed = Counter(outcome.failed for outcome in outcomes if outcome.failed)
    timed = [outcome.seconds for outcome in outcomes if not (outcome.cached or outcome.failed)]
    usage = sum((outcome.state.usage for outcome in outcomes), Usage())
    judging = sum((score.usage for one in outcomes for score in one.scores), Usage())
    return TaskReport(
        header,
        len(outcomes),
        dict(failed.most_common()),
        tuple(measures),
        usage,
        judging,
        sum(outcome.cached for outcome in outcomes),
        (_percentile(timed, 50), _percentile(timed, 95)),
    )


def _estimate(
    values: Sequence[float],
    clusters: Sequence[str],
    level: float,
    bounds: tuple[float, float] | None,
) -> Estimate:
    """The mean; the interval of what lies between two ends stays there."""
    if bounds == (0.0, 1.0) and set(values) <= {0.0, 1.0}:
        return proportion_estimate(values, clusters, level=level)
    found = mean_estimate(values, clusters, level=level)
    if bounds is None or found.interval is None:
        return found
    low, high = bounds
    if min(values) < low or max(values) > high:
        return found
    inside = replace(
        found.interval, low=max(low, found.interval.low), high=min(high, found.interval.high)
    )
    return replace(found, interval=inside)


def _reduced(values: Sequence[float], reduce: Reduce) -> float:
    match reduce:
        case Reduce.MEAN:
            return sum(values) / len(values)
        case Reduce.ANY:
            return max(values)
        case Reduce.ALL:
            return min(values)


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return percentile_estimate(values, percent).mean if values else None


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cost": _rounded(usage.cost),
        "estimated": usage.estimated,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
