"""Pages and sitemaps from a real server into a collection."""

import asyncio
import gzip
import ipaddress
import time
from collections.abc import Sequence
from typing import Any

import pytest

from rostra.core import InvalidRequest
from rostra.fetch import Fetcher, Guard, Robots, Unreachable
from rostra.ingest import (
    IngestReport,
    Sitemap,
    ingest_pages,
    page_uri,
    read_sitemap,
    sitemap_failures,
    sitemap_scope,
)
from rostra.ingest.web import pages, sitemaps
from rostra.store import document_versions, get_collection, get_text
from tests.web_server import ADDRESS, Reply, Request, Site, site

NETWORKS = (ipaddress.ip_network(ADDRESS),)


def fetcher(**options: Any) -> Fetcher:
    return Fetcher(Guard(networks=NETWORKS), robots=Robots(), **options)


async def read(library: Any, urls: Sequence[str], **options: Any) -> IngestReport:
    report: IngestReport = await ingest_pages(
        library.ingester(), library.settings, fetcher(), urls, "default", **options
    )
    return report


async def stored(library: Any) -> dict[str, str]:
    """The texts of all documents by their addresses."""
    async with library.database.read() as session:
        collection = await get_collection(session, "default")
        versions = await document_versions(session, collection.id)
        return {uri: await get_text(session, v.id, 0, 1000) for uri, v in versions.items()}


def reasons(report: IngestReport) -> dict[str, str]:
    return {failure.uri.rpartition("/")[2]: failure.code for failure in report.failed}


async def test_pages_become_documents_and_unchanged_ones_are_not_read_again(library: Any) -> None:
    async with site() as web:
        web.versioned("/a", "<p>alpha is first", '"1"')
        web.versioned("/b", "<p>beta is second", '"1"')
        urls = [f"{web.url}/a#top", f"{web.url}/b", f"{web.url}/a"]
        report = await read(library, urls)
        assert (report.documents, report.unchanged, report.failed) == (2, 0, [])
        assert await stored(library) == {
            f"{web.url}/a": "alpha is first",
            f"{web.url}/b": "beta is second",
        }
        sent = web.asked("/a")
        embedded = len(library.embedder.embedded)
        report = await read(library, urls)
        assert (report.documents, report.unchanged) == (0, 2)
        assert web.asked("/a") == sent + 1
        assert web.requests[-1].headers["if-none-match"] == '"1"'
        assert len(library.embedder.embedded) == embedded
        web.versioned("/b", "<p>beta has changed", '"2"')
        report = await read(library, urls)
        assert (report.documents, report.unchanged) == (1, 1)
        assert (await stored(library))[f"{web.url}/b"] == "beta has changed"


async def test_an_unchanged_page_is_read_again_when_the_settings_are_others(library: Any) -> None:
    async with site() as web:
        web.versioned("/a", "<p>alpha", '"1"')
        await read(library, [f"{web.url}/a"])
        ingester = library.ingester(chunk_tokens=32)
        report = await ingest_pages(
            ingester, library.settings, fetcher(), [f"{web.url}/a"], "default"
        )
        assert (report.documents, report.unchanged) == (1, 0)


async def test_pages_that_cannot_be_had_say_why_and_stop_nothing(
    library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_AGAIN_SECONDS", 0.0)
    async with site({"/robots.txt": Reply("User-agent: *\nDisallow: /no", "text/plain")}) as web:
        web.pages |= {
            "/fine": Reply("<p>fine"),
            "/no": Reply("<p>forbidden"),
            "/film": Reply(b"x", "video/mp4"),
            "/empty": Reply(""),
            "/inner": Reply(status="302 Found", headers={"Location": "http://127.0.0.1/"}),
            "/large": Reply(b"x" * 200_000, "text/plain"),
        }
        names = ["missing", "no", "film", "empty", "inner", "large", "fine"]
        library.settings = library.settings.model_copy(update={"max_file_bytes": 100_000})
        report = await ingest_pages(
            library.ingester(),
            library.settings,
            fetcher(max_bytes=100_000),
            [f"{web.url}/{name}" for name in names],
            "default",
        )
        assert reasons(report) == {
            "missing": "page_unreachable",
            "no": "page_refused",
            "film": "unsupported_type",
            "empty": "empty_file",
            "inner": "page_refused",
            "large": "too_large",
        }
        assert list(await stored(library)) == [f"{web.url}/fine"]
        assert web.asked("/no") == 0


async def test_a_server_that_is_busy_is_asked_again(
    library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_AGAIN_SECONDS", 0.0)

    def busy_twice(request: Request) -> Reply:
        if web.asked("/a") < 3:
            return Reply(status="503 Busy", headers={"Retry-After": "0"})
        return Reply("<p>alpha")

    async with site({"/a": busy_twice, "/b": Reply(status="500 Broken")}) as web:
        report = await read(library, [f"{web.url}/a", f"{web.url}/b"])
        assert (report.documents, reasons(report)) == (1, {"b": "page_unreachable"})
        assert web.asked("/b") == 3


async def test_a_run_that_goes_on_does_not_ask_for_what_it_has(library: Any) -> None:
    async with site({"/a": Reply("<p>alpha"), "/b": Reply("<p>beta")}) as web:
        began = time.time() - 5
        await read(library, [f"{web.url}/a"])
        report = await read(library, [f"{web.url}/a", f"{web.url}/b"], fresh_since=began)
        assert (report.documents, report.unchanged) == (1, 1)
        assert web.asked("/a") == 1
        # Without validators the next run has to ask.
        await read(library, [f"{web.url}/a"])
        assert web.asked("/a") == 2


async def test_a_run_that_is_cancelled_leaves_no_fetch_behind(library: Any) -> None:
    asked = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hang, ADDRESS, 0) as server:
        url = f"http://{ADDRESS}:{server.sockets[0].getsockname()[1]}/"
        run = asyncio.create_task(
            ingest_pages(
                library.ingester(),
                library.settings,
                Fetcher(Guard(networks=NETWORKS), seconds=3600),
                [f"{url}{n}" for n in range(6)],
                "default",
            )
        )
        await asked.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        left = [task for task in asyncio.all_tasks() if "_get" in str(task.get_coro())]
        assert left == []


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("http://X.example", "http://x.example/"),
        (" http://x.example/#top ", "http://x.example/"),
        ("https://x.example:443?q=1", "https://x.example/?q=1"),
        ("http://x.example/a b/ä", "http://x.example/a%20b/%C3%A4"),
    ],
)
def test_a_page_has_one_address(given: str, known: str) -> None:
    assert page_uri(given) == page_uri(known) == known


async def test_what_is_no_page(library: Any) -> None:
    for text in ("ftp://x.example/", "x.example", "http://", "file:///etc/passwd"):
        with pytest.raises(InvalidRequest):
            await read(library, [text])


def urlset(*urls: str) -> Reply:
    entries = "".join(f"<url><loc> {url} </loc><lastmod>2024-01-01</lastmod></url>" for url in urls)
    xml = f'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</urlset>'
    return Reply(xml, "application/xml")


def index(*urls: str) -> Reply:
    entries = "".join(f"<sitemap><loc>{url}</loc></sitemap>" for url in urls)
    return Reply(f"<sitemapindex>{entries}</sitemapindex>", "application/xml")


async def listed(web: Site, path: str = "/sitemap.xml", **options: Any) -> sitemaps.Sitemap:
    return await read_sitemap(fetcher(), web.url + path, **{"max_pages": 100, **options})


async def test_a_sitemap_and_those_it_lists() -> None:
    async with site() as web:
        u = web.url
        packed = gzip.compress(urlset(f"{u}/3", f"{u}/1").encoded().partition(b"\r\n\r\n")[2])
        web.pages |= {
            "/sitemap.xml": index(
                f"{u}/one.xml", f"{u}/two.xml.gz", f"{u}/three.txt", f"{u}/sitemap.xml"
            ),
            "/one.xml": urlset(f"{u}/1", "/2#x", "http://elsewhere.example/x", "mailto:x@y.z"),
            "/two.xml.gz": Reply(packed, "application/gzip"),
            "/three.txt": Reply(f"{u}/4\n\n{u}/5\n", "text/plain"),
        }
        found = await listed(web)
        assert found.urls == [f"{u}/{n}" for n in (1, 2, 3, 4, 5)]
        assert (found.elsewhere, found.failed, found.is_cut) == (2, [], False)
        allowed = await listed(web, hosts=frozenset({"Elsewhere.example"}))
        assert "http://elsewhere.example/x" in allowed.urls


async def test_a_sitemap_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sitemaps, "MAX_SITEMAPS", 4)
    async with site() as web:
        u = web.url

        def endless(request: Request) -> Reply:
            return index(*(f"{u}{request.path}{n}" for n in range(3)))

        class Endless(dict[str, Any]):
            def get(self, key: str, default: Any = None) -> Any:
                return default if key == "/robots.txt" else endless

        web.pages = Endless()
        found = await listed(web)
        assert found.is_cut
        assert len(web.requests) <= 5
        web.pages = {"/sitemap.xml": urlset(*(f"{u}/{n}" for n in range(10)))}
        cut = await listed(web, max_pages=3)
        assert (len(cut.urls), cut.is_cut) == (3, True)
        (failure,) = sitemap_failures(f"{u}/sitemap.xml", cut)
        assert failure.code == "too_many_pages"


async def test_what_is_no_sitemap() -> None:
    nested = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    declared = f'<!DOCTYPE x [<!ENTITY e0 "http://127.0.0.1/">{nested}]>'
    large = declared + "<urlset><url><loc>&e9;</loc></url></urlset>"
    declared = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    small = declared + "<urlset><url><loc>&b;</loc></url></urlset>"
    async with site() as web:
        web.pages |= {
            "/html": Reply("<html><body>hello</body></html>"),
            "/text": Reply("hello", "text/plain"),
            "/empty": Reply(""),
            "/broken": Reply("<urlset><url>", "text/xml"),
            "/gzip": Reply(b"\x1f\x8b broken"),
            "/large": Reply(large, "text/xml"),
        }
        for path in ("/html", "/text", "/empty", "/broken", "/gzip", "/large"):
            with pytest.raises(InvalidRequest):
                await listed(web, path)
        with pytest.raises(Unreachable):
            await listed(web, "/missing")
        web.pages["/small"] = Reply(small, "text/xml")
        assert (await listed(web, "/small")).urls == []


async def test_a_sitemap_below_that_fails_is_told_of() -> None:
    async with site() as web:
        u = web.url
        web.pages |= {
            "/sitemap.xml": index(f"{u}/gone.xml", f"{u}/one.xml"),
            "/one.xml": urlset(f"{u}/1"),
        }
        found = await listed(web)
        assert found.urls == [f"{u}/1"]
        (failure,) = sitemap_failures(f"{u}/sitemap.xml", found)
        assert (failure.uri, failure.code) == (f"{u}/gone.xml", "page_unreachable")


async def test_pages_gone_from_a_sitemap_are_deleted_when_asked_to(library: Any) -> None:
    async with site() as web:
        u = web.url
        web.pages |= {f"/{name}": Reply(f"<p>about {name}") for name in ("a", "b", "docs/c")}
        web.pages["/sitemap.xml"] = urlset(f"{u}/a", f"{u}/b", f"{u}/docs/c")

        async def follow(path: str = "/sitemap.xml", *, prune: bool = True) -> IngestReport:
            found = await listed(web, path)
            gone = sitemap_scope(u + path, found) if prune else ()
            return await read(library, found.urls, delete_missing=gone)

        await follow()
        await library.put("https://other.example/x", "Of another site.")
        # Still listed, and not to be had: it may come back.
        del web.pages["/a"]
        report = await follow()
        assert (report.deleted, reasons(report)) == (0, {"a": "page_unreachable"})
        web.pages["/sitemap.xml"] = urlset(f"{u}/b")
        report = await follow(prune=False)
        assert (report.deleted, len(await stored(library))) == (0, 4)
        # One for a folder speaks for that alone.
        web.pages["/docs/sitemap.xml"] = urlset(f"{u}/docs/d")
        web.pages["/docs/d"] = Reply("<p>about d")
        assert (await follow("/docs/sitemap.xml")).deleted == 1
        assert set(await stored(library)) == {
            f"{u}/a", f"{u}/b", f"{u}/docs/d", "https://other.example/x"
        }  # fmt: skip
        assert (await follow()).deleted == 2
        assert set(await stored(library)) == {f"{u}/b", "https://other.example/x"}


@pytest.mark.parametrize(
    ("found", "scope"),
    [
        (Sitemap(["https://x.example/a"]), ("https://x.example/docs/",)),
        (Sitemap([]), ()),
        (Sitemap(["https://x.example/a"], is_cut=True), ()),
        (Sitemap(["https://x.example/a"], failed=[("https://x.example/b.xml", "gone")]), ()),
    ],
)
def test_only_a_sitemap_that_was_read_whole_says_what_is_gone(
    found: Sitemap, scope: tuple[str, ...]
) -> None:
    assert sitemap_scope("https://x.example/docs/sitemap.xml?a=/b/c#d", found) == scope
