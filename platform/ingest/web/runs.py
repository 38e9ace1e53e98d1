"""Ingests of pages: some URLs, or all that a sitemap lists."""

from collections.abc import Sequence

from rostra.core import Settings
from rostra.fetch import Fetcher
from rostra.ingest.pipeline import Failure, Ingester, IngestReport, OnProgress
from rostra.ingest.web.errors import PageUnreachable
from rostra.ingest.web.pages import WebPages, make_cache
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

    Raises:
        InvalidRequest: one of the URLs cannot be fetched.
        RostraError: as `Ingester.ingest` does.
    """
    async with WebPages(urls, fetcher, make_cache(settings), fresh_since) as pages:
        return await ingester.ingest(pages.sources, collection, on_progress=on_progress)


def sitemap_failures(url: str, sitemap: Sitemap) -> list[Failure]:
    """What of a sitemap was left out, as a run's report tells it."""
    found = [Failure(at, reason, PageUnreachable.code) for at, reason in sitemap.failed]
    if sitemap.is_cut:
        text = f"the sitemap lists more than was taken, which is {len(sitemap.urls):,} pages"
        found.append(Failure(url, text, "too_many_pages", "Raise fetch_max_pages."))
    return found
