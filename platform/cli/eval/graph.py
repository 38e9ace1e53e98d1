"""`rostra eval run graph`: questions that take two pages, with and without the graph."""

import asyncio
from pathlib import Path
from typing import Any

import click

from evals import (
    TwoHopReport,
    open_workspace,
    read_questions,
    read_run,
    report_two_hop,
    two_hop_tasks,
)
from rostra.cli.bars import advance, bar
from rostra.cli.eval.runs import RunOptions, execute, run_options
from rostra.cli.eval.systems import print_comparisons, print_troubles, run_file
from rostra.cli.output import print_json, print_table, settings_of_process
from rostra.ingest import Progress

_SHOWN = "both@10"


@click.command("graph")
@click.option(
    "--docs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A folder of HTML pages; by default those of the packages postgresql-doc-15 and "
    "python3.11-doc. Can be repeated.",
)
@click.option(
    "--questions",
    type=click.Path(path_type=Path),
    help="Questions of your own: JSON lines of id, question and evidence, two pieces of page and "
    "quote each.",
)
@click.option(
    "--distractors",
    type=click.IntRange(0),
    help="Only so many pages beside those that the questions take.",
)
@run_options
def graph(
    docs: tuple[Path, ...], questions: Path | None, distractors: int | None, options: RunOptions
) -> None:
    """Recall of both pages that a question takes, by plain search and with the graph.

    The pages stay in the data directory, under `evals/`, and are not read again the next time.
    """
    settings = settings_of_process()
    asked = read_questions(questions) if questions is not None else read_questions()

    async def work() -> TwoHopReport:
        async with open_workspace(settings) as runtime:
            with bar() as shown:
                ingest = shown.add_task("ingest", total=None)

                def on_ingest(progress: Progress) -> None:
                    advance(shown, ingest, progress)

                tasks = await two_hop_tasks(
                    runtime,
                    asked,
                    *([docs] if docs else []),
                    distractors=distractors,
                    on_ingest=on_ingest,
                    on_build=lambda stage: shown.update(ingest, description=f"graph: {stage}"),
                )
            given = {"docs": [str(folder) for folder in docs], "distractors": distractors}
            report = await execute(settings, "graph", tasks, options, arguments=given)
            record = read_run(run_file(settings, options, report.run))
            return report_two_hop(record, seed=options.seed)

    told = asyncio.run(work()).to_dict()
    if options.as_json:
        print_json(told)
        return
    names = list(told["results"][0]["intervals"])
    print_table(
        ("system", *names, "questions"),
        (
            (row["system"], *(_value(row, name) for name in names), row["questions"])
            for row in told["results"]
        ),
    )
    compared = [one for one in told["comparisons"] if one["measure"] in (_SHOWN, "failed")]
    if compared:
        click.echo()
        print_comparisons(compared, told["comparisons"])
    print_troubles(told)
    click.echo(f"run {told['run']}")


def _value(row: dict[str, Any], name: str) -> str:
    if row[name] is None:
        return "-"
    interval = row["intervals"][name]
    around = f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else ""
    return f"{row[name]:.3f}{around}"
