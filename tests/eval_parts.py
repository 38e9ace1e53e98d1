"""Parts of evaluations for tests: a solver and a scorer that do what a sample's id says."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from evals.core import (
    Dataset,
    Header,
    Measure,
    Outcome,
    Reduce,
    RunFile,
    Sample,
    Score,
    State,
    Task,
    Unscored,
    Usage,
    make_dataset,
    run_tasks,
)
from rostra.core import ModelUnavailable


def numbers(count: int, name: str = "numbers") -> Dataset:
    """Samples whose input is their number; three share a group."""
    return make_dataset(
        name,
        [
            Sample(id=f"s{n}", input=str(n), targets=[str(n)], group=f"g{n // 3}")
            for n in range(count)
        ],
    )


class Echo:
    """Says the input, in lines of JSON that a scorer can read.

    Args:
        fails: ids of samples that it fails at.
        wrong: ids of samples that it says something else to.
    """

    def __init__(
        self,
        name: str = "echo",
        *,
        fails: Sequence[str] = (),
        wrong: Sequence[str] = (),
        gate: asyncio.Semaphore | None = None,
    ) -> None:
        self.name = name
        self.asked: list[tuple[str, int]] = []
        self.at_once = 0
        self.most_at_once = 0
        self._fails = frozenset(fails)
        self._wrong = frozenset(wrong)
        self._gate = gate

    def config(self) -> dict[str, Any]:
        return {"wrong": sorted(self._wrong)}

    async def __call__(self, state: State, seed: int) -> State:
        self.asked.append((state.sample.id, seed))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await (self._gate.acquire() if self._gate is not None else asyncio.sleep(0))
        finally:
            self.at_once -= 1
        if state.sample.id in self._fails:
            raise ModelUnavailable("the model is away")
        said = "?" if state.sample.id in self._wrong else state.sample.input
        return msgspec.structs.replace(state, output=said, usage=Usage(prompt_tokens=2))


class Same:
    """Whether output and target are the same; cannot tell of `?`."""

    name = "same"
    measures = (Measure("same"), Measure("same@all", reduce=Reduce.ALL, of="same"))

    def config(self) -> dict[str, Any]:
        return {}

    async def __call__(self, state: State, seed: int) -> Sequence[Score]:
        if state.output == "?":
            raise Unscored("no number", state.sample.id)
        return [Score("same", float(state.output in state.sample.targets))]


def header(tasks: Sequence[Task], *, kind: str = "test", seed: int = 0) -> Header:
    return Header(
        id="run", kind=kind, begun=datetime.now(UTC), seed=seed, tasks=[t.header() for t in tasks]
    )


async def run(path: Path, tasks: Sequence[Task], **options: Any) -> list[Outcome]:
    """Runs tasks into a file; the outcomes in the order they were told."""
    told: list[Outcome] = []
    with RunFile(path, header(tasks)) as file:
        await run_tasks(tasks, file, seed=0, on_outcome=told.append, **options)
    return told
