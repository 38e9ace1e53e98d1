"""What a sitemap lists, and the sitemaps that it lists, within bounds.

What always holds: only pages and sitemaps of the sitemap's own host, or of hosts that are allowed
by name, are taken; at most `max_pages` pages and `MAX_SITEMAPS` sitemaps; XML entities are never
expanded. A sitemap below the first one that cannot be read is told of and stops nothing.
"""

import zlib
from dataclasses import dataclass, field

import httpx
from lxml import etree

from rostra.core import InvalidRequest, RostraError, get_logger
from rostra.fetch import DisallowedByRobots, Fetcher, Unreachable, parse_url
from rostra.ingest.web.pages import page_uri

log = get_logger(__name__)

MAX_SITEMAPS = 500
# What the sitemaps protocol allows for one file.
MAX_SITEMAP_BYTES = 50 * 1024 * 1024
_GZIP = b"\x1f\x8b"


@dataclass(slots=True)
class Sitemap:
    """What was found.

    Attributes:
        urls: of pages, in the order of the sitemap, each once.
        failed: sitemaps below the first that could not be read: address and reason.
        elsewhere: pages left out because they are on other hosts.
        is_cut: whether a bound was reached, so that there are more pages than `urls`.
    """

    urls: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    elsewhere: int = 0
    is_cut: bool = False


async def read_sitemap(
    fetcher: Fetcher, url: str, *, hosts: frozenset[str] = frozenset(), max_pages: int
) -> Sitemap:
    """Reads a sitemap (XML, gzipped, or a text of one URL a line) and those it lists.

    Args:
        fetcher: fetches it.
        url: where it is.
        hosts: whose pages are taken too, with the names below them; the sitemap's own host always
            counts.
        max_pages: most pages taken.

    Raises:
        InvalidRequest: it is no sitemap, or its URL may not be fetched.
        DisallowedByRobots: its site asks programs not to read it.
        Unreachable: it cannot be had.
    """
    first = page_uri(url)
    found = Sitemap()
    own = httpx.URL(first).host.lower()
    allowed = frozenset(host.lower().strip(".") for host in hosts)
    waiting, seen, pages = [first], {first}, dict[str, None]()
    while waiting and not found.is_cut:
        address = waiting.pop(0)
        try:
            listed_sitemaps, listed = await _read_one(fetcher, address)
        except (InvalidRequest, DisallowedByRobots, Unreachable) as error:
            if address == first:
                raise
            found.failed.append((address, error.message))
            continue
        for text in listed:
            page = _allowed(text, address, own, allowed)
            if page is None:
                found.elsewhere += 1
            elif page not in pages:
                if len(pages) == max_pages:
                    found.is_cut = True
                    break
                pages[page] = None
        for text in listed_sitemaps:
            below = _allowed(text, address, own, allowed)
            if below is None or below in seen:
                continue
            if len(seen) == MAX_SITEMAPS:
                found.is_cut = True
                break
            seen.add(below)
            waiting.append(below)
    found.urls = list(pages)
    if found.elsewhere:
        log.info("pages of other hosts left out", sitemap=first, pages=found.elsewhere)
    return found


def _allowed(text: str, base: str, own: str, hosts: frozenset[str]) -> str | None:
    """The address, if it is of an allowed host."""
    try:
        url = parse_url(text.strip(), httpx.URL(base))
    except RostraError:
        return None
    host = url.host.lower().rstrip(".")
    if url.scheme not in ("http", "https"):
        return None
    if host != own and not any(host == name or host.endswith(f".{name}") for name in hosts):
        return None
    return page_uri(str(url))


async def _read_one(fetcher: Fetcher, address: str) -> tuple[list[str], list[str]]:
    """The sitemaps and the pages that one file lists."""
    fetched = await fetcher.fetch(address, max_bytes=MAX_SITEMAP_BYTES)
    body, is_cut = fetched.body, fetched.truncated
    if body.startswith(_GZIP):
        unpack = zlib.decompressobj(wbits=31)
        try:
            body = unpack.decompress(body, MAX_SITEMAP_BYTES + 1)
        except zlib.error:
            raise InvalidRequest(f"the sitemap {address} cannot be unpacked") from None
        is_cut = is_cut or len(body) > MAX_SITEMAP_BYTES
    if is_cut:
        raise InvalidRequest(f"the sitemap {address} is larger than {MAX_SITEMAP_BYTES:,} bytes")
    if body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return _read_xml(body, address)
    lines = body.decode("utf-8-sig", errors="replace").splitlines()
    urls = [line.strip() for line in lines if line.strip()]
    if not urls or not all(line.startswith(("http://", "https://")) for line in urls):
        raise InvalidRequest(f"{address} is no sitemap")
    return [], urls


def _read_xml(body: bytes, address: str) -> tuple[list[str], list[str]]:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_pis=True
    )
    try:
        root = etree.fromstring(body.lstrip(), parser)
    except etree.XMLSyntaxError as error:
        reason = str(error)[:200]
        raise InvalidRequest(f"the sitemap {address} cannot be read: {reason}") from None
    kind = etree.QName(root).localname
    if kind not in ("urlset", "sitemapindex"):
        raise InvalidRequest(
            f"{address} is no sitemap: it is a <{kind[:50]}>",
            hint="Sitemaps are often at /sitemap.xml; robots.txt of the site may name it.",
        )
    # Not those of images and videos, which extensions of the protocol nest deeper.
    found = [
        (child.text or "").strip()
        for entry in root
        for child in entry
        if isinstance(child.tag, str) and etree.QName(child).localname == "loc"
    ]
    listed = [text for text in found if text]
    return (listed, []) if kind == "sitemapindex" else ([], listed)
