"""Reports: every sample is counted somewhere, and no number is made up."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from evals.core import (
    Measure,
    Problem,
    Sample,
    Score,
    State,
    Task,
    make_dataset,
    read_run,
    report_of,
)
from evals.core.runner import sample_seed
from evals.errors import DatasetError
from evals.rag.scorers.relevance import AnswerRelevance
from evals.reports.numbers import show_amount
from tests.eval_parts import Echo, Same, numbers, run
from tests.fakes import FakeEmbedder


async def test_the_mean_leaves_out_what_could_not_be_told(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    solver = Echo(fails=["s0", "s1"], wrong=["s2"])
    await run(path, [Task(numbers(8), solver, [Same()])])
    (task,) = report_of(read_run(path)).tasks
    same = task.measure("same")
    assert same is not None
    assert same.estimate is not None
    assert (same.estimate.mean, same.estimate.n) == (1.0, 5)
    assert same.unscored == {"no number": 1}
    assert task.failed == {"model_unavailable": 2}
    assert task.usage.prompt_tokens == 12  # of six that answered


async def test_a_measure_that_no_sample_has_is_none(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    await run(path, [Task(numbers(3), Echo(wrong=["s0", "s1", "s2"]), [Same()])])
    report = report_of(read_run(path)).to_dict()
    (first, _) = report["tasks"][0]["measures"]
    assert (first["value"], first["low"], first["n"]) == (None, None, 0)
    assert first["unscored_for"] == {"no number": 3}
    json.dumps(report, allow_nan=False)


async def test_repetitions_are_reduced_before_the_mean(tmp_path: Path) -> None:
    class Coin(Same):
        async def __call__(self, state: State, seed: int) -> Sequence[Score]:
            return [Score("same", float(seed % 2))]

    path = tmp_path / "run.jsonl"
    await run(path, [Task(numbers(30), Echo(), [Coin()], repeats=3)])
    record = read_run(path)
    by_sample: dict[str, list[float]] = {}
    for outcome in record.outcomes:
        by_sample.setdefault(outcome.state.sample.id, []).append(outcome.scores[0].value or 0.0)
    means = [sum(values) / 3 for values in by_sample.values()]
    (task,) = report_of(record).tasks
    mean, both = task.measures
    assert mean.estimate is not None
    assert both.estimate is not None
    assert mean.estimate.mean == pytest.approx(sum(means) / 30)
    assert both.estimate.mean == pytest.approx(sum(value == 1.0 for value in means) / 30)
    assert (mean.estimate.n, mean.estimate.clusters) == (30, 10)


async def test_a_resumed_run_reports_the_same_but_times(tmp_path: Path) -> None:
    def tasks() -> list[Task]:
        return [Task(numbers(20), Echo(wrong=["s3"], fails=["s9"]), [Same()], repeats=2)]

    whole, broken = tmp_path / "whole.jsonl", tmp_path / "broken.jsonl"
    await run(whole, tasks())
    broken.write_bytes(b"".join(whole.read_bytes().splitlines(keepends=True)[:14]))
    await run(broken, tasks(), parallel=3)
    reports: list[dict[str, Any]] = []
    for path in (whole, broken):
        report = report_of(read_run(path)).to_dict()
        for task in report["tasks"]:
            task.pop("times")
        reports.append(report)
    assert reports[0] == reports[1]


def test_a_score_is_finite_or_has_a_reason() -> None:
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match="no score"):
            Score("x", value)
    with pytest.raises(ValueError, match="no reason"):
        Score("x", None)


def test_ids_that_come_twice_are_counted_and_the_first_stays() -> None:
    samples = [Sample(id="a", input="1"), Sample(id="b", input="2"), Sample(id="a", input="3")]
    dataset = make_dataset("set", samples, [Problem("no question", 2)])
    assert [sample.input for sample in dataset.samples] == ["1", "2"]
    assert [(one.reason, one.count) for one in dataset.problems] == [
        ("no question", 2),
        ("an id that another sample has", 1),
    ]


def test_an_empty_set_is_refused_with_its_reasons() -> None:
    with pytest.raises(DatasetError, match="2: no question"):
        make_dataset("set", [], [Problem("no question", 2)])


async def test_whether_all_succeed_takes_a_score_of_each(tmp_path: Path) -> None:
    class Half(Same):
        async def __call__(self, state: State, seed: int) -> Sequence[Score]:
            if state.sample.id == "s1" and seed == first:
                return [Score("same", None, unscored="nonsense")]
            return [Score("same", 1.0)]

    first = sample_seed(0, "s1", 0)
    path = tmp_path / "run.jsonl"
    await run(path, [Task(numbers(3), Echo(), [Half()], repeats=2)])
    (task,) = report_of(read_run(path)).tasks
    mean, both = task.measures
    assert mean.estimate is not None
    assert both.estimate is not None
    assert (mean.estimate.n, mean.unscored) == (3, {"nonsense": 1})
    assert both.estimate.n == 2
    assert both.unscored == {"nonsense": 1, "a repetition without a score": 1}


async def test_one_failure_decides_whether_all_succeed(tmp_path: Path) -> None:
    class Wrong(Same):
        async def __call__(self, state: State, seed: int) -> Sequence[Score]:
            if seed == first:
                return [Score("same", None, unscored="nonsense")]
            return [Score("same", 0.0)]

    first = sample_seed(0, "s0", 0)
    path = tmp_path / "run.jsonl"
    await run(path, [Task(numbers(1), Echo(), [Wrong()], repeats=2)])
    both = report_of(read_run(path)).tasks[0].measures[1]
    assert both.estimate is not None
    assert (both.estimate.mean, both.unscored) == (0.0, {"nonsense": 1})


async def test_the_interval_of_a_cosine_stays_between_minus_1_and_1(tmp_path: Path) -> None:
    class Cosine(AnswerRelevance):
        async def __call__(self, state: State, seed: int) -> Sequence[Score]:
            is_first = state.sample.id in ("s0", "s1", "s2")
            return [Score(self.name, 0.9 if is_first else -0.1)]

    path = tmp_path / "run.jsonl"
    # Two groups of three questions: the interval of their mean would reach from -6 to 7.
    await run(path, [Task(numbers(6), Echo(), [Cosine(FakeEmbedder, "space")])])
    (found,) = report_of(read_run(path)).tasks[0].measures
    assert found.estimate is not None
    assert found.estimate.mean == pytest.approx(0.4)
    assert found.estimate.interval is not None
    assert (found.estimate.interval.low, found.estimate.interval.high) == (-1.0, 1.0)
    assert show_amount(0.4, found.measure.unit) == "0.4000"


async def test_the_interval_of_a_share_stays_between_0_and_1(tmp_path: Path) -> None:
    class Share(Same):
        measures = (Measure("same", unit="share"), Measure("plain", of="same"))

        async def __call__(self, state: State, seed: int) -> Sequence[Score]:
            return [Score("same", 0.7 if state.sample.id == "s0" else 1.0)]

    path = tmp_path / "run.jsonl"
    await run(path, [Task(numbers(4), Echo(), [Share()])])
    share, plain = report_of(read_run(path)).tasks[0].measures
    assert share.estimate is not None
    assert plain.estimate is not None
    assert share.estimate.interval is not None
    assert plain.estimate.interval is not None
    assert share.estimate.interval.high == 1.0
    assert plain.estimate.interval.high > 1.0
