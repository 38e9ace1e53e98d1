"""`rostra eval run chunking`: ways to cut documents, by the spans that answer questions."""

import asyncio
from pathlib import Path
from typing import Any

import click

from evals import (
    CHUNKERS,
    DEFAULT_CHUNKERS,
    ChunkingReport,
    chunking_tasks,
    open_workspace,
    read_chunking_set,
    read_run,
    report_chunking,
)
from rostra.cli.bars import bar
from rostra.cli.eval.runs import RunOptions, execute, run_options
from rostra.cli.eval.systems import data_option, print_comparisons, print_troubles, run_file
from rostra.cli.output import print_json, print_table, settings_of_process


@click.command("chunking")
@data_option
@click.option(
    "--chunker",
    "chunkers",
    multiple=True,
    type=click.Choice(CHUNKERS),
    help=f"Only this one; may be given several times.  [default: {', '.join(DEFAULT_CHUNKERS)}]",
)
@click.option(
    "--tokens",
    "sizes",
    multiple=True,
    type=click.IntRange(16, 8192),
    help="Most tokens of a chunk; may be given several times.  [default: ROSTRA_CHUNK_TOKENS]",
)
@click.option(
    "--overlap",
    "overlaps",
    multiple=True,
    type=click.IntRange(0, 4096),
    help="Tokens repeated; may be given several times.  [default: ROSTRA_CHUNK_OVERLAP]",
)
@run_options
def chunking(
    data: Path,
    chunkers: tuple[str, ...],
    sizes: tuple[int, ...],
    overlaps: tuple[int, ...],
    options: RunOptions,
) -> None:
    """Recall, precision and IoU of tokens, chunker by chunker.

    A set is a folder with questions_df.csv (question, references, corpus_id) and corpora/*.md.
    Chunks are found by their vectors alone. Intervals are clustered by document; chunkers are
    compared question by question.
    """
    settings = settings_of_process()

    async def work() -> ChunkingReport:
        async with open_workspace(settings) as runtime:
            judged = await read_chunking_set(data, settings)
            embedder = await asyncio.to_thread(runtime.embedder)
            with bar() as shown:
                cutting = shown.add_task("cut and embed", total=None)
                tasks = await chunking_tasks(
                    judged,
                    settings,
                    embedder,
                    chunkers=chunkers or DEFAULT_CHUNKERS,
                    sizes=sizes,
                    overlaps=overlaps,
                    on_system=lambda name: shown.update(
                        cutting, description=f"cut and embed: {name}"
                    ),
                )
            given = {"chunkers": list(chunkers), "tokens": list(sizes), "overlap": list(overlaps)}
            report = await execute(settings, "chunking", tasks, options, arguments=given)
            record = read_run(run_file(settings, options, report.run))
            return report_chunking(record, seed=options.seed)

    told = asyncio.run(work()).to_dict()
    if options.as_json:
        print_json(told)
        return
    names = list(told["results"][0]["intervals"])
    print_table(
        ("chunker", "chunks", "tokens", *names),
        (
            (
                row["chunker"],
                row["chunks"],
                f"{row['mean_tokens']:.0f}",
                *(_value(row, name) for name in names),
            )
            for row in told["results"]
        ),
    )
    compared = [one for one in told["comparisons"] if one["measure"] in (names[0], "failed")]
    if compared:
        click.echo()
        print_comparisons(compared, told["comparisons"])
    print_troubles(told)
    click.echo(f"run {told['run']}")


def _value(row: dict[str, Any], name: str) -> str:
    if row[name] is None:
        return "-"
    interval = row["intervals"][name]
    around = f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
    return f"{row[name]:.4f}{around}"
