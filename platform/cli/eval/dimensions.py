"""`rostra eval run dimensions`: what truncated vectors keep of full width, on judged sets."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from evals import (
    DIMENSIONS,
    SHORTLIST,
    DimensionsReport,
    Task,
    dimension_tasks,
    find_sets,
    judged_vectors,
    open_workspace,
    read_judged_set,
    read_run,
)
from rostra.cli.bars import advance, bar, show
from rostra.cli.eval.runs import RunOptions, execute, run_options
from rostra.cli.eval.systems import data_option, print_troubles, run_file
from rostra.cli.output import print_json, print_table, settings_of_process
from rostra.ingest import Progress


@click.command("dimensions")
@data_option
@click.option(
    "--dimension",
    "dimensions",
    multiple=True,
    type=click.IntRange(1, 8192),
    help="Truncate to so many; may be given several times.  "
    f"[default: {', '.join(map(str, DIMENSIONS))}]",
)
@click.option(
    "--shortlist",
    type=click.IntRange(1, 10_000),
    default=SHORTLIST,
    show_default=True,
    help="Chunks that two-stage search rescores at full width.",
)
@click.option("--fit", is_flag=True, help="Also with a rotation fitted on each set's documents.")
@run_options
def dimensions(
    data: Path, dimensions: tuple[int, ...], shortlist: int, fit: bool, options: RunOptions
) -> None:
    """nDCG of truncated and of two-stage search by vectors, as shares of full width.

    A set is a folder with corpus.jsonl, queries.jsonl and qrels.tsv (BEIR's layout). With the
    model's own vectors, and with the rotation of the settings, by default the one that ships.
    Intervals are of 95 %; the vectors of documents are kept for the next run.
    """
    settings = settings_of_process()
    sets = [read_judged_set(folder) for folder in find_sets(data)]
    wanted = tuple(sorted(set(dimensions))) or DIMENSIONS

    async def work() -> DimensionsReport:
        async with open_workspace(settings) as runtime:
            tasks: list[Task] = []
            with bar() as shown:
                for judged in sets:
                    ingest = shown.add_task(f"{judged.name}: ingest", total=None)
                    embed = shown.add_task(f"{judged.name}: embed queries", total=None)

                    def on_ingest(progress: Progress, task: Any = ingest) -> None:
                        advance(shown, task, progress)

                    def on_query(done: int, total: int, task: Any = embed) -> None:
                        show(shown, task, done, total)

                    found = await judged_vectors(
                        runtime, judged, fit=fit, on_ingest=on_ingest, on_query=on_query
                    )
                    tasks += dimension_tasks(found, dimensions=wanted, shortlist=shortlist)
            given = {"dimensions": list(wanted), "shortlist": shortlist, "fit": fit}
            report = await execute(settings, "dimensions", tasks, options, arguments=given)
            record = read_run(run_file(settings, options, report.run))
            return DimensionsReport(record, options.seed)

    told = asyncio.run(work()).to_dict()
    if options.as_json:
        print_json(told)
        return
    _print(told)
    print_troubles(told)
    click.echo(f"run {told['run']}")


def _print(told: Mapping[str, Any]) -> None:
    measure = told["measure"]
    print_table(
        (
            "set",
            "search",
            "dimensions",
            "vectors",
            measure,
            "95 % interval",
            "kept",
            "95 % interval",
        ),
        (
            (
                row["dataset"],
                row["way"],
                row["dimensions"],
                row["vectors"],
                "-" if row[measure] is None else f"{row[measure]:.4f}",
                _interval(row["intervals"][measure], 1, 3),
                "-" if row["retained"] is None else f"{100 * row['retained']:.1f} %",
                _interval(row["intervals"]["retained"], 100, 1),
            )
            for row in sorted(told["results"], key=_order)
        ),
    )
    click.echo("  kept: the share of full width's mean over the same queries")


def _order(row: Mapping[str, Any]) -> tuple[Any, ...]:
    ways = ("full", "two-stage", "truncated")
    return row["dataset"], ways.index(row["way"]), row["vectors"], row["dimensions"]


def _interval(interval: list[float] | None, scale: float, digits: int) -> str:
    if interval is None:
        return "-"
    low, high = (f"{scale * one:.{digits}f}" for one in interval)
    return f"{low} to {high}"
