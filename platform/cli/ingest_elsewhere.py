"""What `rostra ingest` does with pages, sitemaps and watched folders; what it prints of a run."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import click
from rich.markup import escape

from rostra.cli.output import console, print_json, with_runtime
from rostra.cli.progress import ingest_progress
from rostra.core import InvalidRequest, PathNotFound
from rostra.ingest import (
    FolderWatch,
    IngestReport,
    ingest_change,
    ingest_pages,
    make_fetcher,
    page_uri,
    read_sitemap,
    sitemap_failures,
    sitemap_scope,
)
from rostra.runtime import Runtime
from rostra.store import Job, enqueue

_SHOWN_FAILURES = 20
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def is_url(text: str) -> bool:
    """Whether an argument is a page rather than a path."""
    return text.lower().startswith(("http://", "https://"))


async def read_urls(runtime: Runtime, urls: Sequence[str], collection: str) -> IngestReport:
    """Reads pages, showing how far it is."""
    for url in urls:
        page_uri(url)
    with ingest_progress(len(urls)) as show:
        return await ingest_pages(
            runtime.ingester,
            runtime.settings,
            make_fetcher(runtime.settings),
            urls,
            collection,
            on_progress=show,
        )


async def read_listed(
    runtime: Runtime,
    sitemap: str,
    hosts: Sequence[str],
    collection: str,
    *,
    delete_missing: bool = False,
) -> IngestReport:
    """Reads the pages of a sitemap, showing how far it is; deletes those that are gone from it."""
    fetcher = make_fetcher(runtime.settings)
    found = await read_sitemap(
        fetcher, sitemap, hosts=frozenset(hosts), max_pages=runtime.settings.fetch_max_pages
    )
    if found.elsewhere:
        click.echo(
            f"{found.elsewhere} pages of other hosts left out; --allow-host takes them", err=True
        )
    with ingest_progress(len(found.urls)) as show:
        report = await ingest_pages(
            runtime.ingester,
            runtime.settings,
            fetcher,
            found.urls,
            collection,
            on_progress=show,
            delete_missing=sitemap_scope(sitemap, found) if delete_missing else (),
        )
    report.failed += sitemap_failures(sitemap, found)
    return report


def follow(folder: Path, collection: str, *, as_json: bool) -> None:
    """Reads a folder and what changes in it, until a signal; prints what each change did."""

    async def work(runtime: Runtime) -> None:
        watch = FolderWatch(folder, runtime.settings)
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, lambda: task and task.cancel())
        try:
            async with aclosing(watch.changes()) as changes:
                async for change in changes:
                    with ingest_progress(len(change.sources)) as show:
                        report = await ingest_change(
                            runtime.ingester, runtime.database, watch, change, collection, show
                        )
                    if as_json:
                        print_json(report.to_dict())
                    else:
                        print_report(report, collection)
                        sys.stdout.flush()
        except asyncio.CancelledError:
            # By our own handler: what is stored stays, and the next start goes on.
            if task is not None:
                task.uncancel()

    with_runtime(work)


def queue(
    urls: Sequence[str],
    sitemap: str | None,
    hosts: Sequence[str],
    watch: Path | None,
    collection: str,
    *,
    delete_missing: bool,
    as_json: bool,
) -> int:
    """Leaves the work to a worker; prints the job's id."""
    # Here, because it imports the server, which other ingests do not need.
    from rostra.api import JOB_KIND, WATCH_KIND, sitemap_payload, urls_payload, watch_payload

    if sitemap is not None:
        kind, payload = (
            JOB_KIND,
            sitemap_payload(collection, sitemap, list(hosts), delete_missing=delete_missing),
        )
    elif urls:
        kind, payload = JOB_KIND, urls_payload(collection, list(urls))
    elif watch is not None:
        if not watch.is_dir():
            raise PathNotFound(f"there is no folder {watch}", path=str(watch))
        kind, payload = WATCH_KIND, watch_payload(collection, watch)
    else:
        raise InvalidRequest("files are read here and now, not as a job", hint="Leave --job out.")

    async def work(runtime: Runtime) -> Job:
        async with runtime.database.write() as session:
            return await enqueue(session, kind, payload)

    job = with_runtime(work)
    if as_json:
        print_json({"job": str(job.id)})
    else:
        console().print(f"job {job.id} is queued; `rostra jobs show {job.id}` says how far it is")
    return 0


def print_report(report: IngestReport, collection: str) -> None:
    """What a run did, for people."""
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
