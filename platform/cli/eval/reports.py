"""`rostra eval list`, `show`, `report`, `baseline`, `power`, `delete`, `prune`: runs kept."""

from dataclasses import replace
from pathlib import Path

import click

from evals import (
    PowerPlan,
    RunRecord,
    Spread,
    baseline_of,
    check_trace_url,
    delete_run,
    find_measure,
    find_run,
    list_summaries,
    paired_spread,
    plan_power,
    read_run,
    render_html,
    report_of,
    run_junit,
    run_report,
    sample_page,
    sections_of,
    spread_of,
)
from rostra.cli.eval.runs import print_report
from rostra.cli.eval.text import amount, plain
from rostra.cli.files import write_text
from rostra.cli.output import json_option, offset_option, print_json, print_table
from rostra.cli.output import settings_of_process as settings
from rostra.core import InvalidRequest

_SHOWN = 200  # characters of a text in a list


@click.command("list")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000))
@offset_option
@click.option("--kind", default="", help="Only runs of this evaluation.")
@json_option
def list_(limit: int, offset: int, kind: str, as_json: bool) -> None:
    """List runs, newest first."""
    items, total = list_summaries(settings(), limit=limit, offset=offset, kind=kind)
    if as_json:
        print_json({"items": items, "total": total})
        return
    print_table(
        ("run", "kind", "tasks", "samples", "done", "state"),
        (
            (
                plain(item.id),
                plain(item.kind),
                _tasks(item.tasks, item.task_count),
                item.samples,
                item.done,
                item.problem or ("complete" if item.complete else "not complete"),
            )
            for item in items
        ),
    )
    if total > offset + len(items):
        click.echo(f"{len(items)} of {total}; --limit and --offset show the others", err=True)


@click.command("show")
@click.argument("run")
@click.option("--task", default="", help="Only this task, DATASET/SYSTEM.")
@click.option(
    "--samples",
    type=click.IntRange(0, 1000),
    default=0,
    help="Also so many samples of each task, the worst first.",
)
@json_option
def show(run: str, task: str, samples: int, as_json: bool) -> None:
    """Print a run's report. RUN is an id, the beginning of one, latest, latest:KIND or a file."""
    record = read_run(find_run(settings(), run))
    report = report_of(record)
    sections = () if task else sections_of(record)
    numbers = list(range(len(report.tasks)))
    if task:
        numbers = [find_task(record, task)]
        report = replace(report, tasks=(report.tasks[numbers[0]],))
    pages = [sample_page(record, one, limit=samples, order="worst") for one in numbers if samples]
    if as_json:
        told = report.to_dict()
        for one, page in zip(told["tasks"], pages, strict=False):
            one["worst"] = page.items
        told["sections"] = [one.to_dict() for one in sections]
        print_json(told)
        return
    print_report(report, sections=sections)
    for one, page in zip(report.tasks, pages, strict=False):
        click.echo(f"\n{plain(one.header.name)}: {len(page.items)} of {page.total}, worst first")
        print_table(
            ("sample", "scores", "input", "output"),
            (
                (
                    plain(item.id, 60),
                    f"failed: {plain(item.failed)}"
                    if item.failed
                    else ", ".join(
                        f"{plain(score.name)} {amount(score.value, '')}" for score in item.scores
                    ),
                    plain(item.input, _SHOWN),
                    plain(item.output, _SHOWN),
                )
                for item in page.items
            ),
        )


@click.command("report")
@click.argument("run")
@click.argument("baseline", required=False)
@click.option("--html", "page", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--json", "data", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--samples",
    type=click.IntRange(0, 10_000),
    help="Most samples of a task in the page, the worst first.  [default: 100, and 300 of all]",
)
@click.option(
    "--trace-url",
    default="",
    metavar="URL",
    help="Where traces are shown, with {trace} for the id.",
)
def report(
    run: str,
    baseline: str | None,
    page: Path | None,
    junit: Path | None,
    data: Path | None,
    samples: int | None,
    trace_url: str,
) -> None:
    """Write a run's report: one HTML file, JUnit XML, JSON; with BASELINE also what changed."""
    if page is None and junit is None and data is None:
        raise click.UsageError("name at least one file: --html, --junit or --json")
    check_trace_url(trace_url)
    path = find_run(settings(), run)
    record = read_run(path)
    before = read_run(find_run(settings(), baseline)) if baseline is not None else None
    if page is not None:
        html = render_html(record, before, samples=samples, trace_url=trace_url, place=str(path))
        write_text(page, html)
    if junit is not None:
        write_text(junit, run_junit(record))
    if data is not None:
        write_text(data, run_report(record, before))
    for file in (page, junit, data):
        if file is not None:
            click.echo(str(file))


@click.command("baseline")
@click.argument("run")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def baseline(run: str, file: Path) -> None:
    """Write RUN to FILE as a baseline: its samples and scores, without what was said and found."""
    source = find_run(settings(), run)
    if file.exists() and file.samefile(source):
        raise click.BadParameter("a run is not replaced by its own baseline", param_hint="FILE")
    write_text(file, baseline_of(read_run(source)))
    click.echo(str(file))


@click.command("power")
@click.argument("run", required=False)
@click.argument("other", required=False)
@click.option("--task", default="", help="DATASET/SYSTEM; by default the run's first.")
@click.option("--measure", default="", help="By default the task's first.")
@click.option(
    "--difference",
    type=float,
    default=0.02,
    show_default=True,
    help="To be seen, in the measure's unit; 0.02 of a share are two points.",
)
@click.option("--deviation", type=float, help="Standard deviation, instead of a run.")
@click.option("--share", type=click.FloatRange(0, 1), help="Share of right answers, instead.")
@click.option("--correlation", type=click.FloatRange(-1, 1), help="Of two systems' values.")
@click.option("--power", type=float, default=0.8, show_default=True)
@click.option("--alpha", type=float, default=0.05, show_default=True)
@json_option
def power(
    run: str | None,
    other: str | None,
    task: str,
    measure: str,
    difference: float,
    deviation: float | None,
    share: float | None,
    correlation: float | None,
    power: float,
    alpha: float,
    as_json: bool,
) -> None:
    """Say how many samples show a difference: after a run, two runs, or numbers alone.

    With two runs, how alike the systems' values are is seen; otherwise it is assumed.
    """
    given = sum(one is not None for one in (run, deviation, share))
    if given != 1:
        raise click.UsageError("give one of RUN, --deviation and --share")
    if deviation == 0 or share in (0, 1):
        raise click.UsageError("where nothing varies there is nothing to plan")
    apart: Spread | None = None
    if run is not None:
        record = read_run(find_run(settings(), run))
        number, found = find_measure(record, measure, task)
        if other is None:
            spread = spread_of(record, number, found)
        else:
            second = read_run(find_run(settings(), other))
            wanted = record.header.tasks[number].name if len(second.header.tasks) > 1 else ""
            at, _ = find_measure(second, found.name, wanted)
            spread, apart = paired_spread((record, number), (second, at), found)
    else:
        spread = Spread(deviation if deviation is not None else _deviation(share or 0.0))
    plan = plan_power(
        difference, spread, paired=apart, correlation=correlation, alpha=alpha, power=power
    )
    if as_json:
        print_json(plan.to_dict())
    else:
        _print_plan(plan)


@click.command("delete")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@json_option
def delete(runs: tuple[str, ...], as_json: bool) -> None:
    """Delete runs."""
    paths = [find_run(settings(), run) for run in runs]
    for path in paths:
        delete_run(path)
    _deleted([path.stem for path in paths], as_json=as_json)


@click.command("prune")
@click.option("--keep", type=click.IntRange(0), required=True, help="So many of the newest stay.")
@click.option("--kind", default="", help="Only runs of this evaluation.")
@json_option
def prune(keep: int, kind: str, as_json: bool) -> None:
    """Delete all but the newest runs; of a file that is no run nothing is touched."""
    items, _ = list_summaries(settings(), limit=10_000, offset=keep, kind=kind)
    gone = [item.id for item in items if not item.problem]
    for run in gone:
        delete_run(find_run(settings(), run))
    _deleted(gone, as_json=as_json)


def find_task(record: RunRecord, name: str) -> int:
    """The place of a task in a run."""
    names = [task.name for task in record.header.tasks]
    if name not in names:
        told = ", ".join(plain(one) for one in names[:20])
        raise InvalidRequest(f"run {record.header.id} has no task {name!r}", hint=f"It has {told}")
    return names.index(name)


def _tasks(names: list[str], count: int) -> str:
    told = ", ".join(plain(name, 60) for name in names[:3])
    return told if count <= 3 else f"{told} and {count - 3} more"


def _deviation(share: float) -> float:
    """Of yes and no."""
    found: float = (share * (1 - share)) ** 0.5
    return found


def _deleted(runs: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"deleted": runs})
    else:
        click.echo(f"{len(runs)} deleted")


def _print_plan(plan: PowerPlan) -> None:
    spread = plan.spread
    click.echo(
        f"to see a difference of {plan.difference:g} with a chance of {plan.power:g} "
        f"(alpha {plan.alpha:g}, standard deviation {spread.deviation:.4f}"
        + (
            f", clusters of {spread.cluster_size} that correlate by {spread.intra_cluster:.2f})"
            if spread.cluster_size > 1
            else ")"
        )
    )
    rows = []
    for row in plan.rows:
        how = "each system its own samples"
        if row.correlation is not None:
            seen = "seen" if row.measured else "assumed"
            how = f"the same samples, correlation {row.correlation:.2f} ({seen})"
        needed = f"{row.samples:,}" if row.samples is not None else "too many to say"
        now = f"{100 * row.power:.0f} %" if row.power is not None else "-"
        least = f"{row.detectable:.4f}" if row.detectable is not None else "-"
        rows.append((how, needed, now, least))
    have = f"{spread.samples:,} now: " if spread.samples else ""
    print_table(("compared on", "samples needed", f"{have}chance", "least difference"), rows)
