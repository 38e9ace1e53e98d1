"""What sites ask of programs that read them: robots.txt, by RFC 9309.

What always holds: a site's rules are known before any page of it is asked for; a site whose rules
cannot be had because its server fails is left alone, one that has none may be read; rules are kept
for an hour, for a bounded number of sites.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx
from protego import Protego

from rostra.core import RostraError
from rostra.fetch.addresses import Unreachable

AGENT = "rostra-fetch"
# RFC 9309 asks for at least this much to be read.
MAX_ROBOTS_BYTES = 512 * 1024
_KEPT_SECONDS = 3600.0
_KEPT_SITES = 256
_LONGEST_DELAY = 10.0

# The text of a robots.txt; "" where there is none. Raises Unreachable when its server fails.
ReadRules = Callable[[httpx.URL], Awaitable[str]]


class DisallowedByRobots(RostraError):
    """The site asks programs not to read this page."""

    status = 403
    code = "disallowed_by_robots"


@dataclass(slots=True)
class _Site:
    """A site's rules, and when it may be asked next."""

    rules: Protego
    until: float
    delay: float
    next_at: float = 0.0


class Robots:
    """Keeps sites' rules.

    Args:
        agent: by what name rules address us.
        clock: seconds; monotonic.
    """

    def __init__(self, agent: str = AGENT, clock: Callable[[], float] = time.monotonic) -> None:
        self._agent = agent
        self._clock = clock
        self._sites: OrderedDict[str, _Site] = OrderedDict()
        self._locks: dict[str, asyncio.Lock] = {}

    async def check(self, url: httpx.URL, read: ReadRules) -> float:
        """How many seconds to wait before this page is asked for; usually 0.

        Args:
            url: of the page.
            read: reads the site's robots.txt.

        Raises:
            DisallowedByRobots: the site asks us not to read the page.
            Unreachable: its server fails to say.
        """
        site = await self._site(url, read)
        if not site.rules.can_fetch(str(url), self._agent):
            raise DisallowedByRobots(
                f"{url.host[:200]!r} asks programs not to read this page (robots.txt)",
                hint="Download it yourself and ingest the file, if you may.",
            )
        if not site.delay:
            return 0.0
        now = self._clock()
        start = max(now, site.next_at)
        site.next_at = start + site.delay
        return start - now

    async def _site(self, url: httpx.URL, read: ReadRules) -> _Site:
        origin = f"{url.scheme}://{url.netloc.decode()}"
        async with self._locks.setdefault(origin, asyncio.Lock()):
            site = self._sites.get(origin)
            if site is None or site.until < self._clock():
                rules = Protego.parse(await self._text(origin, url, read))
                delay = min(_LONGEST_DELAY, max(0.0, rules.crawl_delay(self._agent) or 0.0))
                site = _Site(rules, self._clock() + _KEPT_SECONDS, delay)
                self._sites[origin] = site
            self._sites.move_to_end(origin)
        while len(self._sites) > _KEPT_SITES:
            gone, _ = self._sites.popitem(last=False)
            self._locks.pop(gone, None)
        return site

    async def _text(self, origin: str, url: httpx.URL, read: ReadRules) -> str:
        try:
            return await read(url.copy_with(raw_path=b"/robots.txt"))
        except BaseException:
            # Who waits asks again; sites that are never kept must not keep their locks.
            self._locks.pop(origin, None)
            raise


def rules_unknown(host: str, reason: str) -> Unreachable:
    """The error of a site whose server fails to give its rules."""
    return Unreachable(
        f"robots.txt of {host[:200]!r} cannot be read, so its pages are not: {reason}"
    )
