"""Comparing and gating runs: what counts as worse, and what must not be overlooked."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest

from evals import (
    Better,
    Header,
    Measure,
    NothingToCompare,
    Outcome,
    RunRecord,
    Sample,
    Score,
    State,
    TaskHeader,
    compare_runs,
    compare_systems,
    gate_run,
)
from evals.compare import comparison_section

RIGHT = Measure("right", unit="share")
STEPS = Measure("steps", Better.LOWER)
TOLD = Measure("told", Better.NEITHER)
Values = Sequence[float | None]


def record(
    values: dict[str, dict[str, Values]],
    *,
    dataset: str = "set",
    run: str = "run",
    measures: Sequence[Measure] = (RIGHT,),
    failed: Sequence[str] = (),
    is_complete: bool = True,
    text: str = "question",
) -> RunRecord:
    """A run of systems with the values of their measures; None is a score without a value."""
    tasks = [
        TaskHeader(dataset=dataset, solver=name, digest="d", samples=9, measures=list(measures))
        for name in values
    ]
    outcomes: list[Outcome] = []
    for task, by_measure in enumerate(values.values()):
        for at in range(max(len(one) for one in by_measure.values())):
            sample = Sample(id=f"s{at}", input=f"{text} {at}")
            scores = [
                Score(name, found[at], unscored="" if found[at] is not None else "nonsense")
                for name, found in by_measure.items()
            ]
            state = State(sample=sample)
            if sample.id in failed:
                outcomes.append(Outcome(task=task, at=at, state=state, failed="Error"))
            else:
                outcomes.append(Outcome(task=task, at=at, state=state, scores=scores))
    header = Header(id=run, kind="test", begun=datetime.now(UTC), seed=0, tasks=tasks)
    return RunRecord(header, tuple(outcomes), is_complete)


def one(values: Values, **options: object) -> RunRecord:
    return record({"system": {"right": values}}, **options)  # type: ignore[arg-type]


def noise(count: int, share: float, seed: int) -> list[float]:
    chance = random.Random(seed)
    return [float(chance.random() < share) for _ in range(count)]


def test_differences_are_candidate_minus_baseline_sample_by_sample() -> None:
    (found,) = compare_runs(one([0, 0, 1, 1, 1, 0]), one([1, 1, 1, 0, 1, 1]))
    assert (found.baseline, found.candidate) == (0.5, 5 / 6)
    assert found.difference == pytest.approx(1 / 3)
    assert (found.wins, found.losses, found.ties) == (3, 1, 2)
    assert found.samples[0].sample == "s3"  # the loss first
    assert found.verdict(0.05) == "no difference shown"


@pytest.mark.parametrize(("measure", "verdict"), [(RIGHT, "worse"), (STEPS, "better"), (TOLD, "-")])
def test_a_direction_says_what_worse_is(measure: Measure, verdict: str) -> None:
    high, low = [2.0] * 30, [1.0] * 30
    found = compare_runs(
        record({"a": {measure.name: high}}, measures=[measure]),
        record({"a": {measure.name: low}}, measures=[measure]),
    )
    assert [one.verdict(0.05) for one in found] == [verdict]
    if measure is STEPS:
        assert (found[0].wins, found[0].losses) == (30, 0)


def test_the_only_systems_over_a_set_are_compared_and_several_are_by_name() -> None:
    old = record({"dense": {"right": [1, 1]}})
    new = record({"hybrid": {"right": [1, 0]}})
    assert compare_runs(old, new)[0].candidate_system == "hybrid"
    both = record({"dense": {"right": [1, 1]}, "hybrid": {"right": [0, 0]}})
    found = compare_runs(both, both)
    assert [(one.baseline_system, one.candidate_system) for one in found] == [
        ("dense", "dense"),
        ("hybrid", "hybrid"),
    ]
    assert [one.difference for one in compare_systems(both)] == [-1.0]


def test_what_is_left_out_is_counted() -> None:
    old = one([1, None, 1, 1], failed=["s3"])
    new = one([1, 1, None, 1, 1])
    right, failed, unscored = compare_runs(old, new)
    assert right.n == 1
    assert right.left_out == {
        "no value in the baseline": 2,
        "no value in the candidate": 1,
        "only in the candidate": 1,
    }
    assert (failed.baseline, failed.candidate) == (0.25, 0.0)
    assert (unscored.baseline, unscored.candidate) == (0.25, 0.25)


def test_a_sample_that_was_rewritten_is_not_compared() -> None:
    with pytest.raises(NothingToCompare):
        compare_runs(one([1, 1]), one([1, 1], text="another question"))


def test_other_datasets_have_nothing_in_common() -> None:
    with pytest.raises(NothingToCompare):
        compare_runs(one([1, 1]), one([1, 1], dataset="other"))


def test_p_values_are_adjusted_for_all_that_is_compared() -> None:
    old = {f"system {n}": {"right": noise(60, 0.5, n)} for n in range(8)}
    new = {f"system {n}": {"right": noise(60, 0.62, n + 50)} for n in range(8)}
    found = compare_runs(record(old), record(new))
    assert len(found) == 8
    smallest = min(one.p_value or 1.0 for one in found)
    assert min(one.adjusted or 1.0 for one in found) == pytest.approx(min(1.0, 8 * smallest))


def test_failures_are_told_in_percent() -> None:
    both = record({"dense": {"right": [1] * 5}, "hybrid": {"right": [1] * 5}})
    outcomes = tuple(
        msgspec.structs.replace(one, failed="Error", scores=[])
        if one.task == 1 and one.at < 2
        else one
        for one in both.outcomes
    )
    found = compare_systems(replace(both, outcomes=outcomes))
    section = comparison_section(both, found)
    shown = {row[2]: row[3] for row in section.rows}
    assert shown["failed"] == "+40.0 %"


def test_the_gate_lets_the_same_and_the_better_pass() -> None:
    base = one(noise(100, 0.5, 1))
    assert gate_run(base, base).is_open
    assert gate_run(base, one([1.0] * 100)).is_open


def test_the_gate_refuses_what_is_worse_and_lets_a_tolerance_pass() -> None:
    base, worse = one([1.0] * 100), one([1.0] * 80 + [0.0] * 20)
    refused = gate_run(base, worse)
    assert not refused.is_open
    assert [one.difference for one in refused.regressions] == [pytest.approx(-0.2)]
    assert gate_run(base, worse, tolerance=0.25).is_open


def test_the_gate_is_not_fooled_by_failures() -> None:
    base = one([0.0, 1.0] * 30)
    sly = one([1.0] * 60, failed=[f"s{n}" for n in range(0, 60, 2)])
    assert [one.measure.name for one in gate_run(base, sly).regressions] == ["failed"]
    silent = one([None if n % 2 == 0 else 1.0 for n in range(60)])
    assert [one.measure.name for one in gate_run(base, silent).regressions] == ["unscored"]


def test_the_gate_misses_nothing_that_the_baseline_had() -> None:
    base = record({"a": {"right": [1.0] * 9, "steps": [1.0] * 9}}, measures=[RIGHT, STEPS])
    less = record({"a": {"right": [1.0] * 9}})
    assert [each.told for each in gate_run(base, less).missing] == [
        "steps of set/a: cannot be compared"
    ]
    fewer = record({"a": {"right": [1.0] * 5, "steps": [1.0] * 5}}, measures=[RIGHT, STEPS])
    assert [each.told for each in gate_run(base, fewer).missing] == [
        "2 measures of set/a: 4 samples only in the baseline"
    ]
    broken_off = record(
        {"a": {"right": [1.0] * 9, "steps": [1.0] * 9}},
        measures=[RIGHT, STEPS],
        is_complete=False,
    )
    assert [each.told for each in gate_run(base, broken_off).missing] == ["run run is not complete"]


def test_equal_systems_are_refused_no_more_often_than_alpha() -> None:
    refused = sum(
        not gate_run(one(noise(80, 0.6, seed)), one(noise(80, 0.6, 1000 + seed)), alpha=0.2).is_open
        for seed in range(60)
    )
    # Two-sided at 0.2, so one in ten is found worse; 14 of 60 is three deviations above.
    assert refused <= 14


def test_of_very_many_differences_both_ends_are_kept() -> None:
    (found,) = compare_runs(one([0.5] * 3000), one([n / 3000 for n in range(3000)]))
    assert len(found.samples) == 1000
    assert found.samples[0].sample == "s0"
    assert found.samples[-1].sample == "s2999"
