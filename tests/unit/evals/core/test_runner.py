"""Running tasks: everything is done once, whatever fails; chance has one source."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evals.core import (
    Measure,
    RunFile,
    Score,
    State,
    StateCache,
    Task,
    read_run,
    run_tasks,
)
from rostra.models import BreakerOpen
from tests.eval_parts import Echo, Same, header, numbers, run


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    samples=st.integers(1, 12),
    repeats=st.integers(1, 3),
    parallel=st.integers(1, 20),
    failing=st.sets(st.integers(0, 11)),
)
async def test_every_repetition_of_every_sample_has_one_outcome(
    tmp_path_factory: pytest.TempPathFactory,
    samples: int,
    repeats: int,
    parallel: int,
    failing: set[int],
) -> None:
    path = tmp_path_factory.mktemp("runs") / "run.jsonl"
    fails = [f"s{number}" for number in failing]
    solver = Echo(fails=fails)
    told = await run(
        path, [Task(numbers(samples), solver, [Same()], repeats=repeats)], parallel=parallel
    )
    places = [(0, at, repeat) for repeat in range(repeats) for at in range(samples)]
    assert sorted(outcome.place for outcome in told) == sorted(places)
    assert solver.most_at_once <= parallel
    for outcome in read_run(path).outcomes:
        failed = outcome.state.sample.id in fails
        assert outcome.failed == ("model_unavailable" if failed else "")
        assert bool(outcome.scores) != failed
    assert len(set(solver.asked)) == samples * repeats  # no two with the same seed


async def test_a_scorer_that_fails_leaves_its_measures_unscored(tmp_path: Path) -> None:
    class Broken:
        name = "broken"
        measures = (Measure("x"), Measure("y"), Measure("y@all", of="y"))

        def config(self) -> dict[str, Any]:
            return {}

        async def __call__(self, state: State, seed: int) -> Sequence[Score]:
            raise ZeroDivisionError("no")

    (outcome,) = await run(tmp_path / "r.jsonl", [Task(numbers(1), Echo(), [Broken(), Same()])])
    assert [(one.name, one.value, one.unscored) for one in outcome.scores] == [
        ("x", None, "the scorer failed: ZeroDivisionError"),
        ("y", None, "the scorer failed: ZeroDivisionError"),
        ("same", 1.0, ""),
    ]


async def test_seeds_are_of_sample_and_repetition_alone(tmp_path: Path) -> None:
    one, other = Echo("one"), Echo("other")
    await run(tmp_path / "a.jsonl", [Task(numbers(5), one, []), Task(numbers(9), other, [])])
    assert set(one.asked) < set(other.asked)


async def test_failed_samples_are_tried_again_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    await run(path, [Task(numbers(6), Echo(fails=["s1", "s4"]), [Same()])])
    again = Echo()
    await run(path, [Task(numbers(6), again, [Same()])])
    assert not again.asked
    told = await run(path, [Task(numbers(6), again, [Same()])], retry_failed=True)
    assert sorted(sample for sample, _ in again.asked) == ["s1", "s4"]
    assert len(told) == 6
    assert not any(outcome.failed for outcome in read_run(path).outcomes)


async def test_answers_come_from_the_cache_and_failures_do_not(tmp_path: Path) -> None:
    cache = StateCache(tmp_path / "cache.db", {"rostra": "1"})
    first, second, other = Echo(fails=["s2"]), Echo(), Echo(wrong=["s0"])
    await run(tmp_path / "a.jsonl", [Task(numbers(4), first, [Same()])], cache=cache)
    told = await run(tmp_path / "b.jsonl", [Task(numbers(4), second, [Same()])], cache=cache)
    assert [sample for sample, _ in second.asked] == ["s2"]
    assert Counter(outcome.cached for outcome in told) == {True: 3, False: 1}
    await run(tmp_path / "c.jsonl", [Task(numbers(4), other, [Same()])], cache=cache)
    assert len(other.asked) == 4  # its configuration is another one
    cache.close()
    newer = StateCache(tmp_path / "cache.db", {"rostra": "2"})
    third = Echo()
    await run(tmp_path / "d.jsonl", [Task(numbers(4), third, [Same()])], cache=newer)
    assert len(third.asked) == 4
    newer.close()


async def test_who_breaks_off_keeps_what_is_done(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    gate = asyncio.Semaphore(3)
    tasks = [Task(numbers(10), Echo(gate=gate), [Same()])]
    three = asyncio.Event()
    told: list[object] = []

    def on_outcome(outcome: object) -> None:
        told.append(outcome)
        if len(told) == 3:
            three.set()

    async def work() -> None:
        with RunFile(path, header(tasks)) as file:
            await run_tasks(tasks, file, seed=0, parallel=2, on_outcome=on_outcome)

    working = asyncio.create_task(work())
    await three.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    record = read_run(path)
    assert len(record.outcomes) == 3
    assert not record.is_complete


async def test_a_file_that_cannot_be_written_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: RunFile, outcome: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunFile, "append", full)
    with pytest.raises(OSError, match="No space"):
        await run(tmp_path / "run.jsonl", [Task(numbers(5), Echo(), [])])


class Unwritable(Echo):
    """Says what JSON cannot hold, at two samples."""

    async def __call__(self, state: State, seed: int) -> State:
        if state.sample.id == "s1":
            return msgspec.structs.replace(state, output="half \ud83d")
        if state.sample.id == "s2":
            return msgspec.structs.replace(state, data={"value": object()})
        return await super().__call__(state, seed)


@pytest.mark.parametrize("cached", [False, True])
async def test_what_cannot_be_written_costs_its_sample_alone(tmp_path: Path, cached: bool) -> None:
    cache = StateCache(tmp_path / "cache.db", {}) if cached else None
    told = await run(tmp_path / "r.jsonl", [Task(numbers(5), Unwritable(), [Same()])], cache=cache)
    failed = {one.state.sample.id: one.failed for one in told}
    assert failed == {"s0": "", "s1": "unwritable", "s2": "unwritable", "s3": "", "s4": ""}
    record = read_run(tmp_path / "r.jsonl")
    assert record.is_complete
    assert record.outcomes == tuple(sorted(told, key=lambda one: one.place))


class Unsteady(Echo):
    """Is cancelled from within, or finds its endpoint resting, at some samples."""

    def __init__(self, *, rests: int = 0) -> None:
        super().__init__()
        self.rests = rests

    async def __call__(self, state: State, seed: int) -> State:
        if self.rests:
            self.rests -= 1
            raise BreakerOpen("it is left alone", retry_after=0.0)
        if state.sample.id in ("s1", "s5", "s6"):
            raise asyncio.CancelledError
        return await super().__call__(state, seed)


async def test_a_cancellation_from_within_is_the_samples_own(tmp_path: Path) -> None:
    told = await run(tmp_path / "r.jsonl", [Task(numbers(9), Unsteady(), [])], parallel=2)
    assert len(told) == 9
    assert [outcome.state.sample.id for outcome in told if outcome.failed] == ["s1", "s5", "s6"]


@pytest.mark.parametrize(("rests", "failed"), [(3, 0), (4, 1)])
async def test_a_resting_endpoint_is_waited_for(tmp_path: Path, rests: int, failed: int) -> None:
    told = await run(tmp_path / "r.jsonl", [Task(numbers(1), Unsteady(rests=rests), [])])
    assert sum(outcome.failed == "remote_resting" for outcome in told) == failed
