"""A run as a page or a program gets it: its report, and its samples some at a time.

What always holds: everything is bounded. Of a sample the long texts are cut, of its lists the first
items are given, and `is_cut` says so; the whole of it stands in the run's file.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec

from evals.compare import compare_runs
from evals.core import (
    Better,
    Call,
    Cited,
    Outcome,
    Passage,
    RunRecord,
    Score,
    Usage,
    report_of,
)
from evals.reports.errors import task_not_found
from evals.reports.sections import sections_of
from evals.reports.text import as_json, cut
from evals.reports.worst import worst_first

TEXT = 4000  # characters of a text
ITEMS = 20  # of a list
_SCORES = 100

SampleOrder = Literal["set", "worst"]
T = TypeVar("T")
R = TypeVar("R")


class EvalProblemView(msgspec.Struct, frozen=True):
    """Records of a dataset that cannot be used."""

    reason: str
    count: int
    examples: list[str]


class EvalMeasureView(msgspec.Struct, frozen=True):
    """One measure over a task's samples; `low` and `high` are its 95 % interval."""

    measure: str
    better: Better
    value: float | None
    low: float | None
    high: float | None
    standard_error: float | None
    n: int
    clusters: int
    unscored: int
    unscored_for: dict[str, int]


class EvalUsageView(msgspec.Struct, frozen=True):
    """Tokens and their cost."""

    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    estimated: bool


class EvalTimesView(msgspec.Struct, frozen=True):
    """Seconds a sample took, and how many samples took none as they were cached."""

    seconds_p50: float | None
    seconds_p95: float | None
    cached: int


class EvalTaskView(msgspec.Struct, frozen=True):
    """One task of a run."""

    dataset: str
    system: str
    samples: int
    repeats: int
    done: int
    failed: int
    failed_for: dict[str, int]
    problems: list[EvalProblemView]
    measures: list[EvalMeasureView]
    usage: EvalUsageView
    judging: EvalUsageView
    times: EvalTimesView


class EvalSectionView(msgspec.Struct, frozen=True):
    """A table of a run as people read it; `data` has a record for each row, with all numbers."""

    title: str
    columns: list[str]
    rows: list[list[str | int | float]]
    notes: list[str]
    data: list[dict[str, Any]]


class EvalRunView(msgspec.Struct, frozen=True, kw_only=True):
    """A run's report and what it was begun with; `sections` is what it says beside its tasks.

    Attributes:
        mixed: changes of versions and device while it was done: before and now, by name.
    """

    run: str
    kind: str
    complete: bool
    begun: datetime
    seed: int
    device: str
    arguments: dict[str, Any]
    versions: dict[str, str]
    mixed: list[dict[str, tuple[str, str]]]
    tasks: list[EvalTaskView]
    sections: list[EvalSectionView]


class EvalScoreView(msgspec.Struct, frozen=True):
    """A score, or why there is none; `data` is JSON as text."""

    name: str
    value: float | None
    why: str
    unscored: str
    data: str


class EvalSampleView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one repetition of a sample.

    Attributes:
        targets: answers that are right.
        data: whatever else the sample and the solver had, JSON as text.
        failed: the name of the error that the solver ended with, `detail` its words.
        is_cut: texts or lists are longer than given here.
    """

    id: str
    repeat: int
    input: str
    targets: list[str]
    group: str
    output: str
    abstained: bool
    claims: list[str]
    passages: list[Passage]
    citations: list[Cited]
    calls: list[Call]
    steps: int
    scores: list[EvalScoreView]
    failed: str
    detail: str
    seconds: float
    cached: bool
    trace: str
    usage: Usage
    data: str
    is_cut: bool


class EvalSamplePage(msgspec.Struct, frozen=True):
    """Some samples of a task, and how many it has."""

    items: list[EvalSampleView]
    total: int


def run_view(record: RunRecord) -> EvalRunView:
    """A run's report with what it was begun with."""
    header = record.header
    told = report_of(record).to_dict() | {
        "begun": header.begun,
        "seed": header.seed,
        "device": header.device,
        "arguments": header.arguments,
        "versions": header.versions,
        "sections": [one.to_dict() for one in sections_of(record)],
    }
    return msgspec.convert(told, EvalRunView)


def run_report(record: RunRecord, baseline: RunRecord | None = None) -> str:
    """A run's report as JSON in lines; with a baseline also how it compares.

    Raises:
        NothingToCompare: the runs have nothing in common.
    """
    told: dict[str, Any] = msgspec.to_builtins(run_view(record))
    if baseline is not None:
        told["baseline"] = baseline.header.id
        told["comparisons"] = [one.to_dict() for one in compare_runs(baseline, record)]
    return msgspec.json.format(msgspec.json.encode(told), indent=2).decode() + "\n"


def sample_page(
    record: RunRecord, task: int, *, limit: int, offset: int = 0, order: SampleOrder = "set"
) -> EvalSamplePage:
    """Some samples of a task.

    Args:
        task: its place in the run.
        order: that of the set, or the worst first; see `worst_first`.

    Raises:
        EvalTaskNotFound: there is no such task.
    """
    count = len(record.header.tasks)
    if not 0 <= task < count:
        raise task_not_found(record.header.id, count)
    found = outcomes_of(record, task)
    if order == "worst":
        found = worst_first(found, record.header.tasks[task].measures)
    return EvalSamplePage([sample_view(one) for one in found[offset : offset + limit]], len(found))


def outcomes_of(record: RunRecord, task: int) -> list[Outcome]:
    """A task's outcomes, in the order of the set."""
    return [outcome for outcome in record.outcomes if outcome.task == task]


def sample_view(outcome: Outcome, text: int = TEXT) -> EvalSampleView:
    """An outcome with its texts and lists cut.

    Args:
        text: characters of a long one; of many short ones a third of it.
    """
    state, sample = outcome.state, outcome.state.sample
    kept = _Cuts(text)
    view = EvalSampleView(
        id=kept.piece(sample.id),
        repeat=outcome.repeat,
        input=kept.text(sample.input),
        targets=kept.items(sample.targets, kept.piece),
        group=kept.piece(sample.group),
        output=kept.text(state.output),
        abstained=state.abstained,
        claims=kept.items(state.claims, kept.piece),
        passages=kept.items(state.passages, kept.passage),
        citations=kept.items(state.citations, kept.citation),
        calls=kept.items(state.calls, kept.call),
        steps=state.steps,
        scores=kept.items(outcome.scores, kept.score, _SCORES),
        failed=kept.piece(outcome.failed),
        detail=kept.piece(outcome.detail),
        seconds=outcome.seconds,
        cached=outcome.cached,
        trace=kept.piece(state.trace),
        usage=state.usage,
        data=kept.json(dict(_data(outcome))),
        is_cut=False,
    )
    return msgspec.structs.replace(view, is_cut=True) if kept.is_cut else view


def _data(outcome: Outcome) -> Iterator[tuple[str, Any]]:
    if outcome.state.sample.data:
        yield "sample", outcome.state.sample.data
    if outcome.state.data:
        yield "state", outcome.state.data


class _Cuts:
    """Cuts texts and lists, and remembers whether it did."""

    def __init__(self, longest: int) -> None:
        self.is_cut = False
        self._longest = longest
        self._piece = max(1, longest // 3)

    def text(self, text: str) -> str:
        return self._to(text, self._longest)

    def piece(self, text: str) -> str:
        return self._to(text, self._piece)

    def json(self, value: Any) -> str:
        return self.text(as_json(value))

    def items(self, items: Sequence[T], each: Callable[[T], R], most: int = ITEMS) -> list[R]:
        self.is_cut = self.is_cut or len(items) > most
        return [each(item) for item in items[:most]]

    def passage(self, one: Passage) -> Passage:
        return msgspec.structs.replace(
            one, document=self.piece(one.document), text=self.piece(one.text)
        )

    def citation(self, one: Cited) -> Cited:
        return msgspec.structs.replace(
            one, document=self.piece(one.document), quote=self.piece(one.quote)
        )

    def call(self, one: Call) -> Call:
        arguments = as_json(one.arguments)
        if len(arguments) > self._piece:
            self.is_cut = True
            one = msgspec.structs.replace(one, arguments={"cut": arguments[: self._piece]})
        return msgspec.structs.replace(
            one, tool=self.piece(one.tool), result=self.piece(one.result)
        )

    def score(self, one: Score) -> EvalScoreView:
        return EvalScoreView(
            self.piece(one.name),
            one.value,
            self.piece(one.why),
            self.piece(one.unscored),
            self.piece(as_json(one.data)),
        )

    def _to(self, text: str, longest: int) -> str:
        kept, is_cut = cut(text, longest)
        self.is_cut = self.is_cut or is_cut
        return kept
