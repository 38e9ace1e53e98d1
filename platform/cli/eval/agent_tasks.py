"""`rostra eval run agent-tasks`: agents on tasks of one's own."""

import asyncio
from pathlib import Path
from typing import Any

import click

from evals import evaluate_agent_tasks
from rostra.agents import STRATEGIES
from rostra.cli.eval.agents import Doing
from rostra.cli.eval.runs import RunOptions, run_options
from rostra.cli.output import print_table, settings_of_process
from rostra.runtime import open_runtime


@click.command("agent-tasks")
@click.option(
    "--data",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="JSON lines, a task each.",
)
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    type=click.Choice(STRATEGIES),
    help="react, unless this says more; may be given several times.",
)
@click.option(
    "--repeats",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="Attempts at each task, for pass@k and pass^k.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(0, 10),
    default=0.0,
    show_default=True,
    help="Of the model; with 0 all attempts are alike.",
)
@run_options
def agent_tasks(
    data: Path,
    strategies: tuple[str, ...],
    repeats: int,
    temperature: float,
    options: RunOptions,
) -> None:
    """Tasks of your own: are they done, by which calls, at what cost?

    Agents have your model, and of your tools those that a task names. What changes something is
    only called if the task approves it.
    """
    settings = settings_of_process()
    told = {"data": str(data), "repeats": repeats, "temperature": temperature}
    doing = Doing(settings, "agent-tasks", options, told)

    async def work() -> dict[str, Any]:
        async with open_runtime(settings) as runtime:
            report = await evaluate_agent_tasks(
                data,
                runtime.workshop.open,
                budget=runtime.workshop.budget,
                strategies=strategies or ("react",),
                repeats=repeats,
                temperature=temperature,
                execute=doing,
            )
        return report.to_dict()

    report = asyncio.run(work())
    if options.as_json:
        doing.print_json(report)
        return
    if repeats > 1:
        print_table(
            ("strategy", "k", "tasks", "pass@k", "pass^k"),
            (
                (
                    row["system"],
                    row["k"],
                    row["samples"],
                    f"{row['pass@k']:.4f}",
                    f"{row['pass^k']:.4f}",
                )
                for row in report["passes"]
            ),
        )
    doing.print_report()
