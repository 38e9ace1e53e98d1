"""Pairs whose labels, lengths and writers are known, as many as are asked for."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from evals.core import Dataset, Header, Outcome, RunRecord, State, Task, make_dataset
from evals.core.runner import sample_seed
from evals.judge.compare import Compare, PairJudge
from evals.judge.measures import VerdictScorer
from evals.judge.pairs import Pair, Winner, majority, sample_of
from evals.judge.report import JudgeReport, judge_reports

MakePairs = Callable[..., list[Pair]]
Measured = Callable[..., Any]
Recorded = Callable[..., Any]


def _pairs(
    count: int, *, seed: int = 0, annotators: int = 1, doubt: float = 0.0, groups: int = 0
) -> list[Pair]:
    """Length, writer and label are drawn independently of each other.

    Args:
        doubt: chance of each annotator after the first to say something else than the first.
        groups: how many questions there are; each pair its own for 0.
    """
    rng = random.Random(f"pairs {seed}")
    made = []
    for number in range(count):
        label: Winner = rng.choice(("first", "second"))
        other: Winner = "second" if label == "first" else "first"
        labels = [label] + [other if rng.random() < doubt else label for _ in range(annotators - 1)]
        lengths = rng.sample(range(20, 400), 2)
        made.append(
            Pair(
                id=f"p{number}",
                question=f"question {number % groups if groups else number}",
                first="a" * lengths[0],
                second="b" * lengths[1],
                labels=list(labels),
                label=majority(labels),
                systems=rng.sample(["llama-7b", "opt-7b", "bloom-7b", "pythia-6.9b"], 2),
                group=f"g{number % groups}" if groups else "",
            )
        )
    return made


@pytest.fixture
def make_pairs() -> MakePairs:
    return _pairs


def dataset_of(pairs: Sequence[Pair], name: str = "pairs") -> Dataset:
    return make_dataset(name, [sample_of(pair) for pair in pairs])


async def _outcomes(task: Task, seed: int) -> list[Outcome]:
    """A task's outcomes without a file: every score is the real scorer's."""
    scorer = task.scorers[0]
    found = []
    for at, sample in enumerate(task.dataset.samples):
        own = sample_seed(seed, sample.id, 0)
        state = await task.solver(State(sample=sample), own)
        scores = list(await scorer(state, own))
        found.append(Outcome(task=0, at=at, state=state, scores=scores))
    return found


@pytest.fixture
def measured() -> Measured:
    """Runs a judge over pairs and reports on it."""

    async def run(
        judge: PairJudge, pairs: Sequence[Pair], *, seed: int = 0, times: int = 1, **more: Any
    ) -> JudgeReport:
        (report,) = judge_reports(await _record(judge, pairs, seed, times), **more)
        return report

    return run


@pytest.fixture
def recorded() -> Recorded:
    """Runs a judge over pairs, without a report."""
    return _record


async def _record(
    judge: PairJudge, pairs: Sequence[Pair], seed: int = 0, times: int = 1
) -> RunRecord:
    task = Task(dataset_of(pairs), Compare(judge, times=times), (VerdictScorer(),))
    header = Header(
        id="run", kind="judge", begun=datetime.now(UTC), seed=seed, tasks=[task.header()]
    )
    return RunRecord(header, tuple(await _outcomes(task, seed)), True)
