"""Two runs sample by sample: which answers changed, and for better or worse.

What always holds: only samples with the same id and content stand beside each other; how many
changed is counted also where only some of them are shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from evals.compare import Comparison
from evals.core import Better, Measure, Outcome, RunRecord
from evals.reports.data import EvalSampleView, outcomes_of, sample_view
from evals.reports.room import Room

# Both outcomes, and the measures by which the second is better, and worse.
_Found = tuple[Outcome, Outcome, tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Changed:
    """One sample in both runs.

    Attributes:
        better, worse: measures by which the candidate is so.
    """

    baseline: EvalSampleView
    candidate: EvalSampleView
    better: tuple[str, ...]
    worse: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TaskChanges:
    """What changed between two tasks.

    Attributes:
        shown: the first of those that changed, losses first; `changed` is how many there are.
    """

    baseline: str
    candidate: str
    changed: int
    same: int
    shown: tuple[Changed, ...]


def changes(
    baseline: RunRecord,
    candidate: RunRecord,
    comparisons: Sequence[Comparison],
    *,
    room: Room,
    text: int,
) -> list[TaskChanges]:
    """What changed in the tasks that were compared.

    Args:
        room: for those that are shown.
        text: characters of a text.
    """
    pairs = dict.fromkeys(
        (one.dataset, one.baseline_system, one.candidate_system) for one in comparisons
    )
    found = [_found(baseline, candidate, dataset, (old, new)) for dataset, old, new in pairs]

    def view(one: _Found) -> Changed:
        old, new, better, worse = one
        return Changed(sample_view(old, text), sample_view(new, text), better, worse)

    shown = room.fill([changed for changed, _ in found], view)
    return [
        TaskChanges(f"{dataset}/{old}", f"{dataset}/{new}", len(changed), same, tuple(of_task))
        for (dataset, old, new), (changed, same), of_task in zip(pairs, found, shown, strict=True)
    ]


def _found(
    baseline: RunRecord, candidate: RunRecord, dataset: str, systems: tuple[str, str]
) -> tuple[list[_Found], int]:
    """Samples that changed, losses first, and how many did not."""
    before = _by_sample(baseline, dataset, systems[0])
    after = _by_sample(candidate, dataset, systems[1])
    measures = {
        measure.scores: measure
        for task in candidate.header.tasks
        if (task.dataset, task.solver) == (dataset, systems[1])
        for measure in task.measures
    }
    found: list[_Found] = []
    same = 0
    for place, old in before.items():
        new = after.get(place)
        if new is None or not _alike(old, new):
            continue
        better, worse = _moved(old, new, measures)
        if better or worse or _differs(old, new):
            found.append((old, new, better, worse))
        else:
            same += 1
    found.sort(key=lambda one: len(one[2]) - len(one[3]))
    return found, same


def _by_sample(record: RunRecord, dataset: str, system: str) -> dict[tuple[str, int], Outcome]:
    for number, task in enumerate(record.header.tasks):
        if (task.dataset, task.solver) == (dataset, system):
            own = outcomes_of(record, number)
            return {(one.state.sample.id, one.repeat): one for one in own}
    return {}


def _alike(old: Outcome, new: Outcome) -> bool:
    first, second = old.state.sample, new.state.sample
    return msgspec.json.encode(first) == msgspec.json.encode(second)


def _differs(old: Outcome, new: Outcome) -> bool:
    before, after = old.state, new.state
    return (old.failed, before.output, before.abstained) != (
        new.failed,
        after.output,
        after.abstained,
    )


def _moved(
    old: Outcome, new: Outcome, measures: dict[str, Measure]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the scores by which the new outcome is better, and worse."""
    before = {score.name: score.value for score in old.scores}
    better: list[str] = []
    worse: list[str] = []
    if bool(old.failed) != bool(new.failed):
        (better if old.failed else worse).append("failed")
    for score in new.scores:
        was, measure = before.get(score.name), measures.get(score.name)
        if was is None or score.value is None or measure is None or was == score.value:
            continue
        if measure.better is not Better.NEITHER:
            is_better = (score.value > was) is (measure.better is Better.HIGHER)
            (better if is_better else worse).append(score.name)
    return tuple(better), tuple(worse)
