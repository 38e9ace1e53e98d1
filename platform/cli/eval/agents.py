"""`rostra eval run tools|agents|random-agents|injection|agent-retrieval`: agents measured.

What always holds: what a command printed as JSON before it had a run is printed under the same
keys; the run and its report stand beside them.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from evals import (
    RandomReport,
    RunRecord,
    RunReport,
    Task,
    ask_for_calls,
    compare_strategies,
    evaluate_agent_retrieval,
    find_run,
    open_workspace,
    random_engine,
    random_runs,
    read_attacks,
    read_mails,
    read_outputs,
    read_run,
    read_tool_set,
    score_outputs,
    try_injections,
    try_scorer,
)
from rostra.agents import STRATEGIES
from rostra.cli.bars import advance, bar, show
from rostra.cli.eval.runs import RunOptions, execute, left_out, print_report, run_options
from rostra.cli.eval.text import plain
from rostra.cli.output import json_option, print_json, print_table, settings_of_process
from rostra.core import ConfigError, Settings

data_option = click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the set.",
)
strategies_option = click.option(
    "--strategy",
    "strategies",
    multiple=True,
    type=click.Choice(STRATEGIES),
    help="Only this one; may be given several times.",
)


class Doing:
    """Does the tasks of one evaluation as a run that is kept, and has its report afterwards.

    Args:
        kind: of the evaluation.
        arguments: for the run's log.
    """

    def __init__(
        self, settings: Settings, kind: str, options: RunOptions, arguments: Mapping[str, Any]
    ) -> None:
        self._settings = settings
        self._kind = kind
        self._options = options
        self._arguments = arguments
        self._report: RunReport | None = None

    async def __call__(self, tasks: Sequence[Task]) -> RunRecord:
        options = self._options
        report = await execute(
            self._settings, self._kind, tasks, options, arguments=self._arguments
        )
        self._report = report
        path = options.out
        if path is None:
            path = find_run(self._settings, options.resume or report.run)
        return read_run(path)

    def print_json(self, rows: Mapping[str, Any]) -> None:
        """Prints an evaluation's own rows, and the run's report beside them."""
        told = self._report.to_dict() if self._report is not None else {}
        print_json({**rows, **told})

    def print_report(self) -> None:
        """Prints the run's report."""
        if self._report is not None:
            click.echo()
            print_report(self._report)

    def print_problems(self) -> None:
        """Prints what of the sets could not be used."""
        for task in self._report.tasks if self._report is not None else ():
            for line in left_out(task):
                click.echo(f"  {plain(task.header.dataset)}: {line}")

    def print_run(self) -> None:
        """Prints the name of the run."""
        if self._report is not None:
            click.echo(f"run {self._report.run}")


@click.command("tools")
@data_option
@click.option(
    "--outputs",
    type=click.Path(path_type=Path),
    help='A model\'s outputs, one {"id": ..., "output": ...} a line.',
)
@click.option("--ask", is_flag=True, help="Ask the model that is set, and score its outputs.")
@run_options
def tools(data: Path, outputs: Path | None, ask: bool, options: RunOptions) -> None:
    """Tool calls judged by their syntax tree; without a model, the judge itself.

    A folder in the layout of the Berkeley Function Calling Leaderboard. Without --outputs and --ask
    the gold calls have to score 100 % and each class of wrong calls 0 %. A line that cannot be used
    is counted with its place: one of the set is no task, and a task without an output is wrong.
    """
    if outputs is not None and ask:
        raise click.UsageError("--outputs and --ask are two ways to have outputs")
    found, settings = read_tool_set(data), settings_of_process()
    tasks, problems = found.tasks, found.problems
    said = read_outputs(outputs, tasks) if outputs is not None else None
    told = {"data": str(data), "outputs": str(outputs) if outputs is not None else None, "ask": ask}
    doing = Doing(settings, "tools", options, told)
    if said is None and not ask:
        tried = asyncio.run(try_scorer(tasks, problems=problems, execute=doing))
        _print_scorer(tried.to_dict(), doing, options)
        return

    async def work() -> list[dict[str, Any]]:
        if said is not None:
            both = {
                name: (*problems.get(name, ()), *said.problems.get(name, ()))
                for name in (*problems, *said.problems)
            }
            scored = await score_outputs(tasks, said.outputs, problems=both, execute=doing)
            return [row.to_dict() for row in scored]
        async with open_workspace(settings) as runtime:
            if runtime.generator is None:
                raise ConfigError("there is no model to ask", hint="Set ROSTRA_MODEL.")
            rows = await ask_for_calls(runtime.generator, tasks, problems=problems, execute=doing)
            return [row.to_dict() for row in rows]

    rows = asyncio.run(work())
    if options.as_json:
        doing.print_json({"results": rows})
        return
    print_table(
        ("category", "tasks", "right", "accuracy", "wrong for"),
        (
            (
                row["category"],
                row["tasks"],
                row["right"],
                f"{row['accuracy']:.4f}",
                ", ".join(f"{why} {count}" for why, count in row["wrong_for"].items()),
            )
            for row in rows
        ),
    )
    doing.print_report()


def _print_scorer(report: dict[str, Any], doing: Doing, options: RunOptions) -> None:
    if options.as_json:
        doing.print_json(report)
    else:
        rows = [
            (f"gold: {row['category']}", row["tasks"], row["texts"], _share(row["right"], row))
            for row in report["gold"]
        ]
        rows += [
            (f"wrong: {row['class']}", "", row["texts"], _share(row["accepted"], row))
            for row in report["mutants"]
        ]
        print_table(("answers", "tasks", "texts", "accepted"), rows)
        doing.print_problems()
        doing.print_run()
    if report["wrong"]:
        raise click.exceptions.Exit(1)


def _share(count: int, row: dict[str, Any]) -> str:
    return f"{100 * count / row['texts']:.2f} %" if row["texts"] else "-"


@click.command("agents")
@run_options
def agents(options: RunOptions) -> None:
    """ReAct, Plan-and-Execute and ReWOO on the same twenty scripted tasks.

    Tasks of 2 to 8 calls with observations of 300 tokens; the ratio of tokens by length beside its
    closed form. One run after the other, unless --parallel says more: times are of one alone.
    """
    source = click.get_current_context().get_parameter_source("parallel")
    if source is ParameterSource.DEFAULT:
        options = replace(options, parallel=1)
    doing = Doing(settings_of_process(), "agents", options, {})
    report = asyncio.run(compare_strategies(execute=doing)).to_dict()
    if options.as_json:
        doing.print_json(report)
        return
    print_table(
        ("strategy", "tasks", "right", "steps", "model tokens", "tool calls", "ms a task"),
        (
            (
                row["strategy"],
                row["tasks"],
                row["right"],
                row["steps"],
                f"{row['tokens']:,}",
                row["calls"],
                f"{row['ms_per_task']:.1f}",
            )
            for row in report["strategies"]
        ),
    )
    print_table(
        ("ReAct over", "calls", "its tokens", "tokens", "ratio", "closed form", "(n + 1) / 2"),
        (
            (
                row["other"],
                row["length"],
                f"{row['react_tokens']:,.0f}",
                f"{row['other_tokens']:,.0f}",
                f"{row['ratio']:.3f}",
                f"{row['closed_form']:.3f}",
                row["observations_alone"],
            )
            for row in report["ratios"]
        ),
    )
    doing.print_report()


@click.command("random-agents")
@click.option("--runs", type=click.IntRange(1, 100_000), default=200, show_default=True)
@strategies_option
@json_option
def random_agents(runs: int, strategies: tuple[str, ...], as_json: bool) -> None:
    """Runs of a model with random weights: invalid steps, spent budgets, runs without an end.

    So many runs for each strategy over the real engine; exits with 1 unless all counts are 0. What
    it counts is printed and not kept: `rostra eval list` does not have it.
    """

    async def work() -> list[RandomReport]:
        reports = []
        async with random_engine() as model:
            with bar() as shown:
                for name in strategies or STRATEGIES:
                    task = shown.add_task(name, total=runs)

                    def on_run(done: int, total: int, task: Any = task) -> None:
                        show(shown, task, done, total)

                    reports.append(await random_runs(model, name, runs, on_run=on_run))
        return reports

    reports = asyncio.run(work())
    rows = [report.to_dict() for report in reports]
    if as_json:
        print_json({"results": rows})
    else:
        print_table(
            ("strategy", "runs", "steps", "calls", "invalid steps", "failed runs", "past a budget",
             "without one end", "ends"),
            (
                (row["strategy"], row["runs"], row["steps"], row["calls"], row["invalid_steps"],
                 row["runs_failed"], row["runs_past_budget"], row["runs_without_one_end"],
                 ", ".join(f"{name} {count}" for name, count in sorted(row["ends"].items())))
                for row in rows
            ),
        )  # fmt: skip
        _print_examples([example for row in rows for example in row["examples"]])
    if any(report.faults for report in reports):
        raise click.exceptions.Exit(1)


@click.command("injection")
@data_option
@strategies_option
@run_options
def injection(data: Path, strategies: tuple[str, ...], options: RunOptions) -> None:
    """Planted instructions and a model that obeys them: what acts or leaks unapproved.

    A folder in BIPIA's layout: text_attack_*.json and email/*.jsonl. Every text at the start, in
    the middle and at the end of a document and of a tool's result; exits with 1 unless nothing
    acted, nothing leaked, and every benign twin ended with an answer that nobody had to approve.
    With --limit only so many texts, evenly chosen.
    """
    attacks, mails = read_attacks(data), read_mails(data)
    told = {"data": str(data), "strategies": list(strategies), "limit": options.limit}
    if options.limit is not None:
        attacks = attacks[:: max(1, -(-len(attacks) // options.limit))]
        # Of texts, not of the samples that are made of them.
        options = replace(options, limit=None)
    doing = Doing(settings_of_process(), "injection", options, told)
    report = asyncio.run(
        try_injections(attacks, mails, strategies=strategies or STRATEGIES, execute=doing)
    )
    counts = report.to_dict()
    if options.as_json:
        doing.print_json(counts)
    else:
        print_table(
            ("measure", "count"),
            ((name.replace("_", " "), counts[name]) for name in counts if name != "examples"),
        )
        doing.print_report()
        _print_examples(report.examples)
    if report.faults:
        raise click.exceptions.Exit(1)


@click.command("agent-retrieval")
@data_option
@click.option("--ask", is_flag=True, help="Let the model that is set search, not the script.")
@run_options
def agent_retrieval(data: Path, ask: bool, options: RunOptions) -> None:
    """Recall of a task's documents: one search of its words, and an agent that searches.

    A folder with documents/*.json and tasks/*.json in tau2-bench's layout.
    """
    settings = settings_of_process()
    doing = Doing(settings, "agent-retrieval", options, {"data": str(data), "ask": ask})

    async def work() -> dict[str, Any]:
        async with open_workspace(settings) as runtime:
            if ask and runtime.generator is None:
                raise ConfigError("there is no model to ask", hint="Set ROSTRA_MODEL.")
            with bar() as shown:
                ingest = shown.add_task("ingest", total=None)

                async def executing(tasks: Sequence[Task]) -> RunRecord:
                    shown.stop()  # The run has a bar of its own.
                    return await doing(tasks)

                report = await evaluate_agent_retrieval(
                    runtime,
                    data,
                    model=runtime.generator if ask else None,
                    on_ingest=lambda progress: advance(shown, ingest, progress),
                    execute=executing,
                )
                return report.to_dict()

    report = asyncio.run(work())
    if options.as_json:
        doing.print_json(report)
        return
    print_table(
        ("retrieval", "tasks", "recall", "all found", "documents shown", "searches"),
        (
            (
                row["retrieval"],
                row["tasks"],
                f"{row['recall']:.4f}",
                row["complete"],
                f"{row['shown']:.1f}",
                f"{row['searches']:.1f}",
            )
            for row in report["results"]
        ),
    )
    doing.print_report()


def _print_examples(examples: list[str]) -> None:
    for example in examples:
        click.echo(f"  {example}", err=True)
