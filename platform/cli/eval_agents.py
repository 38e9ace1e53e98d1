"""`rostra eval run tools|agents|random-agents|injection|agent-retrieval`: agents measured."""

import asyncio
import json
from pathlib import Path
from typing import Any

import click

from evals import (
    DatasetError,
    RandomReport,
    ask_for_calls,
    compare_strategies,
    evaluate_agent_retrieval,
    open_workspace,
    random_engine,
    random_runs,
    read_attacks,
    read_mails,
    read_tool_tasks,
    score_outputs,
    try_injections,
    try_scorer,
)
from rostra.agents import STRATEGIES
from rostra.cli.bars import advance, bar, show
from rostra.cli.output import json_option, print_json, print_table, settings_of_process
from rostra.core import ConfigError

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


@click.command("tools")
@data_option
@click.option(
    "--outputs",
    type=click.Path(path_type=Path),
    help='A model\'s outputs, one {"id": ..., "output": ...} a line.',
)
@click.option("--ask", is_flag=True, help="Ask the model that is set, and score its outputs.")
@json_option
def tools(data: Path, outputs: Path | None, ask: bool, as_json: bool) -> None:
    """Tool calls judged by their syntax tree; without a model, the judge itself.

    A folder in the layout of the Berkeley Function Calling Leaderboard. Without --outputs and --ask
    the gold calls have to score 100 % and each class of wrong calls 0 %.
    """
    tasks = read_tool_tasks(data)
    if outputs is None and not ask:
        _print_scorer(try_scorer(tasks).to_dict(), as_json)
        return
    said = _read_outputs(outputs) if outputs is not None else _ask(tasks)
    rows = [row.to_dict() for row in score_outputs(tasks, said)]
    if as_json:
        print_json({"results": rows})
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


def _print_scorer(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(report)
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
    if report["wrong"]:
        raise click.exceptions.Exit(1)


def _share(count: int, row: dict[str, Any]) -> str:
    return f"{100 * count / row['texts']:.2f} %" if row["texts"] else "-"


def _read_outputs(path: Path) -> dict[str, Any]:
    try:
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
        return {str(row["id"]): str(row["output"]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path}: {error!r}") from error


def _ask(tasks: Any) -> dict[str, Any]:
    settings = settings_of_process()

    async def work() -> dict[str, Any]:
        async with open_workspace(settings) as runtime:
            if runtime.generator is None:
                raise ConfigError("there is no model to ask", hint="Set ROSTRA_MODEL.")
            with bar() as shown:
                asked = shown.add_task("ask", total=len(tasks))
                return await ask_for_calls(
                    runtime.generator,
                    tasks,
                    on_task=lambda done, total: show(shown, asked, done, total),
                )

    return asyncio.run(work())


@click.command("agents")
@json_option
def agents(as_json: bool) -> None:
    """ReAct, Plan-and-Execute and ReWOO on the same twenty scripted tasks.

    Tasks of 2 to 8 calls with observations of 300 tokens; the ratio of tokens by length beside its
    closed form.
    """
    with bar() as shown:
        running = shown.add_task("runs", total=None)
        report = asyncio.run(
            compare_strategies(on_run=lambda done, total: show(shown, running, done, total))
        ).to_dict()
    if as_json:
        print_json(report)
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


@click.command("random-agents")
@click.option("--runs", type=click.IntRange(1, 100_000), default=200, show_default=True)
@strategies_option
@json_option
def random_agents(runs: int, strategies: tuple[str, ...], as_json: bool) -> None:
    """Runs of a model with random weights: invalid steps, spent budgets, runs without an end.

    So many runs for each strategy over the real engine; exits with 1 unless all counts are 0.
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
@click.option("--limit", type=click.IntRange(1), help="Only so many texts, evenly chosen.")
@strategies_option
@json_option
def injection(data: Path, limit: int | None, strategies: tuple[str, ...], as_json: bool) -> None:
    """Planted instructions and a model that obeys them: what acts or leaks unapproved.

    A folder in BIPIA's layout: text_attack_*.json and email/*.jsonl. Every text at the start, in
    the middle and at the end of a document and of a tool's result; exits with 1 unless nothing
    acted, nothing leaked, and every benign twin ended with an answer that nobody had to approve.
    """
    attacks, mails = read_attacks(data), read_mails(data)
    if limit is not None:
        attacks = attacks[:: max(1, -(-len(attacks) // limit))]
    with bar() as shown:
        running = shown.add_task("runs", total=None)
        report = asyncio.run(
            try_injections(
                attacks,
                mails,
                strategies=strategies or STRATEGIES,
                on_run=lambda done, total: show(shown, running, done, total),
            )
        )
    counts = report.to_dict()
    if as_json:
        print_json(counts)
    else:
        print_table(
            ("measure", "count"),
            ((name.replace("_", " "), counts[name]) for name in counts if name != "examples"),
        )
        _print_examples(report.examples)
    if report.faults:
        raise click.exceptions.Exit(1)


@click.command("agent-retrieval")
@data_option
@click.option("--limit", type=click.IntRange(1), help="Only so many tasks.")
@click.option("--ask", is_flag=True, help="Let the model that is set search, not the script.")
@json_option
def agent_retrieval(data: Path, limit: int | None, ask: bool, as_json: bool) -> None:
    """Recall of a task's documents: one search of its words, and an agent that searches.

    A folder with documents/*.json and tasks/*.json in tau2-bench's layout.
    """
    settings = settings_of_process()

    async def work() -> dict[str, Any]:
        async with open_workspace(settings) as runtime:
            if ask and runtime.generator is None:
                raise ConfigError("there is no model to ask", hint="Set ROSTRA_MODEL.")
            with bar() as shown:
                ingest = shown.add_task("ingest", total=None)
                running = shown.add_task("tasks", total=None)
                report = await evaluate_agent_retrieval(
                    runtime,
                    data,
                    model=runtime.generator if ask else None,
                    limit=limit,
                    on_ingest=lambda progress: advance(shown, ingest, progress),
                    on_task=lambda done, total: show(shown, running, done, total),
                )
                return report.to_dict()

    report = asyncio.run(work())
    if as_json:
        print_json(report)
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


def _print_examples(examples: list[str]) -> None:
    for example in examples:
        click.echo(f"  {example}", err=True)


COMMANDS: tuple[click.Command, ...] = (tools, agents, random_agents, injection, agent_retrieval)
