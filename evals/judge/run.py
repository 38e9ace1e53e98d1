"""One run of the evaluation of judges: sets and judges in, a logged run and its report out."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.core.log import read_run
from evals.core.runner import Task, run_tasks
from evals.judge.compare import PairJudge, PairwiseJudge
from evals.judge.evaluate import KINDS, Replayed, judge_tasks, replayed
from evals.judge.fitness import JudgeStandard
from evals.judge.model import ModelJudge
from evals.judge.report import JudgeReport, judge_reports, people_to_dict
from evals.judge.sets import PairSet, read_pair_sets
from evals.runs import open_run
from rostra.core import ChatModel, Settings


@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """What is judged by whom, and what is asked of them.

    Attributes:
        kinds: of judges; see `KINDS`.
        min_agreement, min_of_ceiling, max_unscored, max_bias: see `JudgeStandard`.
        samples: votes of the model for one verdict; `temperature` is that of each.
        times: how often simulated judges are asked about a pair in each order, and models whose
            temperature is not 0, to see whether they say the same again.
        family: of systems that the model belongs to, where its name does not tell.
        limit: first pairs of each set alone.
        seed: of everything that is left to chance.
        parallel: pairs at once.
        resume: a run to go on with; `out` is the file of a new one.
    """

    kinds: tuple[str, ...] = KINDS
    min_agreement: float = JudgeStandard.min_agreement
    min_of_ceiling: float = JudgeStandard.min_of_ceiling
    max_unscored: float = JudgeStandard.max_unscored
    max_bias: float = JudgeStandard.max_bias
    samples: int = 1
    temperature: float = 0.0
    times: int = 2
    family: str = ""
    limit: int | None = None
    seed: int = 0
    parallel: int = 8
    resume: str | None = None
    out: Path | None = None

    @property
    def standard(self) -> JudgeStandard:
        """What is asked of a judge."""
        return JudgeStandard(
            self.min_agreement, self.min_of_ceiling, self.max_unscored, self.max_bias
        )


@dataclass(frozen=True, slots=True)
class JudgeRun:
    """A run and what it says.

    Attributes:
        replayed: recorded judges beside what was published of them.
    """

    run: str
    path: Path
    is_complete: bool
    sets: tuple[PairSet, ...]
    reports: tuple[JudgeReport, ...]
    replayed: tuple[Replayed, ...]
    standard: JudgeStandard

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        people = {report.task.header.dataset: report.people for report in self.reports}
        return {
            "run": self.run,
            "kind": "judge",
            "complete": self.is_complete,
            "standard": {
                "min_agreement": self.standard.min_agreement,
                "min_of_ceiling": self.standard.min_of_ceiling,
                "max_unscored": self.standard.max_unscored,
                "max_bias": self.standard.max_bias,
            },
            "sets": [
                {
                    "set": pairs.dataset.name,
                    "pairs": len(pairs.dataset.samples),
                    "problems": [
                        {"reason": one.reason, "count": one.count, "examples": one.examples}
                        for one in pairs.dataset.problems
                    ],
                    "people": people_to_dict(people[pairs.dataset.name])
                    if pairs.dataset.name in people
                    else None,
                }
                for pairs in self.sets
            ],
            "results": [report.to_dict() for report in self.reports],
            "replayed": [one.to_dict() for one in self.replayed],
        }


async def evaluate_judges(
    settings: Settings,
    data: Path,
    options: JudgeOptions,
    *,
    model: ChatModel | None = None,
    execute: Callable[[Sequence[Task]], Awaitable[Path]] | None = None,
) -> JudgeRun:
    """Measures judges on the sets at a place; see `evals.judge.sets`.

    Args:
        model: judges as `model`; without one there is no such judge.
        execute: carries out the run in its own way and names its file; then `seed`, `parallel`,
            `resume` and `out` of the options are for it to heed.

    Raises:
        DatasetError: there is no set, or nothing to judge it.
        EvalRunNotFound, EvalRunConflict: of `options.resume`.
    """
    sets = read_pair_sets(data)
    tasks = judge_tasks(
        sets,
        options.kinds,
        models=_models(model, options),
        times=options.times,
        model_times=options.times if options.temperature else 1,
        limit=options.limit,
    )
    path = await execute(tasks) if execute else await _carried_out(settings, tasks, options)
    record = read_run(path)
    return JudgeRun(
        run=record.header.id,
        path=path,
        is_complete=record.is_complete,
        sets=tuple(sets),
        reports=tuple(judge_reports(record, standard=options.standard)),
        replayed=tuple(replayed(record, sets)),
        standard=options.standard,
    )


async def _carried_out(settings: Settings, tasks: Sequence[Task], options: JudgeOptions) -> Path:
    with open_run(
        settings, "judge", tasks, seed=options.seed, resume=options.resume, out=options.out
    ) as opened:
        await run_tasks(
            tasks,
            opened.file,
            seed=options.seed,
            parallel=options.parallel,
            cache=opened.cache,
        )
        return opened.file.path


def _models(model: ChatModel | None, options: JudgeOptions) -> Sequence[PairJudge]:
    if model is None:
        return ()
    judge = ModelJudge(model, samples=options.samples, temperature=options.temperature)
    return (PairwiseJudge(judge, family=options.family),)
