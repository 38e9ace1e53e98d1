"""What a job of each kind does, once a worker holds it.

What always holds: work is done from the start each time it is claimed and repeats nothing visible;
a checkpoint only saves what it would cost to find out again. Work takes turns, a batch each, at
embedding and storing, so that none waits for pages that another fetches; of all the folders that
are followed, one is read at a time. Work of which nothing could be read, though something was
there, has not succeeded.

| kind | payload | does |
|---|---|---|
| `ingest` | `files` | reads an upload's files |
| `ingest` | `urls` | fetches and reads pages |
| `ingest` | `sitemap`, `hosts`, `delete_missing` | lists a sitemap's pages, then reads them |
| `watch` | `folder` | follows a folder until it is cancelled or paused |
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from rostra.api.uploads import JOB_KIND, Uploads
from rostra.core import InvalidRequest, PathNotFound, RostraError
from rostra.fetch import Fetcher
from rostra.ingest import (
    FolderWatch,
    IngestReport,
    Progress,
    Sitemap,
    WatchPace,
    ingest_change,
    ingest_pages,
    make_fetcher,
    page_uri,
    read_sitemap,
    sitemap_failures,
    sitemap_scope,
)
from rostra.runtime import Runtime
from rostra.store import Job, check_name

WATCH_KIND = "watch"
MAX_URLS = 1_000
READING, WATCHING = "reading", "watching"
# What was fetched within this time of a job that goes on is not asked for again.
_FRESH_SECONDS = 24 * 3600.0

_AWAY_SECONDS = 5.0

# Keeps a stage and what to go on from.
SaveCheckpoint = Callable[[str, dict[str, Any]], Awaitable[None]]


class NothingRead(RostraError):
    """A job looked at something and could read nothing of it; `report` says why."""

    status = 422
    code = "nothing_read"


@dataclass(frozen=True, slots=True)
class Scope:
    """What a job's work has of its worker.

    Attributes:
        job: as it was claimed.
        progress: to be kept up to date.
        checkpoint: keeps what to go on from; raises LostLease when the job is another's now.
    """

    job: Job
    progress: Progress
    checkpoint: SaveCheckpoint

    def on_progress(self, now: Progress) -> None:
        """Takes over how far an ingest is."""
        mine = self.progress
        mine.done, mine.total, mine.chunks = now.done, now.total, now.chunks


class Work:
    """Does jobs over one platform.

    Args:
        runtime: the platform.
        uploads: where uploaded files are.
        watch_pace: when watched folders are looked at.
        fetcher: fetches pages; by default as the settings say.
    """

    def __init__(
        self,
        runtime: Runtime,
        uploads: Uploads,
        watch_pace: WatchPace | None = None,
        fetcher: Fetcher | None = None,
    ) -> None:
        self._runtime = runtime
        self._uploads = uploads
        self._watch_pace = watch_pace
        self._made_fetcher = fetcher
        # Each folder that is read has a parser of its own: not as many of them as folders.
        self._folder_turn = asyncio.Lock()

    async def do(self, scope: Scope) -> dict[str, Any]:
        """Does a job; returns its result.

        Raises:
            NothingRead: there was something to read, and none of it could be.
            RostraError: why else it cannot be done.
        """
        kind, payload = scope.job.kind, scope.job.payload
        if kind == WATCH_KIND:
            report = await self._watch(scope, payload["folder"])
        elif kind != JOB_KIND:
            raise RostraError(f"this version knows no jobs of kind {kind!r}")
        elif "urls" in payload:
            report = await self._urls(scope, payload["urls"])
        elif "sitemap" in payload:
            report = await self._sitemap(scope, payload["sitemap"])
        else:
            report = await self._files(scope)
        if report.failed and not (report.documents or report.unchanged):
            raise _nothing_read(report)
        return report.to_dict()

    async def _files(self, scope: Scope) -> IngestReport:
        sources = await asyncio.to_thread(self._uploads.sources, scope.job)
        scope.on_progress(Progress(total=len(sources)))
        return await self._runtime.ingester.ingest(
            sources, scope.job.payload["collection"], on_progress=scope.on_progress
        )

    async def _urls(
        self, scope: Scope, urls: list[str], delete_missing: Sequence[str] = ()
    ) -> IngestReport:
        fresh_since = max(scope.job.created_at.timestamp(), time.time() - _FRESH_SECONDS)
        # Told before the first page, which may be long in coming.
        scope.on_progress(Progress(total=len(urls)))
        return await ingest_pages(
            self._runtime.ingester,
            self._runtime.settings,
            self._fetcher(),
            urls,
            scope.job.payload["collection"],
            on_progress=scope.on_progress,
            fresh_since=fresh_since,
            delete_missing=delete_missing,
        )

    async def _sitemap(self, scope: Scope, url: str) -> IngestReport:
        job = scope.job
        if job.stage == READING:
            sitemap = msgspec.convert(job.checkpoint["sitemap"], Sitemap)
        else:
            sitemap = await read_sitemap(
                self._fetcher(),
                url,
                hosts=frozenset(job.payload.get("hosts", ())),
                max_pages=self._runtime.settings.fetch_max_pages,
            )
            await scope.checkpoint(READING, {"sitemap": asdict(sitemap)})
        gone = sitemap_scope(url, sitemap) if job.payload.get("delete_missing") else ()
        report = await self._urls(scope, sitemap.urls, gone)
        report.failed += sitemap_failures(url, sitemap)
        return report

    async def _watch(self, scope: Scope, folder: str) -> IngestReport:
        """Ends only by being cancelled.

        Raises:
            PathNotFound: the folder has never been there.
        """
        watch = await self._opened(scope, Path(folder))
        done = chunks = 0
        async with aclosing(watch.changes()) as changes:
            async for change in changes:

                def on_progress(now: Progress, done: int = done, chunks: int = chunks) -> None:
                    scope.on_progress(
                        Progress(done + now.total, done + now.done, chunks + now.chunks)
                    )

                async with self._folder_turn:
                    report = await ingest_change(
                        self._runtime.ingester,
                        self._runtime.database,
                        watch,
                        change,
                        scope.job.payload["collection"],
                        on_progress,
                    )
                done += len(change.sources)
                chunks += report.chunks
                # It works, so however often its process has died, it goes on.
                await scope.checkpoint(
                    WATCHING, {"failed": [asdict(f) for f in report.failed[:20]]}
                )
        raise RostraError(f"{folder} is not watched any more")

    async def _opened(self, scope: Scope, folder: Path) -> FolderWatch:
        """The watch of a folder; one that was there before is waited for, such as a disk's.

        Raises:
            PathNotFound: it has never been there.
        """
        while True:
            try:
                return FolderWatch(folder, self._runtime.settings, self._watch_pace)
            except PathNotFound:
                if scope.job.stage != WATCHING:
                    raise
            await asyncio.sleep(_AWAY_SECONDS)

    def _fetcher(self) -> Fetcher:
        # Kept, so that pauses between the pages of one site hold across jobs.
        if self._made_fetcher is None:
            self._made_fetcher = make_fetcher(self._runtime.settings)
        return self._made_fetcher


def _nothing_read(report: IngestReport) -> NothingRead:
    first, count = report.failed[0], len(report.failed)
    which = f"; the first of {count:,} failures" if count > 1 else ""
    message = f"nothing could be read{which}: {first.uri}: {first.error}"
    return NothingRead(message, hint=first.hint, report=report.to_dict())


def urls_payload(collection: str, urls: list[str]) -> dict[str, Any]:
    """The payload of a job that reads pages.

    Raises:
        InvalidRequest: there are none or too many, or one is no URL of a page.
    """
    check_name(collection)
    if not 1 <= len(urls) <= MAX_URLS:
        raise InvalidRequest(f"1 to {MAX_URLS:,} URLs can be given, not {len(urls):,}")
    return {"collection": collection, "urls": list(dict.fromkeys(map(page_uri, urls)))}


def sitemap_payload(
    collection: str, url: str, hosts: list[str], *, delete_missing: bool = False
) -> dict[str, Any]:
    """The payload of a job that reads a sitemap's pages, and may delete those gone from it.

    Raises:
        InvalidRequest: it is no URL.
    """
    check_name(collection)
    return {
        "collection": collection,
        "sitemap": page_uri(url),
        "hosts": hosts,
        "delete_missing": delete_missing,
    }


def watch_payload(collection: str, folder: Path) -> dict[str, Any]:
    """The payload of a job that follows a folder."""
    check_name(collection)
    return {"collection": collection, "folder": str(folder.absolute().resolve())}
