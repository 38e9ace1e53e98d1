"""`rostra ingest`: files, folders, archives and judged collections into a collection."""

from pathlib import Path

import click
from rich.markup import escape

from rostra.cli.output import collection_option, console, json_option, print_json, with_runtime
from rostra.cli.progress import ingest_progress
from rostra.core import InvalidRequest
from rostra.ingest import AnySource, IngestReport, list_sources, read_beir
from rostra.runtime import Runtime

_SHOWN_FAILURES = 20


@click.command("ingest")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--beir", type=click.Path(path_type=Path), help="A folder with corpus.jsonl.")
@click.option(
    "--delete-missing",
    is_flag=True,
    help="Delete stored documents of the given folders whose file is gone.",
)
@collection_option
@json_option
def command(
    paths: tuple[Path, ...],
    beir: Path | None,
    delete_missing: bool,
    collection: str,
    as_json: bool,
) -> int:
    """Read PATHS (files, folders, zip archives) into a collection.

    Unchanged files are left alone, changed ones replaced. A file that cannot be read is reported
    with its reason and does not stop the others; the exit status is 1 only if none could be read.
    """
    if not paths and beir is None:
        raise InvalidRequest("nothing to ingest", hint="Name a file, a folder or --beir FOLDER.")

    async def work(runtime: Runtime) -> IngestReport:
        sources: list[AnySource] = [*list_sources(paths, runtime.settings).items]
        if beir is not None:
            sources += read_beir(beir, runtime.settings)
        folders = [
            path.resolve().as_uri() + "/" for path in paths if delete_missing and path.is_dir()
        ]
        with ingest_progress(len(sources)) as show:
            return await runtime.ingester.ingest(
                sources, collection, on_progress=show, delete_missing=folders
            )

    report = with_runtime(work)
    if as_json:
        print_json(report.to_dict())
    else:
        _print(report, collection)
    return 1 if report.failed and not (report.documents or report.unchanged) else 0


def _print(report: IngestReport, collection: str) -> None:
    out = console()
    for failure in report.failed[:_SHOWN_FAILURES]:
        hint = f". [dim]{escape(failure.hint)}[/]" if failure.hint else ""
        out.print(f"[red]not read[/] {escape(failure.uri)}: {escape(failure.error)}{hint}")
    if len(report.failed) > _SHOWN_FAILURES:
        out.print(f"[red]and {len(report.failed) - _SHOWN_FAILURES} more[/] (--json lists them)")
    # Of a shorter run the rate says nothing.
    rate = report.chunks / report.seconds if report.seconds >= 1 else 0
    parts = [
        f"[bold]{report.documents}[/] documents in {report.chunks} chunks",
        f"{report.unchanged} unchanged",
        *([f"{report.deleted} deleted"] if report.deleted else []),
        *([f"{len(report.failed)} not read"] if report.failed else []),
    ]
    out.print(
        f"{', '.join(parts)}; {report.seconds:.1f} s"
        f"{f', {rate:.0f} chunks/s' if rate else ''}; collection {escape(collection)}"
    )
