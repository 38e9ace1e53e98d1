"""Ingests of pages: some URLs, or all that a sitemap lists."""

from collections.abc import Sequence

import httpx

from rostra.core import Settings
from rostra.fetch import Fetcher
from rostra.ingest.pipeline import Failure, Ingester, IngestReport, OnProgress
from rostra.ingest.web.errors import PageUnreachable
from rostra.ingest.web.pages import WebPages, make_cache, page_uri
from rostra.ingest.web.sitemaps import Sitemap


async def ingest_pages(
    ingester: Ingester,
    settings: Settings,
    fetcher: Fetcher,
    urls: Sequence[str],
    collection: str,
    *,
    on_progress: OnProgress | None = None,
    fresh_since: float = float("inf"),
    delete_missing: Sequence[str] = (),
) -> IngestReport:
    """Reads pages into a collection.

    Args:
        ingester: reads them.
        settings: where pages are kept.
        fetcher: fetches them.
        urls: of the pages.
        collection: by name, made when missing.
        on_progress: called often, from the event loop.
        fresh_since: Unix seconds; pages fetched later are not asked for again.
        delete_missing: uri prefixes; stored documents under them that are not among `urls` are
            deleted. A page that could not be had is among them, and stays.

    Raises:
        InvalidRequest: one of the URLs cannot be fetched.
        RostraError: as `Ingester.ingest` does.
    """
    async with WebPages(urls, fetcher, make_cache(settings), fresh_since) as pages:
        return await ingester.ingest(
            pages.sources, collection, on_progress=on_progress, delete_missing=delete_missing
        )


def sitemap_scope(url: str, sitemap: Sitemap) -> tuple[str, ...]:
    """Under which addresses a stored page that the sitemap does not list is gone.

    Those are the addresses below the sitemap's own folder, which are all that it may speak for by
    the sitemaps protocol. None when it was not read whole, or lists nothing at all: what it does
    not list may be there all the same.
    """
    if sitemap.is_cut or sitemap.failed or not sitemap.urls:
        return ()
    address = httpx.URL(page_uri(url))
    folder = address.raw_path.partition(b"?")[0].rpartition(b"/")[0] + b"/"
    return (str(address.copy_with(raw_path=folder)),)


def sitemap_failures(url: str, sitemap: Sitemap) -> list[Failure]:
    """What of a sitemap was left out, as a run's report tells it."""
    found = [Failure(at, reason, PageUnreachable.code) for at, reason in sitemap.failed]
    if sitemap.is_cut:
        text = f"the sitemap lists more than was taken, which is {len(sitemap.urls):,} pages"
        found.append(Failure(url, text, "too_many_pages", "Raise fetch_max_pages."))
    return found
