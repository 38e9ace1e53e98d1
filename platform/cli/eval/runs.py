"""What every `rostra eval run KIND` shares: its options, the doing with a bar, the printed report.

What always holds: whatever ends a run early, all samples that were done are in its file, and the
command that goes on with it is printed. Results go to stdout, everything else to stderr, and no
text of a document or a model can steer the terminal.
"""

import functools
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from evals import (
    MeasureReport,
    Outcome,
    RunReport,
    Section,
    Task,
    TaskReport,
    open_run,
    read_run,
    report_of,
    run_tasks,
    show_better,
    show_duration,
)
from rostra.cli.eval.text import amount, interval, money, plain, print_mixed, print_sections
from rostra.cli.output import json_option, print_json, print_table
from rostra.core import InvalidRequest, Settings

F = TypeVar("F", bound=Callable[..., Any])

_LINE_EVERY_SECONDS = 10.0
_BAR_EVERY_SECONDS = 0.1
_MOST_REASONS = 8


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What may be said of any run.

    Attributes:
        limit: only the first samples of each dataset.
        seed: of everything that is left to chance.
        parallel: samples at once.
        resume: name of the run to go on with; `out` is the file of a new one.
        cache: whether solved samples are taken from the cache and put there.
        retry_failed: do samples again that failed before.
    """

    limit: int | None = None
    seed: int = 0
    parallel: int = 8
    resume: str | None = None
    out: Path | None = None
    as_json: bool = False
    cache: bool = True
    retry_failed: bool = False

    def __post_init__(self) -> None:
        if self.resume is not None and self.out is not None:
            raise InvalidRequest("--out names the file of a new run, --resume an old one")
        if self.retry_failed and self.resume is None:
            raise InvalidRequest("--retry-failed needs the run: add --resume RUN")


_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--limit", type=click.IntRange(1), help="Only the first samples of each set."),
    click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True),
    click.option(
        "--parallel",
        type=click.IntRange(1, 1024),
        default=8,
        show_default=True,
        help="Samples at once.",
    ),
    click.option("--resume", metavar="RUN", help="Go on with a run."),
    click.option("--retry-failed", is_flag=True, help="With --resume: failed samples once more."),
    click.option(
        "--out",
        type=click.Path(dir_okay=False, path_type=Path),
        help="The run's file; by default in the data directory.",
    ),
    click.option("--no-cache", is_flag=True, help="Solve every sample, also those solved before."),
    json_option,
)
_NAMES = ("limit", "seed", "parallel", "resume", "retry_failed", "out", "as_json")


def run_options(command: F) -> F:
    """Gives a command the options of every run; it gets them as `options`, a `RunOptions`."""

    @functools.wraps(command)
    def with_options(*arguments: Any, **given: Any) -> Any:
        own = {name: given.pop(name) for name in _NAMES}
        options = RunOptions(cache=not given.pop("no_cache"), **own)
        return command(*arguments, options=options, **given)

    decorated: Any = with_options
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    found: F = decorated
    return found


async def execute(
    settings: Settings,
    kind: str,
    tasks: Sequence[Task],
    options: RunOptions,
    *,
    arguments: Mapping[str, Any] | None = None,
) -> RunReport:
    """Does a run, or the rest of one, with a bar on stderr; everything done is in its file.

    Args:
        kind: of the evaluation, as `rostra eval run KIND` has it.
        tasks: cut to `options.limit` here.
        arguments: for the run's log, beside the options.

    Raises:
        EvalRunNotFound, EvalRunConflict, EvalRunBroken: of `options.resume` or `options.out`.
        EvalRunUnwritable: the run's file cannot be written.
        asyncio.CancelledError: after Ctrl-C; how to go on is printed.
    """
    chosen = [replace(task, dataset=task.dataset.limited(options.limit)) for task in tasks]
    with open_run(
        settings,
        kind,
        chosen,
        seed=options.seed,
        resume=options.resume,
        arguments={**_told(options), **(arguments or {})},
        out=options.out,
    ) as opened:
        path = opened.file.path
        watch = _Watch(sum(len(task.dataset.samples) * task.repeats for task in chosen))
        there = opened.file.done
        try:
            with _shown(watch):
                await run_tasks(
                    chosen,
                    opened.file,
                    seed=options.seed,
                    parallel=options.parallel,
                    cache=opened.cache if options.cache else None,
                    retry_failed=options.retry_failed,
                    on_outcome=lambda one: watch(one, there.get(one.place) is one),
                )
        except BaseException:
            click.echo(
                f"{watch.done} of {watch.total} samples are done and kept. To go on:", err=True
            )
            click.echo(f"  {resume_command(kind, path, own=options.out is None)}", err=True)
            raise
    return report_of(read_run(path))


def resume_command(kind: str, path: Path, *, own: bool) -> str:
    """The command line that goes on with a run: this one, with `--resume`.

    Args:
        own: the run lies where runs lie, and goes by its id.
    """
    run = path.stem if own else str(path if path.suffix == ".jsonl" else path.absolute())
    context = click.get_current_context(silent=True)
    if context is None:
        return shlex.join(("rostra", "eval", "run", kind, "--resume", run))
    words = context.command_path.split() if context.parent else ["rostra", "eval", "run", kind]
    for parameter in context.command.params:
        name = parameter.name or ""
        said = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if said and name not in ("resume", "out"):
            words += _words(parameter, context.params.get(name))
    return shlex.join((*words, "--resume", run))


def print_report(
    report: RunReport, *, as_json: bool = False, sections: Sequence[Section] = ()
) -> None:
    """Prints a report: a table for each task, what is wrong below it, what it took; sections."""
    if as_json:
        print_json(report.to_dict())
        return
    for task in report.tasks:
        _print_task(task)
    print_sections(sections)
    print_mixed(report.mixed)
    state = "" if report.is_complete else "  (not complete)"
    click.echo(f"run {plain(report.run)}{state}")


def _print_task(task: TaskReport) -> None:
    repeats = f" x {task.header.repeats}" if task.header.repeats > 1 else ""
    click.echo(f"{plain(task.header.name)}: {task.header.samples:,}{repeats} samples")
    print_table(
        ("measure", "", "value", "95 % interval", "n", "unscored"),
        (
            (
                plain(one.measure.name),
                show_better(one.measure.better),
                *_numbers(one),
                sum(one.unscored.values()) or "",
            )
            for one in task.measures
        ),
    )
    for line in _remarks(task):
        click.echo(f"  {line}")
    click.echo()


def _numbers(one: MeasureReport) -> tuple[str, str, int]:
    """Value, interval and number of samples."""
    unit, found = one.measure.unit, one.estimate
    if found is None:
        return "-", "-", 0
    told = "-"
    if found.interval is not None:
        told = interval(found.interval.low, found.interval.high, unit)
    return amount(found.mean, unit), told, found.n


def _remarks(task: TaskReport) -> Iterator[str]:
    """What went wrong, and what it took."""
    expected = task.header.samples * task.header.repeats
    if task.done < expected:
        yield f"not done: {expected - task.done:,} of {expected:,}"
    for reason, count in _first(task.failed):
        yield f"failed: {count:,} of {expected:,}: {plain(reason)}"
    unscored: dict[str, int] = {}
    for one in task.measures:
        # Several measures may read the same scores; what is told is of how many at most.
        for reason, count in one.unscored.items():
            unscored[reason] = max(count, unscored.get(reason, 0))
    for reason, count in _first(unscored):
        yield f"unscored: {count:,}: {plain(reason)}"
    yield from left_out(task)
    for name, usage in (("model", task.usage), ("judging", task.judging)):
        if usage.prompt_tokens or usage.completion_tokens or usage.cost:
            about = "about " if usage.estimated else ""
            yield (
                f"{name}: {about}{usage.prompt_tokens:,} tokens read, "
                f"{usage.completion_tokens:,} written{money(usage.cost)}"
            )
    median, slow = task.seconds
    if median is not None and slow is not None:
        usual, rare = show_duration(median), show_duration(slow)
        yield f"time: {usual} a sample (median), {rare} (95th percentile)"
    if task.cached:
        yield f"from the cache: {task.cached:,}"


def left_out(task: TaskReport) -> Iterator[str]:
    """Records of a set that could not be used, by reason, in words."""
    for problem in task.header.problems[:_MOST_REASONS]:
        places = f" ({plain(', '.join(problem.examples))})" if problem.examples else ""
        yield f"left out: {problem.count:,}: {plain(problem.reason)}{places}"
    if rest := task.header.problems[_MOST_REASONS:]:
        count = sum(problem.count for problem in rest)
        yield f"left out: {count:,}: {len(rest)} other reasons, which --json has"


def _first(reasons: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """The most frequent reasons; the others as one."""
    ordered = sorted(reasons.items(), key=lambda one: -one[1])
    yield from ordered[:_MOST_REASONS]
    if rest := ordered[_MOST_REASONS:]:
        yield f"{len(rest)} other reasons", sum(count for _, count in rest)


def _told(options: RunOptions) -> dict[str, Any]:
    """The options that results may depend on, and the command's own, as a run's log has them."""
    told = asdict(options)
    context = click.get_current_context(silent=True)
    own = {} if context is None else context.params
    given = {name: told[name] for name in ("limit", "seed", "parallel")} | {
        name: value if isinstance(value, bool | int | float) else str(value)
        for name, value in own.items()
        if name not in told and name != "no_cache" and value not in (None, (), "")
    }
    return {name: value for name, value in given.items() if value is not None}


def _words(parameter: click.Parameter, value: Any) -> list[str]:
    """A parameter as it is written on a command line."""
    values = list(value) if parameter.multiple or parameter.nargs != 1 else [value]
    if not isinstance(parameter, click.Option):
        return [str(one) for one in values]
    name = max(parameter.opts, key=len)
    if parameter.is_flag:
        return [name] if value else list(parameter.secondary_opts[:1])
    if parameter.count:
        return [name] * int(value)
    if parameter.multiple and parameter.nargs == 1:
        return [word for one in values for word in (name, str(one))]
    return [name, *(str(one) for one in values)]


class _Watch:
    """Counts outcomes, and has the counts shown now and then.

    Attributes:
        before: of those done, how many were in the file already.
        show: given the watch, at most once in `every` seconds.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = self.before = self.failed = self.unscored = 0
        self.began = self._last = time.monotonic()
        self.every = _LINE_EVERY_SECONDS
        self.show: Callable[[_Watch], None] = _line

    def __call__(self, outcome: Outcome, was_there: bool) -> None:
        self.done += 1
        self.before += was_there
        self.failed += bool(outcome.failed)
        self.unscored += any(score.value is None for score in outcome.scores)
        now = time.monotonic()
        if now - self._last >= self.every:
            self._last = now
            self.show(self)

    @property
    def trouble(self) -> str:
        """Counts of what went wrong."""
        told = [(self.failed, "failed"), (self.unscored, "unscored")]
        return ", ".join(f"{count:,} {word}" for count, word in told if count)


@contextmanager
def _shown(watch: _Watch) -> Iterator[None]:
    """Shows a watch while the block runs: as a bar, or a line now and then."""
    if not sys.stderr.isatty():
        yield
        return
    bar = Bar(
        TextColumn("samples"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[trouble]}", style="yellow"),
        TextColumn("left:"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("samples", total=watch.total, start=False, trouble="")
        taken = -1

        def show(now: _Watch) -> None:
            nonlocal taken
            if now.before != taken:
                # What a resumed run had done already says nothing about how long the rest takes.
                taken = now.before
                bar.reset(task, start=True, total=now.total, completed=now.before)
            bar.update(task, completed=now.done, trouble=now.trouble)

        watch.show, watch.every = show, _BAR_EVERY_SECONDS
        yield


def _line(watch: _Watch) -> None:
    fresh, elapsed = watch.done - watch.before, time.monotonic() - watch.began
    line = f"{watch.done:,} of {watch.total:,} samples"
    if watch.trouble:
        line += f", {watch.trouble}"
    if fresh:
        line += f", about {(watch.total - watch.done) * elapsed / fresh:.0f} s left"
    click.echo(line, err=True)
