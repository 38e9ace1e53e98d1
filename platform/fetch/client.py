"""One GET with its redirects, each checked like the first, within limits of time and size.

What always holds: no proxy, cookie or password is sent; at most `max_bytes` are kept, counted after
unpacking, and unpacking never makes more; a body that is longer is cut, and says so; where robots
are heeded, no page is asked for before its site's rules allow it, on no hop.
"""

import asyncio
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from rostra.core import InvalidRequest
from rostra.fetch.addresses import MAX_URL, Guard, GuardedBackend, Unreachable
from rostra.fetch.robots import AGENT, MAX_ROBOTS_BYTES, Robots, rules_unknown

_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 5
_AT_ONCE = 8
_HEADERS = [
    ("User-Agent", AGENT),
    (
        "Accept",
        "text/html, application/xhtml+xml, text/*, application/json;q=0.9, application/pdf;q=0.8, "
        "*/*;q=0.1",
    ),
    ("Accept-Encoding", "gzip, deflate"),
]

_NOT_MODIFIED = 304
_MAX_VALIDATOR = 500

CheckType = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Validators:
    """What a page was known by when it was last read.

    Attributes:
        url: it had, after redirects.
        etag: of the header; may be empty.
        last_modified: of the header; may be empty.
    """

    url: str
    etag: str = ""
    last_modified: str = ""

    def headers(self) -> list[tuple[str, str]]:
        """Ask for the page only if it has changed."""
        given = (("If-None-Match", self.etag), ("If-Modified-Since", self.last_modified))
        return [(name, value) for name, value in given if value]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a server answered.

    Attributes:
        url: after redirects.
        status: 304 when the page is as the validators say; it has no body then.
        content_type: of the header; may be empty.
        body: unpacked.
        truncated: whether it is only the beginning.
        etag, last_modified: of the headers; may be empty.
    """

    url: httpx.URL
    status: int
    content_type: str
    body: bytes
    truncated: bool
    etag: str = ""
    last_modified: str = ""

    @property
    def is_unchanged(self) -> bool:
        """Whether the page is the one that the validators were of."""
        return self.status == _NOT_MODIFIED


class Fetcher:
    """Fetches pages.

    Args:
        guard: what may be fetched.
        seconds: longest time for a page, redirects included.
        max_bytes: most that is kept of a body.
        network: makes connections; the real network by default.
        robots: sites' rules, which are heeded when this is given.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        seconds: float = 20.0,
        max_bytes: int = 4 * 1024 * 1024,
        network: httpcore.AsyncNetworkBackend | None = None,
        robots: Robots | None = None,
    ) -> None:
        self._guard = guard
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._backend = GuardedBackend(guard, network or httpcore.AnyIOBackend())
        self._tls = httpx.create_ssl_context()
        self._robots = robots
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def fetch(
        self,
        address: str,
        *,
        known: Validators | None = None,
        check_type: CheckType | None = None,
        max_bytes: int | None = None,
    ) -> Fetched:
        """The page at a URL.

        Args:
            address: its URL.
            known: of the page as last read; one that is unchanged is not sent again.
            check_type: called with the content type before the body is read; may raise.
            max_bytes: most that is kept of the body; by default the fetcher's own limit.

        Raises:
            InvalidRequest: the URL or what it leads to is not allowed.
            DisallowedByRobots: its site asks programs not to read it.
            Unreachable: no answer, or not in time, or one that says it failed; the details have
                `http_status` where a server said so.
        """
        url = parse_url(address)
        wanted = _Wanted(known, check_type, max_bytes or self._max_bytes)
        clock = asyncio.get_running_loop().time
        left = self._seconds
        async with self._places:
            for _ in range(_MAX_REDIRECTS + 1):
                self._guard.check_url(url)
                if self._robots is not None:
                    # Outside of the page's time, for a site may ask for long pauses.
                    await asyncio.sleep(await self._robots.check(url, self._read_robots))
                asked_at = clock()
                answer = await self._within(left, url, wanted)
                left -= clock() - asked_at
                if isinstance(answer, Fetched):
                    return answer
                url = answer
        raise InvalidRequest(f"the page redirects more than {_MAX_REDIRECTS} times")

    async def _read_robots(self, url: httpx.URL) -> str:
        """A site's robots.txt; empty where it has none.

        Raises:
            Unreachable: its server fails.
        """
        wanted = _Wanted(None, None, MAX_ROBOTS_BYTES)
        host = url.host
        for _ in range(_MAX_REDIRECTS + 1):
            self._guard.check_url(url)
            try:
                answer = await self._within(self._seconds, url, wanted)
            except Unreachable as error:
                if 400 <= error.details.get("http_status", 0) < 500:
                    return ""
                raise rules_unknown(host, error.message) from None
            if isinstance(answer, Fetched):
                return answer.body.decode("utf-8", errors="replace")
            url = answer
        return ""

    async def _within(
        self, seconds: float, url: httpx.URL, wanted: "_Wanted"
    ) -> Fetched | httpx.URL:
        """One hop: the answer, or where it redirects to."""
        try:
            async with asyncio.timeout(seconds), self._pool() as pool:
                return await self._ask(pool, url, wanted)
        except TimeoutError:
            raise Unreachable(f"no answer within {self._seconds:g} seconds") from None
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise Unreachable(
                f"{url.host[:200]!r} cannot be read: {str(error)[:200] or type(error).__name__}"
            ) from None
        except httpcore.TimeoutException:
            raise Unreachable(f"{url.host[:200]!r} does not answer") from None

    def _pool(self) -> httpcore.AsyncConnectionPool:
        # A new one for each page: connections are not kept, so each is to an address just checked.
        return httpcore.AsyncConnectionPool(
            ssl_context=self._tls, network_backend=self._backend, max_connections=1
        )

    async def _ask(
        self, pool: httpcore.AsyncConnectionPool, url: httpx.URL, wanted: "_Wanted"
    ) -> Fetched | httpx.URL:
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self._seconds)
        async with pool.stream(
            "GET",
            httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=[*_HEADERS, *wanted.conditions(url)],
            extensions={"timeout": timeouts},
        ) as response:
            headers = {name.lower(): value.decode("latin-1") for name, value in response.headers}
            if response.status in _REDIRECTS and b"location" in headers:
                return parse_url(headers[b"location"], url)
            content_type = headers.get(b"content-type", "")[:200]
            etag, last_modified = (
                _validator(headers.get(name, "")) for name in (b"etag", b"last-modified")
            )
            if response.status == _NOT_MODIFIED and wanted.conditions(url):
                body, truncated = b"", False
            elif response.status < 200 or response.status >= 300:
                raise _refusal(response, headers)
            else:
                if wanted.check_type is not None:
                    wanted.check_type(content_type)
                encoding = headers.get(b"content-encoding", "identity").strip().lower()
                body, truncated = await self._body(response, encoding, wanted.max_bytes)
        return Fetched(url, response.status, content_type, body, truncated, etag, last_modified)

    async def _body(
        self, response: httpcore.Response, encoding: str, max_bytes: int
    ) -> tuple[bytes, bool]:
        if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise Unreachable(f"the server sends the page packed as {encoding[:50]!r}")
        unpack = zlib.decompressobj(wbits=47) if encoding not in ("", "identity") else None
        kept = bytearray()
        async for chunk in response.aiter_stream():
            # One more than wanted, to know whether there is more.
            room = max_bytes + 1 - len(kept)
            try:
                kept += chunk[:room] if unpack is None else unpack.decompress(chunk, room)
            except zlib.error:
                raise Unreachable("the page cannot be unpacked") from None
            if len(kept) > max_bytes:
                return bytes(kept[:max_bytes]), True
        return bytes(kept), False


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What one call of `fetch` asks for, on every hop."""

    known: Validators | None
    check_type: CheckType | None
    max_bytes: int

    def conditions(self, url: httpx.URL) -> list[tuple[str, str]]:
        # Another page on the way may have a validator of the same name.
        known = self.known
        return known.headers() if known is not None and known.url == str(url) else []


def _validator(value: str) -> str:
    # A cut one would match nothing; one that no header can carry cannot be sent back.
    return value if len(value) <= _MAX_VALIDATOR and value.isascii() else ""


def _refusal(response: httpcore.Response, headers: dict[bytes, str]) -> Unreachable:
    reason = response.extensions.get("reason_phrase", b"").decode("latin-1")
    details: dict[str, Any] = {"http_status": response.status}
    after = headers.get(b"retry-after", "").strip()
    if after.isdecimal() and len(after) < 6:
        details["retry_after"] = int(after)
    return Unreachable(f"the server answered {response.status} {reason[:100]}".strip(), **details)


def parse_url(text: str, base: httpx.URL | None = None) -> httpx.URL:
    """A URL without its fragment.

    Args:
        text: absolute, or relative to `base`.
        base: where `text` stands.

    Raises:
        InvalidRequest: it is too long or malformed.
    """
    if len(text) > MAX_URL:
        raise InvalidRequest(f"the URL is longer than {MAX_URL} characters")
    try:
        url = httpx.URL(text) if base is None else base.join(text)
        return url.copy_with(fragment=None)
    except (httpx.InvalidURL, ValueError) as error:
        raise InvalidRequest(f"the URL cannot be read: {str(error)[:200]}") from None
