"""One run of the evaluation of judges: sets and judges in, a logged run and its report out."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evals.core.log import read_run
from evals.core.report import Section
from evals.core.runner import Task, run_tasks
from evals.errors import DatasetError
from evals.judge.compare import PairJudge
from evals.judge.evaluate import KINDS, Replayed, judge_tasks, replayed
from evals.judge.fitness import JudgeStandard
from evals.judge.model import MAX_TOKENS, ModelJudge
from evals.judge.pairs import pair_of
from evals.judge.panel import PairPanel
from evals.judge.pointwise import judge_of_pairs
from evals.judge.report import JudgeReport, judge_reports, people_to_dict
from evals.judge.rubrics import Rubric, find_rubric
from evals.judge.sets import PairSet, read_pair_sets
from evals.judge.table import judge_sections
from evals.runs import open_run
from rostra.core import ChatModel, InvalidRequest, Settings


@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """What is judged by whom, and what is asked of them.

    Attributes:
        kinds: of judges; see `KINDS`.
        min_agreement, min_of_ceiling, max_unscored, max_bias: see `JudgeStandard`.
        rubric: what models go by: of two answers, or of one, which then judges each by itself.
        panel: the models, two or more, also as one judge; it asks each of them once more.
        samples: votes of a model for one verdict; `temperature` is that of each, `max_tokens` the
            most of its answer.
        times: how often simulated judges are asked about a pair in each order, and models whose
            temperature is not 0, to see whether they say the same again.
        family: of systems that the models belong to, where their names do not tell.
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
    rubric: Rubric | str = "pairwise"
    panel: bool = False
    samples: int = 1
    temperature: float = 0.0
    max_tokens: int = MAX_TOKENS
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
        sections: the tables of judges and people.
        replayed: recorded judges beside what was published of them.
    """

    run: str
    path: Path
    is_complete: bool
    sets: tuple[PairSet, ...]
    reports: tuple[JudgeReport, ...]
    sections: tuple[Section, ...]
    replayed: tuple[Replayed, ...]
    standard: JudgeStandard

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        people = {report.task.header.dataset: report.people for report in self.reports}
        return {
            "run": self.run,
            "kind": "judge",
            "complete": self.is_complete,
            "standard": asdict(self.standard),
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
            "notes": [note for section in self.sections for note in section.notes],
            "replayed": [one.to_dict() for one in self.replayed],
        }


async def evaluate_judges(
    settings: Settings,
    data: Path,
    options: JudgeOptions,
    *,
    models: Sequence[ChatModel] = (),
    at: str = "",
    execute: Callable[[Sequence[Task]], Awaitable[Path]] | None = None,
) -> JudgeRun:
    """Measures judges on the sets at a place; see `evals.judge.sets`.

    Args:
        models: each judges as `model`; without any there is no such judge.
        at: where they are, such as their URL.
        execute: carries out the run in its own way and names its file; then `seed`, `parallel`,
            `resume` and `out` of the options are for it to heed.

    Raises:
        DatasetError: there is no set, or nothing to judge it, or a set has no references where
            the models' rubric goes by them; no model was asked.
        BrokenRubric: `options.rubric` is none that judges answers.
        InvalidRequest: a panel of fewer than two models, or two of one name.
        EvalRunNotFound, EvalRunConflict: of `options.resume`.
    """
    sets = read_pair_sets(data)
    if models and "model" in options.kinds:
        _check_references(sets, options)
    tasks = judge_tasks(
        sets,
        options.kinds,
        models=_models(models, at, options),
        times=options.times,
        model_times=options.times if options.temperature else 1,
        limit=options.limit,
    )
    path = await execute(tasks) if execute else await _carried_out(settings, tasks, options)
    record = read_run(path)
    reports = judge_reports(record, standard=options.standard)
    return JudgeRun(
        run=record.header.id,
        path=path,
        is_complete=record.is_complete,
        sets=tuple(sets),
        reports=tuple(reports),
        sections=judge_sections(record, reports, options.standard),
        replayed=tuple(replayed(record, sets)),
        standard=options.standard,
    )


def _check_references(sets: Sequence[PairSet], options: JudgeOptions) -> None:
    """Whether a rubric that goes by references has any to go by, in each set.

    A pair without one is counted later on; a whole set of such pairs would tell nothing.
    """
    rubric = find_rubric(options.rubric)
    if "reference" not in rubric.values:
        return
    for pairs in sets:
        dataset = pairs.dataset.limited(options.limit)
        if not any(pair_of(sample).reference.strip() for sample in dataset.samples):
            raise DatasetError(
                f"{dataset.name}: none of {len(dataset.samples):,} pairs has a reference, which "
                f"rubric {rubric.name!r} goes by",
                hint="Give pairs a `reference`, a right answer, or choose another --rubric.",
            )


async def _carried_out(settings: Settings, tasks: Sequence[Task], options: JudgeOptions) -> Path:
    with open_run(
        settings,
        "judge",
        tasks,
        seed=options.seed,
        resume=options.resume,
        arguments=asdict(options.standard),
        out=options.out,
    ) as opened:
        await run_tasks(
            tasks,
            opened.file,
            seed=options.seed,
            parallel=options.parallel,
            cache=opened.cache,
        )
        return opened.file.path


def _models(models: Sequence[ChatModel], at: str, options: JudgeOptions) -> Sequence[PairJudge]:
    names = [model.name for model in models]
    if len(set(names)) < len(names):
        raise InvalidRequest(f"each model judges once, not {', '.join(sorted(names))}")
    judges = [
        judge_of_pairs(
            ModelJudge(
                model,
                samples=options.samples,
                temperature=options.temperature,
                max_tokens=options.max_tokens,
                at=at,
            ),
            options.rubric,
            family=options.family,
        )
        for model in models
    ]
    if options.panel:
        judges.append(PairPanel(judges, name=f"panel of {len(judges)} models"))
    return judges
