"""`rostra eval run retrieval`: search on judged sets, mode by mode and against other systems."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from evals import (
    DatasetError,
    Rankings,
    RetrievalReport,
    Task,
    find_sets,
    open_workspace,
    read_judged_set,
    read_rankings,
    read_run,
    report_retrieval,
    retrieval_tasks,
)
from rostra.cli.bars import advance, bar
from rostra.cli.eval.runs import RunOptions, execute, run_options
from rostra.cli.eval.systems import data_option, print_troubles, run_file
from rostra.cli.eval.text import plain, print_sections
from rostra.cli.output import print_json, print_table, settings_of_process
from rostra.ingest import Progress


@click.command("retrieval")
@data_option
@click.option(
    "--k",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    help="Places that nDCG, precision and MRR look at.",
)
@click.option(
    "--depth",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="Documents asked for, which recall and MAP look at.",
)
@click.option(
    "--rankings",
    "files",
    multiple=True,
    metavar="[SET=]FILE",
    help="Another system's rankings: a TREC run, or JSON lines of query and documents. Where the "
    "folder has several sets, say which. May be given several times.",
)
@click.option(
    "--wins",
    type=click.IntRange(1, 1000),
    help="Name so many queries that gained, and that lost, in each comparison of two systems.",
)
@click.option(
    "--rerank",
    "late",
    is_flag=True,
    help="Late interaction too; stores the sets' token vectors first, which takes minutes.",
)
@click.option(
    "--tuned",
    is_flag=True,
    help="Weights too that were tuned on other queries of the set; see `rostra tune`.",
)
@run_options
def retrieval(
    data: Path,
    k: int,
    depth: int,
    files: tuple[str, ...],
    wins: int | None,
    late: bool,
    tuned: bool,
    options: RunOptions,
) -> None:
    """nDCG, recall, precision, MRR and MAP of dense, lexical, hybrid (and reranked) search.

    With --tuned, `tuned` is hybrid search whose weights each query got from the other folds'.

    A set is a folder with corpus.jsonl, queries.jsonl and qrels.tsv (BEIR's layout). Systems are
    compared query by query: randomisation tests, adjusted after Holm for all of them.
    """
    settings = settings_of_process()
    sets = [read_judged_set(folder) for folder in find_sets(data)]
    rankings = _rankings(files, [judged.name for judged in sets])

    async def work() -> RetrievalReport:
        async with open_workspace(settings) as runtime:
            tasks: list[Task] = []
            with bar() as shown:
                for judged in sets:
                    ingest = shown.add_task(f"{judged.name}: ingest", total=None)

                    def on_ingest(progress: Progress, task: Any = ingest) -> None:
                        advance(shown, task, progress)

                    tasks += await retrieval_tasks(
                        runtime,
                        judged,
                        k=k,
                        depth=depth,
                        rankings=rankings[judged.name],
                        on_ingest=on_ingest,
                        late=late,
                        tuned=tuned,
                        on_done=_stages(shown, judged.name),
                    )
            given = {"k": k, "depth": depth, "rankings": list(files)}
            # Only where asked for, so that runs of before can be gone on with.
            given |= {name: True for name, asked in (("rerank", late), ("tuned", tuned)) if asked}
            report = await execute(settings, "retrieval", tasks, options, arguments=given)
            record = read_run(run_file(settings, options, report.run))
            return report_retrieval(record, seed=options.seed)

    report = asyncio.run(work())
    if options.as_json:
        print_json(report.to_dict(wins=wins or 0))
        return
    _print_retrieval(report, wins or 0, k, depth)


def _stages(shown: Any, name: str) -> Callable[[str, int, int], None]:
    """Shows the stages of one set, each as it begins."""
    tasks: dict[str, Any] = {}

    def on_done(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            tasks[stage] = shown.add_task(f"{name}: {stage}", total=total)
        shown.update(tasks[stage], advance=done)

    return on_done


def _rankings(files: Sequence[str], sets: Sequence[str]) -> dict[str, list[Rankings]]:
    """Rankings by the set that they are of."""
    found: dict[str, list[Rankings]] = {name: [] for name in sets}
    for given in files:
        name, equals, path = given.partition("=")
        if not equals or name not in found:
            if len(sets) > 1:
                raise DatasetError(
                    f"--rankings {given}: of which set?",
                    hint=f"Write SET=FILE, with one of: {', '.join(sets)}.",
                )
            name, path = sets[0], given
        found[name].append(read_rankings(Path(path)))
    return found


def _print_retrieval(report: RetrievalReport, wins: int, k: int, depth: int) -> None:
    told = report.to_dict(wins=wins)
    titles = {
        f"ndcg@{k}": f"nDCG@{k}",
        f"recall@{depth}": f"recall@{depth}",
        f"precision@{k}": f"precision@{k}",
        f"mrr@{k}": f"MRR@{k}",
        f"map@{depth}": f"MAP@{depth}",
    }
    print_table(
        ("set", "mode", *titles.values(), "queries"),
        (
            (row["dataset"], row["mode"], *(_value(row, name) for name in titles), row["queries"])
            for row in told["results"]
        ),
    )
    first = f"ndcg@{k}"
    compared = [one for one in told["comparisons"] if one["measure"] in (first, "failed")]
    if compared:
        click.echo()
        print_sections([report.section])
    for one in compared:
        if one.get("queries"):
            click.echo()
            systems = f"{one['candidate_system']} - {one['baseline_system']}"
            click.echo(plain(f"{one['dataset']}: {systems}"))
            print_table(
                ("query", "before", "after", "difference", "text"),
                (
                    (query["query"], f"{query['baseline']:.4f}", f"{query['candidate']:.4f}",
                     f"{query['difference']:+.4f}", plain(query["text"])[:80])
                    for query in one["queries"]
                ),
            )  # fmt: skip
    print_troubles(told)
    click.echo(f"run {told['run']}")


def _value(row: dict[str, Any], name: str) -> str:
    if row[name] is None:
        return "-"
    interval = row["intervals"][name]
    around = f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
    return f"{row[name]:.4f}{around}"
