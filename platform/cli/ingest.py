"""`rostra ingest`: files, folders, archives, pages and judged collections into a collection."""

from pathlib import Path

import click

from rostra.cli.ingest_elsewhere import (
    follow,
    is_url,
    print_report,
    queue,
    read_listed,
    read_urls,
)
from rostra.cli.output import collection_option, json_option, print_json, with_runtime
from rostra.cli.progress import ingest_progress
from rostra.core import InvalidRequest
from rostra.ingest import AnySource, IngestReport, list_sources, read_beir
from rostra.runtime import Runtime


@click.command("ingest")
@click.argument("sources", metavar="[PATH|URL]...", nargs=-1)
@click.option("--beir", type=click.Path(path_type=Path), help="A folder with corpus.jsonl.")
@click.option("--sitemap", metavar="URL", help="A sitemap, whose pages are read.")
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    help="Read also the sitemap's pages on this host and names below it; can be repeated.",
)
@click.option(
    "--watch",
    type=click.Path(path_type=Path),
    help="Read a folder and follow its changes until Ctrl-C.",
)
@click.option(
    "--job",
    "as_job",
    is_flag=True,
    help="Leave URLs, the sitemap or the watched folder to `rostra serve` or `rostra worker`.",
)
@click.option(
    "--delete-missing",
    is_flag=True,
    help="Delete stored documents of the given folders whose file is gone, or stored pages that "
    "the sitemap lists no more.",
)
@collection_option
@json_option
def command(
    sources: tuple[str, ...],
    beir: Path | None,
    sitemap: str | None,
    hosts: tuple[str, ...],
    watch: Path | None,
    as_job: bool,
    delete_missing: bool,
    collection: str,
    as_json: bool,
) -> int:
    """Read files, folders, zip archives and web pages into a collection.

    What is unchanged is left alone, what has changed is replaced. What cannot be read is reported
    with its reason and does not stop the others; the exit status is 1 only if nothing could be
    read. Broken off, run it again: it does what is left to do.
    """
    urls = [text for text in sources if is_url(text)]
    paths = [Path(text) for text in sources if not is_url(text)]
    given = sum((bool(paths or beir), bool(urls), sitemap is not None, watch is not None))
    if not given:
        raise InvalidRequest(
            "nothing to ingest", hint="Name a file, a folder, a URL, or --beir FOLDER."
        )
    if given > 1:
        raise InvalidRequest("files, URLs, a sitemap and a watched folder go one at a time")
    if hosts and sitemap is None:
        raise InvalidRequest("--allow-host is for --sitemap")
    if delete_missing and (urls or watch is not None or (beir is not None and not paths)):
        raise InvalidRequest("--delete-missing is for folders and --sitemap")
    if as_job:
        return queue(
            urls, sitemap, hosts, watch, collection, delete_missing=delete_missing, as_json=as_json
        )
    if watch is not None:
        follow(watch, collection, as_json=as_json)
        return 0

    async def work(runtime: Runtime) -> IngestReport:
        if sitemap is not None:
            return await read_listed(
                runtime, sitemap, hosts, collection, delete_missing=delete_missing
            )
        if urls:
            return await read_urls(runtime, urls, collection)
        items: list[AnySource] = [*list_sources(paths, runtime.settings).items]
        if beir is not None:
            items += read_beir(beir, runtime.settings)
        folders = [
            path.resolve().as_uri() + "/" for path in paths if delete_missing and path.is_dir()
        ]
        with ingest_progress(len(items)) as show:
            return await runtime.ingester.ingest(
                items, collection, on_progress=show, delete_missing=folders
            )

    report = with_runtime(work)
    if as_json:
        print_json(report.to_dict())
    else:
        print_report(report, collection)
    return 1 if report.failed and not (report.documents or report.unchanged) else 0
