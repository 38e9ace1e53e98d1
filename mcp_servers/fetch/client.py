"""One GET with its redirects, each checked like the first, within limits of time and size.

What always holds: no proxy, cookie or password is sent; at most `max_bytes` are kept, counted after
unpacking, and unpacking never makes more; a body that is longer is cut, and says so.
"""

import asyncio
import zlib
from dataclasses import dataclass

import httpcore
import httpx

from mcp_servers.fetch.addresses import MAX_URL, Guard, GuardedBackend, Unreachable
from rostra.core import InvalidRequest

_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 5
_AT_ONCE = 8
_HEADERS = [
    ("User-Agent", "rostra-fetch"),
    (
        "Accept",
        "text/html, application/xhtml+xml, text/*, application/json;q=0.9, application/pdf;q=0.8, "
        "*/*;q=0.1",
    ),
    ("Accept-Encoding", "gzip, deflate"),
]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a server answered.

    Attributes:
        url: after redirects.
        content_type: of the header; may be empty.
        body: unpacked.
        truncated: whether it is only the beginning.
    """

    url: httpx.URL
    status: int
    content_type: str
    body: bytes
    truncated: bool


class Fetcher:
    """Fetches pages.

    Args:
        guard: what may be fetched.
        seconds: longest time for a page, redirects included.
        max_bytes: most that is kept of a body.
        network: makes connections; the real network by default.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        seconds: float = 20.0,
        max_bytes: int = 4 * 1024 * 1024,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._guard = guard
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._backend = GuardedBackend(guard, network or httpcore.AnyIOBackend())
        self._tls = httpx.create_ssl_context()
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def fetch(self, address: str) -> Fetched:
        """The page at a URL.

        Raises:
            InvalidRequest: the URL or what it leads to is not allowed.
            Unreachable: no answer, or not in time, or one that says it failed.
        """
        url = _parsed(address)
        async with self._places:
            try:
                async with asyncio.timeout(self._seconds), self._pool() as pool:
                    for _ in range(_MAX_REDIRECTS + 1):
                        self._guard.check_url(url)
                        answer = await self._ask(pool, url)
                        if isinstance(answer, Fetched):
                            return answer
                        url = answer
            except TimeoutError:
                raise Unreachable(f"no answer within {self._seconds:g} seconds") from None
            except (httpcore.NetworkError, httpcore.ProtocolError) as error:
                raise Unreachable(
                    f"{url.host[:200]!r} cannot be read: {str(error)[:200] or type(error).__name__}"
                ) from None
            except httpcore.TimeoutException:
                raise Unreachable(f"{url.host[:200]!r} does not answer") from None
        raise InvalidRequest(f"the page redirects more than {_MAX_REDIRECTS} times")

    def _pool(self) -> httpcore.AsyncConnectionPool:
        # A new one for each page: connections are not kept, so each is to an address just checked.
        return httpcore.AsyncConnectionPool(
            ssl_context=self._tls, network_backend=self._backend, max_connections=1
        )

    async def _ask(self, pool: httpcore.AsyncConnectionPool, url: httpx.URL) -> Fetched | httpx.URL:
        """The answer, or where it redirects to."""
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), self._seconds)
        async with pool.stream(
            "GET",
            httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=_HEADERS,
            extensions={"timeout": timeouts},
        ) as response:
            headers = {name.lower(): value.decode("latin-1") for name, value in response.headers}
            if response.status in _REDIRECTS and b"location" in headers:
                return _parsed(headers[b"location"], url)
            if response.status >= 400:
                reason = response.extensions.get("reason_phrase", b"").decode("latin-1")
                raise Unreachable(f"the server answered {response.status} {reason[:100]}".strip())
            body, truncated = await self._body(
                response, headers.get(b"content-encoding", "identity").strip().lower()
            )
        content_type = headers.get(b"content-type", "")[:200]
        return Fetched(url, response.status, content_type, body, truncated)

    async def _body(self, response: httpcore.Response, encoding: str) -> tuple[bytes, bool]:
        if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise Unreachable(f"the server sends the page packed as {encoding[:50]!r}")
        unpack = zlib.decompressobj(wbits=47) if encoding not in ("", "identity") else None
        kept = bytearray()
        async for chunk in response.aiter_stream():
            # One more than wanted, to know whether there is more.
            room = self._max_bytes + 1 - len(kept)
            try:
                kept += chunk[:room] if unpack is None else unpack.decompress(chunk, room)
            except zlib.error:
                raise Unreachable("the page cannot be unpacked") from None
            if len(kept) > self._max_bytes:
                return bytes(kept[: self._max_bytes]), True
        return bytes(kept), False


def _parsed(text: str, base: httpx.URL | None = None) -> httpx.URL:
    if len(text) > MAX_URL:
        raise InvalidRequest(f"the URL is longer than {MAX_URL} characters")
    try:
        url = httpx.URL(text) if base is None else base.join(text)
        return url.copy_with(fragment=None)
    except (httpx.InvalidURL, ValueError) as error:
        raise InvalidRequest(f"the URL cannot be read: {str(error)[:200]}") from None
