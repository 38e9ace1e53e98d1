"""What commands share that hold systems against each other on the same samples."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from evals import find_run
from rostra.cli.eval.runs import RunOptions
from rostra.cli.eval.text import amount, interval, plain, print_mixed
from rostra.cli.output import print_table
from rostra.core import Settings

data_option = click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the set, or of several.",
)


def run_file(settings: Settings, options: RunOptions, run: str) -> Path:
    """Where the file of a run lies that was just done."""
    return options.out or find_run(settings, options.resume or run)


def print_comparisons(
    compared: Sequence[dict[str, Any]], adjusted: Sequence[dict[str, Any]]
) -> None:
    """Prints systems beside each other: what the second is better by, and how sure that is.

    Args:
        adjusted: all comparisons of the run, `compared` among them.
    """
    print_table(
        ("set", "systems", "measure", "difference", "95 % interval", "p (Holm)", "wins", "losses",
         "ties", "verdict"),
        (
            (
                one["dataset"],
                f"{one['candidate_system']} - {one['baseline_system']}",
                one["measure"],
                amount(one["difference"], one["unit"], signed=True),
                interval(one["low"], one["high"], one["unit"], signed=True),
                "-" if one["p_holm"] is None else f"{one['p_holm']:.4f}",
                one["wins"],
                one["losses"],
                one["ties"],
                one["verdict"],
            )
            for one in compared
        ),
    )  # fmt: skip
    # As `evals.compare.adjusted` has it: chance cannot make those small in which nothing differs.
    counted = sum(
        1 for one in adjusted if one["p_holm"] is not None and one["wins"] + one["losses"]
    )
    click.echo(
        "  difference: the system named first minus the other; p-values are of a paired "
        f"randomisation test, adjusted after Holm for {counted} comparisons"
    )
    if len(compared) < len(adjusted):
        click.echo("  `rostra eval compare RUN` has every measure of every two systems")


def print_troubles(told: Mapping[str, Any]) -> None:
    """Says what failed, what could not be scored, what of a set could not be used, what is mixed.

    Args:
        told: a report as JSON has it.
    """
    print_mixed(told["mixed"])
    said: set[str] = set()
    for task in told["tasks"]:
        name = plain(f"{task['dataset']}/{task['system']}")
        for reason, count in task["failed_for"].items():
            click.echo(f"  {name}: {count} of {task['done']} failed: {plain(reason)}")
        for one in task["measures"]:
            for reason, count in one["unscored_for"].items():
                click.echo(f"  {name}: {one['measure']}: {count} unscored: {plain(reason)}")
        for one in task["problems"]:
            places = f" ({', '.join(one['examples'])})" if one["examples"] else ""
            line = plain(f"{task['dataset']}: {one['count']}: {one['reason']}{places}")
            if line not in said:
                said.add(line)
                click.echo(f"  {line}")
