"""Comparing runs: sample by sample, with tests that know of clusters and of how many there are.

What always holds: only samples that are the same in both and have a value in both are compared,
and those that are not are counted with the reason; differences are candidate minus baseline;
p-values are adjusted after Holm over all that is compared at once. Samples whose solver failed, or
that no scorer could tell of, are measures of their own, so that they cannot make a system better.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import msgspec

from evals.core import Better, Measure, Outcome, RunRecord, Sample, Section, values_of
from evals.errors import NothingToCompare
from evals.reports.numbers import show_amount, show_interval
from evals.statistics import Interval, holm, paired_randomisation

_RESAMPLES = 10_000
_SAMPLES_SHOWN = 500  # of the greatest losses, and of the greatest gains
FAILED = Measure("failed", Better.LOWER, unit="share")
UNSCORED = Measure("unscored", Better.LOWER, unit="share")
COMPARED = "systems compared"


@dataclass(frozen=True, slots=True)
class SampleDifference:
    """One sample's values in both."""

    sample: str
    input: str
    baseline: float
    candidate: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measure of two systems on the samples that they share.

    Attributes:
        difference: candidate minus baseline.
        interval: of the true difference; None if the samples are too few or all alike.
        p_value: of no difference, as it stands alone; `adjusted` is Holm's, of all in one report.
        wins: samples on which the candidate is better; where no direction is, greater.
        left_out: samples that are not compared, by reason.
        samples: those that differ, the greatest loss first; of very many, both ends.
    """

    dataset: str
    baseline_system: str
    candidate_system: str
    measure: Measure
    baseline: float
    candidate: float
    difference: float
    interval: Interval | None
    p_value: float | None
    n: int
    clusters: int
    wins: int
    losses: int
    ties: int
    left_out: dict[str, int]
    samples: tuple[SampleDifference, ...]
    adjusted: float | None = None

    def verdict(self, alpha: float) -> str:
        """`better`, `worse` or `no difference shown`; `-` where the measure has no direction."""
        if self.measure.better is Better.NEITHER:
            return "-"
        if self.adjusted is None or self.adjusted >= alpha or self.difference == 0:
            return "no difference shown"
        higher = self.measure.better is Better.HIGHER
        return "better" if (self.difference > 0) is higher else "worse"

    def to_dict(self, alpha: float = 0.05) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "dataset": self.dataset,
            "baseline_system": self.baseline_system,
            "candidate_system": self.candidate_system,
            "measure": self.measure.name,
            "better": str(self.measure.better),
            "unit": self.measure.unit,
            "baseline": self.baseline,
            "candidate": self.candidate,
            "difference": self.difference,
            "low": self.interval.low if self.interval else None,
            "high": self.interval.high if self.interval else None,
            "p": self.p_value,
            "p_holm": self.adjusted,
            "n": self.n,
            "clusters": self.clusters,
            "wins": self.wins,
            "losses": self.losses,
            "ties": self.ties,
            "left_out": self.left_out,
            "verdict": self.verdict(alpha),
        }


def compare_runs(baseline: RunRecord, candidate: RunRecord, *, seed: int = 0) -> list[Comparison]:
    """Compares the tasks of two runs: those of one name, else the only ones over a dataset.

    Args:
        seed: of the randomisation tests.

    Raises:
        NothingToCompare: there is no measure of the same samples in both.
    """
    found = [
        comparison
        for old, new in _pairs(baseline, candidate)
        for comparison in _compared(baseline, old, candidate, new, seed)
    ]
    if not found:
        raise NothingToCompare(
            f"runs {baseline.header.id} and {candidate.header.id} have nothing in common",
            hint="Compared are the same measures of samples with the same id and content.",
        )
    return adjusted(found)


def compare_systems(record: RunRecord, *, seed: int = 0) -> list[Comparison]:
    """Compares the systems of one run, each with each that comes after it, on each dataset."""
    tasks = record.header.tasks
    return adjusted(
        comparison
        for first, second in combinations(range(len(tasks)), 2)
        if tasks[first].dataset == tasks[second].dataset
        for comparison in _compared(record, first, record, second, seed)
    )


def comparison_section(
    record: RunRecord, comparisons: Sequence[Comparison], *, alpha: float = 0.05
) -> Section:
    """The systems of a run beside each other, by the first measure of each set and by failures.

    Args:
        comparisons: all that p-values were adjusted for; see `compare_systems`.
    """
    first = {task.dataset: task.measures[0].name for task in record.header.tasks if task.measures}
    shown = [
        one for one in comparisons if one.measure.name in (first.get(one.dataset), FAILED.name)
    ]
    # Those in which no sample differs are adjusted for nothing; see `adjusted`.
    counted = sum(1 for one in comparisons if one.adjusted is not None and one.wins + one.losses)
    notes = [
        "difference: the system named first minus the other; p-values are of a paired "
        f"randomisation test, adjusted after Holm for {counted} comparisons; called "
        f"better or worse under {alpha:g}"
    ]
    if len(shown) < len(comparisons):
        notes.append("`rostra eval compare RUN` has every measure")
    return Section(
        COMPARED,
        ("set", "systems", "measure", "difference", "95 % interval", "p (Holm)", "wins", "losses",
         "ties", "verdict"),
        tuple(_row(one, alpha) for one in shown),
        tuple(notes),
        tuple(one.to_dict(alpha) for one in comparisons),
    )  # fmt: skip


def _row(one: Comparison, alpha: float) -> tuple[str | int, ...]:
    around, unit = one.interval, one.measure.unit
    return (
        one.dataset,
        f"{one.candidate_system} - {one.baseline_system}",
        one.measure.name,
        show_amount(one.difference, unit, signed=True),
        "-" if around is None else show_interval(around.low, around.high, unit, signed=True),
        "-" if one.adjusted is None else f"{one.adjusted:.4f}",
        one.wins,
        one.losses,
        one.ties,
        one.verdict(alpha),
    )


def adjusted(comparisons: Iterator[Comparison] | Sequence[Comparison]) -> list[Comparison]:
    """The comparisons with p-values adjusted for their number; those without a direction apart.

    Where not one sample differs the p-value is 1 whatever the level, so that it does not count
    among those that chance could make small (Tarone, 1990).
    """
    told = [
        replace(one, adjusted=1.0)
        if one.p_value is not None and _is_directed(one) and not one.wins + one.losses
        else one
        for one in comparisons
    ]
    counted = [
        at
        for at, one in enumerate(told)
        if one.p_value is not None and _is_directed(one) and one.adjusted is None
    ]
    values = holm([told[at].p_value or 0.0 for at in counted]) if counted else []
    for at, value in zip(counted, values, strict=True):
        told[at] = replace(told[at], adjusted=float(value))
    return told


def _is_directed(one: Comparison) -> bool:
    return one.measure.better is not Better.NEITHER


def _pairs(baseline: RunRecord, candidate: RunRecord) -> Iterator[tuple[int, int]]:
    """Places of tasks that belong together."""
    old, new = baseline.header.tasks, candidate.header.tasks
    by_name = {task.name: at for at, task in enumerate(new)}
    for at, task in enumerate(old):
        if task.name in by_name:
            yield at, by_name[task.name]
            continue
        others = [place for place, one in enumerate(new) if one.dataset == task.dataset]
        alone = sum(one.dataset == task.dataset for one in old) == 1
        if alone and len(others) == 1:
            yield at, others[0]


def _compared(
    baseline: RunRecord, old: int, candidate: RunRecord, new: int, seed: int
) -> Iterator[Comparison]:
    first = [one for one in baseline.outcomes if one.task == old]
    second = [one for one in candidate.outcomes if one.task == new]
    named = {measure.name for measure in candidate.header.tasks[new].measures}
    for measure in baseline.header.tasks[old].measures:
        if measure.name in named:
            made = _one(measure, first, second, seed)
            if made is not None:
                yield _placed(made, baseline, old, candidate, new)
    for measure, shares in ((FAILED, _failed), (UNSCORED, _unscored)):
        before, after = shares(first), shares(second)
        if not any((*before.values(), *after.values())):
            continue
        made = _from(measure, before, after, _samples(first), _samples(second), seed)
        if made is not None:
            yield _placed(made, baseline, old, candidate, new)


def _placed(
    made: Comparison, baseline: RunRecord, old: int, candidate: RunRecord, new: int
) -> Comparison:
    return replace(
        made,
        dataset=baseline.header.tasks[old].dataset,
        baseline_system=baseline.header.tasks[old].solver,
        candidate_system=candidate.header.tasks[new].solver,
    )


def _one(
    measure: Measure, first: Sequence[Outcome], second: Sequence[Outcome], seed: int
) -> Comparison | None:
    old, _, _ = values_of(first, measure)
    new, _, _ = values_of(second, measure)
    return _from(measure, old, new, _samples(first), _samples(second), seed)


def _from(
    measure: Measure,
    old: dict[str, float],
    new: dict[str, float],
    old_samples: dict[str, Sample],
    new_samples: dict[str, Sample],
    seed: int,
) -> Comparison | None:
    """The comparison of two values by sample; its place is filled in by the caller."""
    left_out: dict[str, int] = {}
    shared: list[str] = []
    for sample in dict.fromkeys((*old, *new)):
        if sample not in new_samples:
            reason = "only in the baseline"
        elif sample not in old_samples:
            reason = "only in the candidate"
        elif not _alike(old_samples[sample], new_samples[sample]):
            reason = "another sample under the same id"
        elif sample not in new:
            reason = "no value in the candidate"
        elif sample not in old:
            reason = "no value in the baseline"
        else:
            shared.append(sample)
            continue
        left_out[reason] = left_out.get(reason, 0) + 1
    if not shared:
        return None
    a = [new[sample] for sample in shared]
    b = [old[sample] for sample in shared]
    clusters = [old_samples[sample].group or f"\0{sample}" for sample in shared]
    tested = paired_randomisation(a, b, clusters, resamples=_RESAMPLES, seed=seed)
    turned = measure.better is Better.LOWER
    sign = -1 if turned else 1
    changed = sorted(
        (sample for sample in shared if new[sample] != old[sample]),
        key=lambda sample: sign * (new[sample] - old[sample]),
    )
    return Comparison(
        dataset="",
        baseline_system="",
        candidate_system="",
        measure=measure,
        baseline=sum(b) / len(b),
        candidate=sum(a) / len(a),
        difference=tested.difference,
        interval=tested.interval,
        p_value=tested.p_value,
        n=tested.n,
        clusters=tested.clusters,
        wins=tested.losses if turned else tested.wins,
        losses=tested.wins if turned else tested.losses,
        ties=tested.ties,
        left_out=left_out,
        samples=tuple(
            SampleDifference(sample, old_samples[sample].input[:500], old[sample], new[sample])
            for sample in _ends(changed)
        ),
    )


def _ends(changed: list[str]) -> list[str]:
    if len(changed) <= 2 * _SAMPLES_SHOWN:
        return changed
    return changed[:_SAMPLES_SHOWN] + changed[-_SAMPLES_SHOWN:]


def _alike(old: Sample, new: Sample) -> bool:
    return old is new or msgspec.json.encode(old) == msgspec.json.encode(new)


def _samples(outcomes: Sequence[Outcome]) -> dict[str, Sample]:
    return {outcome.state.sample.id: outcome.state.sample for outcome in outcomes}


def _failed(outcomes: Sequence[Outcome]) -> dict[str, float]:
    return _shares((one.state.sample.id, bool(one.failed)) for one in outcomes)


def _unscored(outcomes: Sequence[Outcome]) -> dict[str, float]:
    return _shares(
        (one.state.sample.id, any(score.value is None for score in one.scores)) for one in outcomes
    )


def _shares(found: Iterator[tuple[str, bool]]) -> dict[str, float]:
    """How often something was so, by sample."""
    by_sample: dict[str, list[bool]] = {}
    for sample, was in found:
        by_sample.setdefault(sample, []).append(was)
    return {sample: sum(all_) / len(all_) for sample, all_ in by_sample.items()}
