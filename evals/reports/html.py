"""One HTML file about a run, or about two: opens anywhere, and loads nothing.

What always holds: all that comes from documents, models and sets is escaped, and a policy in the
page forbids every script, style and image but the two that are written here. It can be read with
scripts off. It is bounded: what is left out is said, with the file that has it.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from evals.compare import Comparison, compare_runs, compare_systems
from evals.core import RunRecord, RunReport, TaskReport, report_of
from evals.reports.charts import Bar, Panel, draw
from evals.reports.data import EvalSampleView, outcomes_of, sample_view
from evals.reports.differences import TaskChanges, changes
from evals.reports.errors import TraceUrlInvalid
from evals.reports.numbers import show_amount, show_better, show_duration, show_interval
from evals.reports.room import MOST_EACH, Room, room_for
from evals.reports.sections import sections_of
from evals.reports.text import as_json, visible
from evals.reports.worst import worst_first

_TEXT = 1800
_COMPARED = 8  # tasks; pairs of them are compared, and there are soon too many
_PANELS = 24
_BARS = 16
_TRACE = re.compile(r"[0-9a-f]{16,64}")


@dataclass(frozen=True, slots=True)
class TaskPage:
    """A task as the page shows it.

    Attributes:
        scores: names of the scores that samples have.
        samples: some of `count`, the worst first.
    """

    report: TaskReport
    scores: Sequence[tuple[str, str]]
    samples: Sequence[EvalSampleView]
    count: int


def render_html(
    record: RunRecord,
    baseline: RunRecord | None = None,
    *,
    samples: int | None = None,
    trace_url: str = "",
    alpha: float = 0.05,
    place: str = "",
) -> str:
    """Renders a run; with a baseline also what changed since.

    Args:
        samples: of each task, the worst first; by default as many as make a page that is soon
            there, however many tasks there are.
        trace_url: address of a trace, with `{trace}` where its id belongs.
        alpha: at which a difference is called one.
        place: where the run's file lies.

    Raises:
        TraceUrlInvalid: `trace_url` is no such address.
        NothingToCompare: the runs have nothing in common.
    """
    check_trace_url(trace_url)
    report = report_of(record)
    room = room_for(samples)
    compared: list[Comparison] = []
    changed: list[TaskChanges] = []
    if baseline is not None:
        compared = compare_runs(baseline, record)
        changed = changes(baseline, record, compared, room=room, text=_TEXT)
    is_many = len(report.tasks) > _COMPARED
    systems = [] if is_many else compare_systems(record)
    style, script = _part("report.css"), _part("report.js")
    return _template().render(
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
        header=record.header,
        arguments=as_json(record.header.arguments),
        report=report,
        baseline=baseline.header if baseline is not None else None,
        charts=_charts(report),
        tasks=_tasks(record, report, room),
        asked=0 if samples is None else samples,
        most_each=MOST_EACH,
        compared=compared,
        comparison_charts=_difference_charts(compared, alpha),
        changed=changed,
        systems=systems,
        sections=sections_of(record, compared=is_many),
        is_many=is_many,
        alpha=alpha,
        place=place,
        trace_link=lambda trace: _trace_link(trace_url, trace),
    )


def check_trace_url(pattern: str) -> None:
    """Checks the pattern of links to traces; empty means that there are none.

    Raises:
        TraceUrlInvalid: it is no http(s) address with `{trace}` in it.
    """
    if not pattern:
        return
    try:
        parts = urlsplit(pattern)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_web = False
    if not is_web or "{trace}" not in pattern:
        raise TraceUrlInvalid(
            f"{pattern[:200]!r} is no address of traces",
            hint="Such as http://localhost:16686/trace/{trace}",
        )


def _trace_link(pattern: str, trace: str) -> str:
    """The address of a trace; empty where there is none."""
    return pattern.replace("{trace}", trace) if pattern and _TRACE.fullmatch(trace) else ""


def _tasks(record: RunRecord, report: RunReport, room: Room) -> list[TaskPage]:
    outcomes = [
        worst_first(outcomes_of(record, number), task.header.measures)
        for number, task in enumerate(report.tasks)
    ]
    shown = room.fill(outcomes, lambda one: sample_view(one, _TEXT))
    return [
        TaskPage(
            task,
            list(dict.fromkeys((one.scores, str(one.better)) for one in task.header.measures)),
            samples,
            len(all_),
        )
        for task, samples, all_ in zip(report.tasks, shown, outcomes, strict=True)
    ]


def _charts(report: RunReport) -> list[tuple[str, Markup, int]]:
    """A chart for each dataset: its measures below each other, the systems within them.

    Returns:
        the dataset, its chart, and how many systems that leaves out.
    """
    panels: dict[str, dict[str, list[Bar]]] = {}
    for task in report.tasks:
        of_set = panels.setdefault(task.header.dataset, {})
        for one in task.measures:
            if one.estimate is not None:
                ends = one.estimate.interval
                bar = Bar(
                    task.header.solver,
                    one.estimate.mean,
                    ends.low if ends else None,
                    ends.high if ends else None,
                    one.measure.unit,
                    n=one.estimate.n,
                )
                title = f"{one.measure.name} {show_better(one.measure.better)}"
                of_set.setdefault(title, []).append(bar)
    return [
        (
            dataset,
            draw(
                [Panel(name, bars[:_BARS]) for name, bars in list(by_measure.items())[:_PANELS]],
                f"Measures of {dataset} with their 95 % intervals",
            ),
            max(0, max(map(len, by_measure.values())) - _BARS),
        )
        for dataset, by_measure in panels.items()
        if by_measure
    ]


def _difference_charts(compared: Sequence[Comparison], alpha: float) -> list[tuple[str, Markup]]:
    """A chart for each pair of systems; each measure has its own scale around 0."""
    tones = {"better": "good", "worse": "bad"}
    by_task: dict[str, list[Panel]] = {}
    for one in compared:
        if not one.wins + one.losses:
            continue
        bar = Bar(
            f"{show_better(one.measure.better)} {one.measure.name}".strip(),
            one.difference,
            one.interval.low if one.interval else None,
            one.interval.high if one.interval else None,
            one.measure.unit,
            tones.get(one.verdict(alpha), ""),
        )
        name = f"{one.dataset}: {one.baseline_system} to {one.candidate_system}"
        by_task.setdefault(name, []).append(Panel("", [bar], signed=True))
    return [
        (name, draw(panels[:_PANELS], f"Differences, {name}")) for name, panels in by_task.items()
    ]


@cache
def _template() -> Template:
    made = Environment(
        loader=PackageLoader("evals.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_seen,
    )
    made.filters |= {"amount": show_amount, "arrow": show_better, "duration": show_duration}
    made.globals["interval"] = show_interval
    return made.get_template("report.html")


def _seen(value: Any) -> Any:
    """What every expression of the template goes through before it is escaped."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _part(name: str) -> str:
    return files("evals.reports").joinpath("templates", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
