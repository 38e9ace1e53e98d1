"""The evaluation of judges: which of them judge which sets, as tasks of a run."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals.core.log import RunRecord
from evals.core.runner import Task
from evals.errors import DatasetError
from evals.judge.biases import families_of
from evals.judge.compare import Compare, PairJudge
from evals.judge.measures import VerdictScorer
from evals.judge.panel import PairPanel
from evals.judge.published import differs, published_statistics
from evals.judge.recorded import RecordedJudge, find_recorded
from evals.judge.sets import PairSet
from evals.judge.simulated import usual_judges
from rostra.core import InvalidRequest

KINDS = ("recorded", "model", "simulated")

_FEWEST_OF_A_PANEL = 3


@dataclass(frozen=True, slots=True)
class Replayed:
    """The statistics of a recorded judge beside those that were published with it.

    Attributes:
        computed: from the run; see `evals.judge.published`.
        published: None where there are none.
        different: names of those that are not equal.
    """

    dataset: str
    judge: str
    computed: Mapping[str, Any]
    published: Mapping[str, Any] | None
    different: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "set": self.dataset,
            "judge": self.judge,
            **self.computed,
            "published": self.published,
            "different": list(self.different),
        }


def judge_tasks(
    sets: Sequence[PairSet],
    kinds: Sequence[str],
    *,
    models: Sequence[PairJudge] = (),
    times: int = 2,
    model_times: int = 1,
    limit: int | None = None,
) -> list[Task]:
    """Each judge on each set that it can judge.

    Args:
        kinds: of judges, out of `KINDS`.
        models: of kind `model`.
        times: how often simulated judges are asked in each order; `model_times` likewise. Recorded
            ones would only repeat themselves.
        limit: first pairs of each set alone.

    Raises:
        DatasetError: no judge is left: only recorded ones were asked for and there are none.
        InvalidRequest: two judges have the same name.
    """
    tasks: list[Task] = []
    for pairs in sets:
        dataset = pairs.dataset.limited(limit)
        solvers: list[tuple[PairJudge, int, bool]] = []
        if "recorded" in kinds:
            recorded = find_recorded(pairs.folder)
            replays: list[PairJudge] = [*recorded, *panels_of(recorded)]
            solvers += [(judge, 1, False) for judge in replays]
        if "model" in kinds:
            solvers += [(judge, model_times, True) for judge in models]
        if "simulated" in kinds:
            families = families_of(dataset.samples)
            usual = usual_judges(families[0] if families else "")
            solvers += [(judge, times, False) for judge in usual]
        names = Counter(judge.name for judge, _, _ in solvers)
        if twice := [name for name, count in names.items() if count > 1]:
            raise InvalidRequest(f"two judges of {dataset.name} are called {twice[0]!r}")
        for judge, often, cached in solvers:
            solver = Compare(judge, times=often)
            # The cache is for what costs something; a made-up verdict is made again at once.
            tasks.append(Task(dataset, solver, (VerdictScorer(),), cached=cached))
    if not tasks:
        raise DatasetError(
            "there are no judges to measure",
            hint="Recorded ones lie beside a set in `evaluators/`; `simulated` are always there.",
        )
    return tasks


def panels_of(recorded: Sequence[RecordedJudge]) -> list[PairPanel]:
    """A panel of all recorded judges with the same prompt, where there are three or more."""
    by_prompt: dict[str, list[RecordedJudge]] = {}
    for judge in recorded:
        by_prompt.setdefault(judge.judge.rpartition("/")[2], []).append(judge)
    return [
        PairPanel(judges, name=f"panel of {len(judges)} {prompt}")
        for prompt, judges in sorted(by_prompt.items())
        if len(judges) >= _FEWEST_OF_A_PANEL
    ]


def replayed(record: RunRecord, sets: Sequence[PairSet]) -> list[Replayed]:
    """What was published of each recorded judge of a run, beside what the run has.

    Judges of runs that left pairs out are not among them, nor are sets with more than one label.
    """
    judges = {
        (pairs.dataset.name, judge.name): judge
        for pairs in sets
        for judge in find_recorded(pairs.folder)
    }
    sizes = {pairs.dataset.name: len(pairs.dataset.samples) for pairs in sets}
    found: list[Replayed] = []
    for number, header in enumerate(record.header.tasks):
        judge = judges.get((header.dataset, header.solver))
        outcomes = [outcome for outcome in record.outcomes if outcome.task == number]
        if judge is None or len(outcomes) != sizes[header.dataset]:
            continue
        computed = published_statistics(outcomes)
        published = judge.published
        different = tuple(differs(computed, published)) if published is not None else ()
        found.append(Replayed(header.dataset, judge.judge, computed, published, different))
    return found
