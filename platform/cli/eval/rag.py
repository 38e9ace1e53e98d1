"""`rostra eval run rag|quote`: answers over documents, measured on sets of questions."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from evals import (
    LEFT_OUT,
    RAG_SYSTEMS,
    ModelJudge,
    QuoteReport,
    RagPlan,
    RagReport,
    RunReport,
    open_workspace,
    quote_tasks,
    rag_tasks,
    read_rag_set,
    read_run,
    report_quotes,
    report_rag,
)
from rostra.cli.bars import advance, bar
from rostra.cli.eval.endpoints import endpoint_model as model_at
from rostra.cli.eval.runs import RunOptions, execute, run_options
from rostra.cli.eval.systems import data_option, print_comparisons, print_troubles, run_file
from rostra.cli.eval.text import amount, interval, plain
from rostra.cli.output import print_json, print_table, settings_of_process
from rostra.core import ChatModel, ConfigError
from rostra.runtime import Runtime, open_runtime


@click.command("rag")
@data_option
@click.option(
    "--system",
    "systems",
    multiple=True,
    type=click.Choice(RAG_SYSTEMS),
    help="Only this one; may be given several times. `distractors`, `shuffled` and `reversed` are "
    "`ask` over other passages; `quote-` and `reader-` are as in `evidence`.  [default: ask, "
    "first-sentence, distractors, shuffled, and the models that there are]",
)
@click.option(
    "-c",
    "--collection",
    help="Ask this collection of yours, as it is, instead of documents that the set brings.",
)
@click.option("--judge", is_flag=True, help="Let the model that is set judge the answers.")
@click.option("--judge-url", help="Or this OpenAI-compatible endpoint.")
@click.option("--judge-model", help="The judge, as that endpoint calls it.")
@click.option("--endpoint", help="Ask this OpenAI-compatible endpoint too, as a system.")
@click.option("--endpoint-model", help="The model, as that endpoint calls it.")
@click.option(
    "--key-env",
    default="OPENAI_API_KEY",
    show_default=True,
    help="Environment variable with the key of both, where they need one.",
)
@run_options
def rag(
    data: Path,
    systems: tuple[str, ...],
    collection: str | None,
    judge: bool,
    judge_url: str | None,
    judge_model: str | None,
    endpoint: str | None,
    endpoint_model: str | None,
    key_env: str,
    options: RunOptions,
) -> None:
    """Answers, citations, abstention and robustness, on questions over documents.

    A set is a folder with answerable.jsonl and unanswerable.jsonl (ClapNQ's layout), or a .jsonl or
    .csv file, such as questions.jsonl in a folder, of question, answers, documents or passage,
    spans, unanswerable and history; corpus.jsonl may lie beside it. Without a judge, what only a
    judge can tell is left out, and the report says so.
    """
    settings = settings_of_process()
    external = model_at(judge_url, judge_model, key_env, "judge")
    asked = model_at(endpoint, endpoint_model, key_env, "endpoint")
    questions = read_rag_set(data, settings, needs_documents=collection is None)

    async def work() -> RagReport:
        opened = open_workspace(settings) if collection is None else open_runtime(settings)
        async with opened as runtime:
            model, why = _judge_of(runtime, external, judge)
            at = (judge_url if external is not None else settings.chat_url) or ""
            plan = RagPlan(
                systems=systems or None,
                judge=None if model is None else ModelJudge(model, at=at),
                no_judge=why,
                endpoint=asked,
                endpoint_at=endpoint or "",
                collection=collection,
            )
            with bar() as shown:
                ingest = shown.add_task("ingest", total=None)
                made = await rag_tasks(
                    runtime,
                    questions,
                    plan,
                    on_ingest=lambda progress: advance(shown, ingest, progress),
                )
            if not made.tasks:
                reasons = ", ".join(f"{name}: {why}" for name, why in made.left_out.items())
                raise ConfigError(f"there is no system to ask ({reasons})")
            told = {"collection": collection, LEFT_OUT: made.left_out}
            report = await execute(settings, "rag", made.tasks, options, arguments=told)
            record = read_run(run_file(settings, options, report.run))
            return report_rag(record, seed=options.seed)

    told = asyncio.run(work()).to_dict()
    if options.as_json:
        print_json(told)
        return
    print_rag(told)


def _judge_of(
    runtime: Runtime, external: ChatModel | None, asked_for: bool
) -> tuple[ChatModel | None, str]:
    """Who judges, and why nobody does."""
    if external is not None:
        return external, ""
    if not asked_for:
        return None, "no judge was asked for: --judge"
    if runtime.generator is None:
        return None, "no model is set to judge: ROSTRA_MODEL, ROSTRA_CHAT_URL or --judge-url"
    return runtime.generator, ""


def print_rag(told: dict[str, Any], baseline: str = "ask") -> None:
    """Prints a report as JSON has it.

    Args:
        baseline: the system that the others are compared with.
    """
    rows = told["results"]
    names = list(dict.fromkeys(name for row in rows for name in row["measures"]))
    print_table(
        ("measure", "n", *(row["system"] for row in rows)),
        (
            *(
                (name, _counts(rows, name), *(_measure(row, name) for row in rows))
                for name in names
            ),
            (
                "exact citations",
                "",
                *(f"{row['citations']['exact']} of {row['citations']['count']}" for row in rows),
            ),
            ("questions", "", *(row["questions"] for row in rows)),
        ),
    )
    compared = [one for one in told["comparisons"] if one["baseline_system"] == baseline]
    changed = [one for one in (*told["robustness"], *compared) if one["wins"] or one["losses"]]
    if changed:
        click.echo()
        print_comparisons(changed, (*told["robustness"], *told["comparisons"]))
    for row in rows:
        if row["disturbed"] is not None:
            click.echo(f"  {plain(_disturbed(row, told['robustness']))}")
    for name, why in told["left_out"].items():
        click.echo(f"  left out: {name}: {plain(why)}")
    print_troubles(told)
    click.echo(f"run {told['run']}")


def _measure(row: dict[str, Any], name: str) -> str:
    value = row["measures"].get(name)
    if value is None:
        return "-"
    unit, ends = row["units"][name], row["intervals"].get(name)
    return amount(value, unit) + (f" ({interval(ends[0], ends[1], unit)})" if ends else "")


def _counts(rows: Sequence[dict[str, Any]], name: str) -> str:
    """Of how many questions a measure tells: once if that is the same of all systems."""
    counts = [row["n"].get(name) for row in rows]
    told = ["-" if count is None else str(count) for count in counts]
    return told[0] if len(set(told)) == 1 else ", ".join(told)


def _disturbed(row: dict[str, Any], robustness: Sequence[dict[str, Any]]) -> str:
    """What a disturbance did: to the passages first, as else there is nothing to withstand."""
    changed, questions = row["disturbed"]["changed"], row["disturbed"]["questions"]
    did = f"changed the passages of {changed:,} of {questions:,} questions"
    if not changed:
        return f"{row['system']}: not applicable: it {did}"
    own = [one for one in robustness if one["candidate_system"] == row["system"]]
    differing = sum(1 for one in own if one["wins"] or one["losses"])
    if not own:
        return f"{row['system']}: {did}"
    return f"{row['system']}: {did}; {differing or 'none'} of {len(own)} measures differ from ask"


@click.command("quote")
@data_option
@run_options
def quote(data: Path, options: RunOptions) -> None:
    """Sentence F1 of quoted answers, and precision and recall of `not found`.

    A set is one of those that `rag` takes. It is `rag` with two systems and the measures that need
    nothing but the text.
    """
    settings = settings_of_process()

    async def work() -> tuple[QuoteReport, RunReport]:
        async with open_workspace(settings) as runtime:
            with bar() as shown:
                ingest = shown.add_task("ingest", total=None)
                tasks = await quote_tasks(
                    runtime, data, on_ingest=lambda progress: advance(shown, ingest, progress)
                )
            done = await execute(settings, "quote", tasks, options)
            return report_quotes(read_run(run_file(settings, options, done.run))), done

    report, whole = asyncio.run(work())
    told = whole.to_dict()
    if options.as_json:
        print_json(report.to_dict() | {"mixed": told["mixed"], "tasks": told["tasks"]})
        return
    measures = (
        ("sentence F1", report.sentence_f1, "sentence_f1"),
        ("  of the baseline", report.baseline_f1, "baseline_f1"),
        ("passage found first", report.passage_hit, "passage_hit@1"),
        ("not found: precision", report.not_found_precision, "not_found precision"),
        ("not found: recall", report.not_found_recall, "not_found recall"),
    )
    asked = report.answerable + report.unanswerable
    print_table(
        ("measure", "value", "n"),
        (
            ("questions", f"{report.answerable} answerable, {report.unanswerable} not", asked),
            *(
                (name, "-" if value is None else f"{value:.4f}", report.n[key])
                for name, value, key in measures
            ),
            ("exact citations", f"{report.citations_exact} of {report.citations}", ""),
        ),
    )
    print_troubles(told)
    click.echo(f"run {report.run}")
