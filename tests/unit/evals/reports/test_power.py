"""Power from runs: the spread is the values', and the plan is what the statistics say."""

import math
import random
import statistics

import pytest

from evals import (
    EvalTaskNotFound,
    Measure,
    Spread,
    find_measure,
    paired_spread,
    plan_power,
    spread_of,
)
from evals.statistics import Design, power_of, samples_needed
from tests.unit.evals.reports.parts import outcome, record

NDCG = Measure("ndcg@10")


def values(seed: int, count: int = 200) -> list[float]:
    chance = random.Random(seed)
    return [chance.random() for _ in range(count)]


def test_the_spread_of_a_run_is_that_of_its_values() -> None:
    found = values(1)
    run = record([outcome(at, ndcg=value) for at, value in enumerate(found)])
    spread = spread_of(run, 0, NDCG)
    assert spread.deviation == pytest.approx(statistics.stdev(found))
    assert (spread.samples, spread.cluster_size, spread.intra_cluster) == (200, 1, 0.0)


def test_two_runs_show_how_alike_their_systems_are() -> None:
    first, noise = values(1), values(2)
    second = [0.9 * a + 0.1 * b for a, b in zip(first, noise, strict=True)]
    old = record([outcome(at, ndcg=value) for at, value in enumerate(first)])
    new = record([outcome(at, ndcg=value) for at, value in enumerate(second)])
    spread, apart = paired_spread((old, 0), (new, 0), NDCG)
    differences = [b - a for a, b in zip(first, second, strict=True)]
    assert apart.deviation == pytest.approx(statistics.stdev(differences))
    plan = plan_power(0.02, spread, paired=apart)
    alone, shared = plan.rows
    assert shared.measured
    # The variance of a difference is what was seen, however it is told.
    implied = 2 * spread.deviation**2 * (1 - (shared.correlation or 0.0))
    assert implied == pytest.approx(apart.deviation**2)
    assert shared.samples is not None
    assert alone.samples is not None
    assert shared.samples < alone.samples / 10


def test_the_plan_is_what_the_statistics_say() -> None:
    plan = plan_power(0.02, Spread(0.4, samples=500), correlation=0.5, power=0.9, alpha=0.01)
    design = Design(0.5, alpha=0.01)
    row = plan.rows[-1]
    assert row.samples == samples_needed(0.02, 0.4, design, power=0.9)
    assert row.power == power_of(500, 0.02, 0.4, design)
    assert row.detectable is not None
    assert power_of(500, row.detectable, 0.4, design) == pytest.approx(0.9, abs=1e-6)


def test_clusters_make_it_take_more() -> None:
    alike = plan_power(0.02, Spread(0.4, cluster_size=5, intra_cluster=0.5)).rows[0].samples
    apart = plan_power(0.02, Spread(0.4)).rows[0].samples
    assert alike is not None
    assert apart is not None
    assert alike == pytest.approx(3 * apart, rel=0.01)


def test_what_takes_too_many_is_none_and_no_row_is_left_out() -> None:
    plan = plan_power(1e-9, Spread(0.4))
    assert len(plan.rows) == 4
    assert all(row.samples is None for row in plan.rows)
    assert all(math.isfinite(row.correlation) for row in plan.rows if row.correlation is not None)


def test_a_run_with_one_value_shows_no_spread() -> None:
    with pytest.raises(EvalTaskNotFound, match="fewer than two"):
        spread_of(record([outcome(0)]), 0, NDCG)


def test_measures_are_found_by_name() -> None:
    run = record([outcome(0), outcome(0, task=1)], systems=("a", "b"))
    assert find_measure(run) == (0, Measure("right", unit="share"))
    assert find_measure(run, "ndcg@10", "set/b") == (1, NDCG)
    with pytest.raises(EvalTaskNotFound, match="no nothing of set/b"):
        find_measure(run, "nothing", "set/b")
