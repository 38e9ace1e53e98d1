"""`rostra eval`: judged sets through the platform, scores out."""

import asyncio
from pathlib import Path

import click
from rich.progress import TaskID

from evals import (
    QuoteReport,
    RetrievalScores,
    evaluate_quotes,
    evaluate_retrieval,
    evaluate_schemas,
    find_sets,
    open_workspace,
    read_judged_set,
)
from rostra.cli.bars import advance, bar, show
from rostra.cli.eval_agents import COMMANDS
from rostra.cli.output import json_option, print_json, print_table, settings_of_process
from rostra.ingest import Progress

data_option = click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the set, or of several.",
)


@click.group("eval")
def command() -> None:
    """Measure retrieval and answers on judged sets."""


@command.group("run")
def run() -> None:
    """Run an evaluation. What it ingests is kept apart from your documents."""


@run.command("retrieval")
@data_option
@json_option
def retrieval(data: Path, as_json: bool) -> None:
    """nDCG@10 and recall@100 of dense, lexical, hybrid (and reranked) search.

    A set is a folder with corpus.jsonl, queries.jsonl and qrels.tsv (BEIR's layout).
    """
    settings = settings_of_process()
    sets = [read_judged_set(folder) for folder in find_sets(data)]

    async def work() -> list[RetrievalScores]:
        rows: list[RetrievalScores] = []
        async with open_workspace(settings) as runtime:
            with bar() as shown:
                for judged in sets:
                    ingest = shown.add_task(f"{judged.name}: ingest", total=None)
                    modes = 4 if settings.reranker_model else 3
                    search = shown.add_task(
                        f"{judged.name}: search", total=modes * len(judged.queries)
                    )

                    def on_ingest(progress: Progress, task: TaskID = ingest) -> None:
                        advance(shown, task, progress)

                    def on_query(task: TaskID = search) -> None:
                        shown.advance(task)

                    async for row in evaluate_retrieval(
                        runtime, judged, on_ingest=on_ingest, on_query=on_query
                    ):
                        rows.append(row)
        return rows

    rows = asyncio.run(work())
    if as_json:
        print_json({"results": [row.to_dict() for row in rows]})
        return
    print_table(
        ("set", "mode", "nDCG@10", "recall@100", "queries"),
        (
            (row.dataset, row.mode, f"{row.ndcg_10:.4f}", f"{row.recall_100:.4f}", row.queries)
            for row in rows
        ),
    )


@run.command("quote")
@data_option
@json_option
def quote(data: Path, as_json: bool) -> None:
    """Sentence F1 of quoted answers, and precision and recall of `not found`.

    A set is a folder with answerable.jsonl and unanswerable.jsonl (ClapNQ's layout).
    """
    settings = settings_of_process()

    async def work() -> QuoteReport:
        async with open_workspace(settings) as runtime:
            with bar() as shown:
                ingest = shown.add_task("ingest", total=None)
                ask = shown.add_task("ask", total=None)
                return await evaluate_quotes(
                    runtime,
                    data,
                    on_ingest=lambda progress: advance(shown, ingest, progress),
                    on_question=lambda done, total: show(shown, ask, done, total),
                )

    report = asyncio.run(work())
    if as_json:
        print_json(report.to_dict())
        return
    measures = (
        ("sentence F1", report.sentence_f1),
        ("  of the baseline", report.baseline_f1),
        ("passage found first", report.passage_hit),
        ("not found: precision", report.not_found_precision),
        ("not found: recall", report.not_found_recall),
    )
    print_table(
        ("measure", "value"),
        (
            ("questions", f"{report.answerable} answerable, {report.unanswerable} not"),
            *((name, "-" if value is None else f"{value:.4f}") for name, value in measures),
            ("exact citations", f"{report.citations_exact} of {report.citations}"),
        ),
    )


@run.command("schemas")
@data_option
@json_option
def schemas(data: Path, as_json: bool) -> None:
    """How many JSON schemas grammars hold, and whether they tell valid from invalid instances.

    A folder of MaskBench or JSON-Schema-Test-Suite files, or of folders of them.
    """
    with bar() as shown:
        compile_ = shown.add_task("schemas", total=None)
        report = evaluate_schemas(
            data, on_case=lambda done, total: show(shown, compile_, done, total)
        )
    scores = report.to_dict()
    if as_json:
        print_json(scores)
        return
    print_table(
        ("measure", "value"),
        (
            ("schemas accepted", f"{scores['accepted']} of {scores['schemas']}"),
            ("schemas refused", scores["refused"]),
            ("valid accepted", f"{scores['valid_accepted']} of {scores['valid']}"),
            ("invalid rejected", f"{scores['invalid_rejected']} of {scores['invalid']}"),
            *((f"  refused for {why}", count) for why, count in report.reasons.most_common(12)),
        ),
    )


for _command in COMMANDS:
    run.add_command(_command)
