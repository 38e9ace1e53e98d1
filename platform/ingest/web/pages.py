"""URLs as sources of an ingest: fetched a few ahead of where the run is, kept for the next time.

What always holds: every byte comes through the guarded fetcher; a page that its server says is
unchanged is given again as it was, and so is not parsed again; a page that cannot be had is that
source's failure with its reason and stops nothing else. No fetch outlives `close`.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from rostra.core import InvalidRequest, Settings, UnreadableFile
from rostra.fetch import DisallowedByRobots, Fetched, Fetcher, Guard, Robots, Unreachable, parse_url
from rostra.ingest.errors import TooLarge
from rostra.ingest.web.cache import Page, PageCache
from rostra.ingest.web.declared import check_type, page_name, with_declared_encoding
from rostra.ingest.web.errors import PageRefused, PageUnreachable

_AHEAD = 4
_TRIES = 3
_AGAIN_SECONDS = 1.0
_LONGEST_WAIT = 30.0
# Answers after which a server may answer better a little later.
_PASSING = frozenset({429, 500, 502, 503, 504})
_CACHE_BYTES = 1024**3


def make_fetcher(settings: Settings) -> Fetcher:
    """The fetcher of sources, within the limits of the settings."""
    return Fetcher(
        Guard(networks=tuple(settings.fetch_networks)),
        seconds=settings.fetch_seconds,
        max_bytes=settings.max_file_bytes,
        robots=Robots(),
    )


def make_cache(settings: Settings) -> PageCache:
    """The pages kept under the data directory."""
    return PageCache(Path(settings.home) / "pages", _CACHE_BYTES)


@dataclass(slots=True)
class PageSource:
    """One URL; see `rostra.ingest.items.Source`."""

    uri: str
    pages: "WebPages"
    at: int
    _page: Page | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """Of what was fetched, once it was."""
        if self._page is None:
            return page_name(httpx.URL(self.uri), "")
        return page_name(httpx.URL(self._page.final), self._page.content_type)

    @property
    def size(self) -> int:
        """Not known before reading."""
        return 0

    def read(self) -> bytes:
        """The page's bytes. Blocks; not to be called from the event loop.

        Raises:
            UnreadableFile: of the class that says why it cannot be had.
        """
        self._page = self.pages.read(self.at)
        return with_declared_encoding(self._page.body, self._page.content_type)


class WebPages:
    """The pages of one run; made and used within one event loop.

    Args:
        urls: what to read, in this order; those given twice are read once.
        fetcher: fetches them.
        cache: keeps them.
        fresh_since: Unix seconds; what was fetched later is not asked for again, so that a run
            that was broken off goes on where it was.

    Raises:
        InvalidRequest: one of the URLs is no URL that can be fetched.
    """

    def __init__(
        self,
        urls: Sequence[str],
        fetcher: Fetcher,
        cache: PageCache,
        fresh_since: float = float("inf"),
    ) -> None:
        self._urls = list(dict.fromkeys(page_uri(url) for url in urls))
        self._fetcher = fetcher
        self._cache = cache
        self._fresh_since = fresh_since
        self._loop = asyncio.get_running_loop()
        self._under_way: dict[int, asyncio.Task[Page]] = {}

    @property
    def sources(self) -> list[PageSource]:
        """One source a URL."""
        return [PageSource(url, self, at) for at, url in enumerate(self._urls)]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends what is under way."""
        tasks = list(self._under_way.values())
        self._under_way.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._cache.prune)

    def read(self, at: int) -> Page:
        """A page, waited for in a thread.

        Raises:
            UnreadableFile: it cannot be had.
        """
        waiting = asyncio.run_coroutine_threadsafe(self._page(at), self._loop)
        return waiting.result()

    async def _page(self, at: int) -> Page:
        for following in range(at, min(at + _AHEAD, len(self._urls))):
            if following not in self._under_way:
                work = self._get(self._urls[following])
                self._under_way[following] = asyncio.create_task(work)
        task = self._under_way[at]
        try:
            return await task
        finally:
            self._under_way.pop(at, None)

    async def _get(self, url: str) -> Page:
        kept = await asyncio.to_thread(self._cache.get, url)
        if kept is not None and kept[1] >= self._fresh_since:
            return kept[0]
        page = kept[0] if kept is not None else None
        fetched = await self._fetched(url, page)
        if fetched.is_unchanged and page is not None:
            await asyncio.to_thread(self._cache.confirm, url)
            return page
        if fetched.truncated:
            raise TooLarge(
                f"the page is larger than {len(fetched.body):,} bytes",
                hint="Raise max_file_bytes.",
            )
        page = Page(
            url,
            str(fetched.url),
            fetched.content_type,
            fetched.body,
            fetched.etag,
            fetched.last_modified,
        )
        await asyncio.to_thread(self._cache.put, page)
        return page

    async def _fetched(self, url: str, page: Page | None) -> Fetched:
        known = page.validators if page is not None else None
        tries = 0
        while True:
            tries += 1
            try:
                return await self._fetcher.fetch(url, known=known, check_type=check_type)
            except Unreachable as error:
                if tries == _TRIES or error.details.get("http_status") not in _PASSING:
                    raise PageUnreachable(error.message, hint=error.hint) from None
                asked = error.details.get("retry_after", _AGAIN_SECONDS * 2 ** (tries - 1))
                wait = min(_LONGEST_WAIT, asked) * random.uniform(1, 1.25)
            except (InvalidRequest, DisallowedByRobots) as error:
                raise PageRefused(error.message, hint=error.hint) from None
            except UnreadableFile:
                raise
            await asyncio.sleep(wait)


def page_uri(text: str) -> str:
    """The address under which a page is known: as it was asked for, without its fragment.

    Raises:
        InvalidRequest: it is no http or https URL.
    """
    url = parse_url(text.strip())
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidRequest(
            f"{text[:200]!r} is no URL of a page", hint="Give http:// or https:// and a host."
        )
    # With the path's slash, without which one page would have two addresses.
    return str(url.copy_with(raw_path=url.raw_path))
