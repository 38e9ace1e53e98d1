"""`rostra eval run evidence`: ways to choose what is quoted, side by side."""

import asyncio
from pathlib import Path

import click

from evals import (
    LEFT_OUT,
    QUOTING,
    RagReport,
    evidence_tasks,
    open_workspace,
    read_rag_set,
    read_run,
    report_rag,
)
from rostra.cli.bars import advance, bar
from rostra.cli.eval.rag import print_rag
from rostra.cli.eval.runs import RunOptions, execute, run_options
from rostra.cli.eval.systems import data_option, run_file
from rostra.cli.output import print_json, settings_of_process


@click.command("evidence")
@data_option
@click.option(
    "--system",
    "systems",
    multiple=True,
    type=click.Choice(QUOTING),
    help="Only this one; may be given several times.  [default: all that can be had]",
)
@run_options
def evidence(data: Path, systems: tuple[str, ...], options: RunOptions) -> None:
    """Who chooses best what is quoted: similarity, the scorer, or a decoder that reads?

    A set is one of those that `rag` takes. All systems read the same passages. `quote-similarity`
    and `quote-scorer` need no decoder; `reader-point` names numbers of sentences, `reader-copy`
    copies under a grammar. What is not there is left out, and the report says so. The first system
    is what the others are compared with.
    """
    settings = settings_of_process()
    questions = read_rag_set(data, settings)

    async def work() -> RagReport:
        async with open_workspace(settings) as runtime:
            with bar() as shown:
                ingest = shown.add_task("ingest", total=None)
                made = await evidence_tasks(
                    runtime,
                    questions,
                    systems,
                    on_ingest=lambda progress: advance(shown, ingest, progress),
                )
            told = {LEFT_OUT: made.left_out}
            report = await execute(settings, "evidence", made.tasks, options, arguments=told)
            record = read_run(run_file(settings, options, report.run))
            return report_rag(record, seed=options.seed)

    told = asyncio.run(work()).to_dict()
    if options.as_json:
        print_json(told)
        return
    print_rag(told, baseline=told["results"][0]["system"])
