"""Runs tasks: every sample through its solver and scorers, each outcome into the run's file.

What always holds: every sample of every task has exactly one outcome per repetition when
`run_tasks` returns, failed ones included; at most `parallel` samples are worked on at once; what is
in the file already is not done again. A solver or scorer that raises costs its own sample alone.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import msgspec

from evals.core.cache import StateCache
from evals.core.dataset import Dataset
from evals.core.log import Outcome, RunFile, TaskHeader
from evals.core.samples import Sample
from evals.core.scores import Score, Scorer, Unscored
from evals.core.solvers import Solver
from evals.core.states import State
from rostra.core import RostraError, get_logger
from rostra.models import BreakerOpen

log = get_logger(__name__)

_DETAIL = 2000  # characters of an error's words
# For an endpoint that is left alone after failures.
_MOST_RESTS = 3
_LONGEST_REST = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Task:
    """A dataset, a system, and what it is scored by.

    Attributes:
        repeats: how often each sample is done, with a seed of its own each time.
        cached: whether answers may come from the cache and go into it.
    """

    dataset: Dataset
    solver: Solver
    scorers: Sequence[Scorer]
    repeats: int = 1
    cached: bool = True

    def header(self) -> TaskHeader:
        """As the run's file has it."""
        return TaskHeader(
            dataset=self.dataset.name,
            solver=self.solver.name,
            digest=self.dataset.digest,
            samples=len(self.dataset.samples),
            repeats=self.repeats,
            problems=list(self.dataset.problems),
            solver_config=self.solver.config(),
            scorers={scorer.name: scorer.config() for scorer in self.scorers},
            measures=[measure for scorer in self.scorers for measure in scorer.measures],
        )


@dataclass(frozen=True, slots=True)
class _Job:
    place: tuple[int, int, int]
    task: Task
    sample: Sample
    seed: int


async def run_tasks(
    tasks: Sequence[Task],
    file: RunFile,
    *,
    seed: int,
    parallel: int = 8,
    cache: StateCache | None = None,
    retry_failed: bool = False,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
) -> None:
    """Does all samples that the file does not have.

    Args:
        seed: of everything that is left to chance.
        parallel: samples at once, over all tasks.
        retry_failed: do samples again that failed before.
        on_outcome: told of each outcome, of those that are in the file first.

    Raises:
        OSError: the file cannot be written.
        asyncio.CancelledError: what was done is in the file.
    """
    waiting: list[_Job] = []
    for job in _jobs(tasks, seed):
        there = file.done.get(job.place)
        if there is None or (retry_failed and there.failed):
            waiting.append(job)
        else:
            on_outcome(there)
    jobs = iter(waiting)

    async def work() -> None:
        for job in jobs:
            outcome = await _outcome(job, cache)
            try:
                file.append(outcome)
            except (ValueError, TypeError, RecursionError) as error:
                # Half a surrogate pair, a value that is no JSON: the solver's or a scorer's doing.
                outcome = _unwritable(job, outcome, error)
                file.append(outcome)
            on_outcome(outcome)
            # A solver that never waits must not keep the loop from timers and signals.
            await asyncio.sleep(0)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(max(1, parallel), len(waiting))):
                group.create_task(work())
    except BaseExceptionGroup as errors:
        # Only the file, or whoever is told, can fail here; one word of it is enough.
        raise errors.exceptions[0] from None


def _jobs(tasks: Sequence[Task], seed: int) -> Iterator[_Job]:
    for number, task in enumerate(tasks):
        for repeat in range(task.repeats):
            for at, sample in enumerate(task.dataset.samples):
                own = sample_seed(seed, sample.id, repeat)
                yield _Job((number, at, repeat), task, sample, own)


def sample_seed(seed: int, sample: str, repeat: int) -> int:
    """The seed of one repetition of a sample: the same for every system, whatever else is run."""
    digest = hashlib.sha256(f"{seed}\0{sample}\0{repeat}".encode()).digest()
    return int.from_bytes(digest[:6], "big")


async def _outcome(job: _Job, cache: StateCache | None) -> Outcome:
    task, at, repeat = job.place
    solver = job.task.solver
    state = State(sample=job.sample)
    key: bytes | None = None
    solved: State | None = None
    failed = detail = ""
    began = time.perf_counter()
    if cache is not None and job.task.cached:
        key = cache.key(job.sample, solver.name, solver.config(), job.seed)
        solved = cache.get(key)
    was_cached = solved is not None
    if solved is None:
        try:
            solved = await _solved(solver, state, job.seed)
        except asyncio.CancelledError as error:
            _pass_on(error)
            failed = "CancelledError"
        except Exception as error:  # Whatever a solver does wrong is the sample's outcome.
            failed, detail = _named(error)
        else:
            if key is not None and cache is not None:
                cache.put(key, solved)
    solver_done = time.perf_counter()
    scores: list[Score] = []
    if solved is not None:
        for scorer in job.task.scorers:
            scores += await _scores(scorer, solved, job.seed)
    return Outcome(
        task=task,
        at=at,
        repeat=repeat,
        state=solved if solved is not None else state,
        scores=scores,
        failed=failed,
        detail=detail,
        seconds=solver_done - began,
        scoring=time.perf_counter() - solver_done,
        cached=was_cached,
    )


def _unwritable(job: _Job, outcome: Outcome, error: Exception) -> Outcome:
    """An outcome in place of one that no file can hold."""
    return msgspec.structs.replace(
        outcome,
        state=State(sample=job.sample),
        scores=[],
        failed="unwritable",
        detail=f"{type(error).__name__}: {error}"[:_DETAIL],
    )


async def _scores(scorer: Scorer, state: State, seed: int) -> list[Score]:
    """A scorer's scores; where it cannot tell, one without a value for each of its measures."""
    try:
        return list(await scorer(state, seed))
    except asyncio.CancelledError as error:
        _pass_on(error)
        reason, detail = "the scorer failed: CancelledError", ""
    except Unscored as unscored:
        reason, detail = unscored.reason, unscored.detail
    except Exception as error:  # Likewise; a score that cannot be had is counted, not zero.
        name, detail = _named(error)
        reason = f"the scorer failed: {name}"
    names = dict.fromkeys(measure.scores for measure in scorer.measures)
    return [Score(name, None, why=detail, unscored=reason) for name in names]


async def _solved(solver: Solver, state: State, seed: int) -> State:
    """The solver's answer; an endpoint that is left alone for a while is waited for.

    Samples that come by meanwhile would all fail without having been asked.
    """
    for waited in count(1):
        try:
            return await solver(state, seed)
        except BreakerOpen as resting:
            if waited > _MOST_RESTS:
                raise
            await asyncio.sleep(min(float(resting.details.get("retry_after", 1.0)), _LONGEST_REST))
    raise RuntimeError("unreachable")


def _pass_on(error: asyncio.CancelledError) -> None:
    """Lets a cancellation of the run through; one that comes from within is the sample's own."""
    task = asyncio.current_task()
    if task is None or task.cancelling():
        raise error


def _named(error: Exception) -> tuple[str, str]:
    """An error's name for counting, and its words."""
    if isinstance(error, RostraError):
        return error.code, error.message[:_DETAIL]
    log.debug("a sample failed", exc_info=error)
    return type(error).__name__, str(error)[:_DETAIL]
