"""What the evaluation harness costs a sample, beside the solver and the scorer.

Solver and scorer do next to nothing, so what is measured is the harness: seeds, the queue, the line
that is written for each sample, the cache. The limit that it is held against, in the same run, is
to call both in a plain loop and to write the same lines.
"""

import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import msgspec

from evals import (
    Header,
    Measure,
    Outcome,
    RunFile,
    Sample,
    Score,
    State,
    StateCache,
    Task,
    make_dataset,
    read_run,
    report_of,
    run_tasks,
)
from rostra.core import Settings

_SAMPLES = 10_000
_ROUNDS = 5


class Echo:
    """Says the sample's input."""

    name = "echo"

    def config(self) -> dict[str, Any]:
        """See `Solver.config`."""
        return {}

    async def __call__(self, state: State, seed: int) -> State:
        """See `Solver.__call__`."""
        return msgspec.structs.replace(state, output=state.sample.input)


class Same:
    """Whether the output is a target."""

    name = "same"
    measures = (Measure("same"),)

    def config(self) -> dict[str, Any]:
        """See `Scorer.config`."""
        return {}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        """See `Scorer.__call__`."""
        return [Score("same", float(state.output in state.sample.targets))]


async def run(settings: Settings, folders: Sequence[Path]) -> list[dict[str, Any]]:
    """Milliseconds of wall time a sample, medians over rounds."""
    task = Task(_dataset(), Echo(), [Same()])
    found: dict[str, list[float]] = {}
    settings.home.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=settings.home) as home:
        for number in range(_ROUNDS):
            folder = Path(home) / str(number)
            folder.mkdir()
            found.setdefault("plain loop", []).append(await _plain(task, folder))
            found.setdefault("harness", []).append(await _harness(task, folder, None))
            cache = StateCache(folder / "cache.db", {})
            found.setdefault("harness, filling the cache", []).append(
                await _harness(task, folder, cache)
            )
            found.setdefault("harness, from the cache", []).append(
                await _harness(task, folder, cache)
            )
            cache.close()
            found.setdefault("report from the file", []).append(_report(folder / "none.jsonl"))
            click.echo(f"  round {number + 1} of {_ROUNDS}", err=True)
    plain = statistics.median(found["plain loop"])
    return [
        {
            "what": what,
            "samples": _SAMPLES,
            "ms_per_sample": statistics.median(times),
            "of_plain_loop": statistics.median(times) / plain,
        }
        for what, times in found.items()
    ]


def _dataset() -> Any:
    samples = (
        Sample(id=f"s{n}", input=f"what is {n}?", targets=[f"what is {n}?"], group=f"g{n // 10}")
        for n in range(_SAMPLES)
    )
    return make_dataset("numbers", samples)


async def _plain(task: Task, folder: Path) -> float:
    encoder = msgspec.json.Encoder()
    began = time.perf_counter()
    with (folder / "plain.jsonl").open("wb", buffering=0) as file:
        for at, sample in enumerate(task.dataset.samples):
            state = await task.solver(State(sample=sample), 0)
            scores = [score for scorer in task.scorers for score in await scorer(state, 0)]
            outcome = Outcome(task=0, at=at, state=state, scores=scores)
            file.write(encoder.encode(outcome) + b"\n")
    return _milliseconds(began)


async def _harness(task: Task, folder: Path, cache: StateCache | None) -> float:
    path = folder / ("none.jsonl" if cache is None else "cached.jsonl")
    path.unlink(missing_ok=True)
    header = Header(
        id="run", kind="benchmark", begun=datetime.now(UTC), seed=0, tasks=[task.header()]
    )
    began = time.perf_counter()
    with RunFile(path, header) as file:
        await run_tasks([task], file, seed=0, cache=cache)
    return _milliseconds(began)


def _report(path: Path) -> float:
    began = time.perf_counter()
    report_of(read_run(path))
    return _milliseconds(began)


def _milliseconds(began: float) -> float:
    return 1000 * (time.perf_counter() - began) / _SAMPLES
