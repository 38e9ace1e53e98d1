"""`rostra eval run react`: runs of an agent over pages, with the model that users would have."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from evals import ReactReport, evaluate_react, open_workspace, read_rag_set
from rostra.cli.bars import advance, bar
from rostra.cli.eval.agents import Doing
from rostra.cli.eval.runs import RunOptions, run_options
from rostra.cli.output import settings_of_process


@click.command("react")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="A set of questions with their pages, as `eval run rag` takes it.",
)
@click.option("--runs", type=click.IntRange(1, 100_000), default=100, show_default=True)
@run_options
def react(data: Path, runs: int, options: RunOptions) -> None:
    """ReAct runs over pages: supported answers, right abstentions, steps, invalid steps.

    With the model that is set, else with the reader that ships. About two of three runs are about
    questions that the pages answer, the others about questions that they do not, or sums. Exits
    with 1 where a step was invalid or a prompt too long. One run after the other, unless --parallel
    says more: tokens a second are of one alone.
    """
    source = click.get_current_context().get_parameter_source("parallel")
    if source is ParameterSource.DEFAULT:
        options = replace(options, parallel=1)
    settings = settings_of_process()
    questions = read_rag_set(data, settings)
    doing = Doing(settings, "react", options, {"data": str(data), "runs": runs})

    async def work() -> ReactReport:
        async with open_workspace(settings) as runtime:
            with bar() as shown:
                ingest = shown.add_task("ingest", total=None)

                async def executing(tasks: Any) -> Any:
                    shown.stop()  # The run has a bar of its own.
                    return await doing(tasks)

                return await evaluate_react(
                    runtime,
                    questions,
                    runs=runs,
                    seed=options.seed,
                    on_ingest=lambda progress: advance(shown, ingest, progress),
                    execute=executing,
                )

    report = asyncio.run(work())
    if options.as_json:
        doing.print_json({"react": report.to_dict()})
    else:
        doing.print_report()
        click.echo(
            f"{report.runs} runs with {report.model}: {report.invalid} invalid steps, "
            f"{report.too_long} prompts too long, {report.failed} failed, "
            f"{report.tokens_per_second:g} tokens a second"
        )
    if report.invalid or report.too_long:
        raise click.exceptions.Exit(1)
