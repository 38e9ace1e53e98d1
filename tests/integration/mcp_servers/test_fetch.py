"""Fetching from a real server on this machine, which only an option makes reachable."""

import asyncio
import gzip
import io
import ipaddress
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import docx
import httpx
import pytest
from click.testing import CliRunner
from mcp import Client
from mcp.types import TextContent
from reportlab.pdfgen.canvas import Canvas

from mcp_servers.fetch.__main__ import main
from mcp_servers.fetch.documents import DOCX, PDF, DocumentReader, document_type
from rostra.core import InvalidRequest, Settings, UnreadableFile
from rostra.fetch import Fetched, Fetcher, Guard, Unreachable

Connect = Callable[..., AbstractAsyncContextManager[Client]]
# All of 127.0.0.0/8 is this machine: one address of it is allowed, so the others must be refused.
ALLOWED = "127.0.0.2"
GUARD = Guard(networks=(ipaddress.ip_network(ALLOWED),))
HTML = "Content-Type: text/html; charset=utf-8"


def page(body: bytes | str = b"", *headers: str, status: str = "200 OK") -> bytes:
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(data)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def redirect(target: str) -> bytes:
    return page(b"", f"Location: {target}", status="302 Found")


@asynccontextmanager
async def serving(
    pages: dict[str, bytes], host: str = ALLOWED
) -> AsyncIterator[tuple[str, list[str]]]:
    """A server's address, and the requests it has seen; a page of b"" is never answered."""
    requests: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            requests.append(request)
            data = pages.get(request.split()[1], page(b"", status="404 Not Found"))
            if not data:
                await reader.read()
            writer.write(data)
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(answer, host, 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://{host}:{port}", requests


async def test_a_page_is_fetched_and_its_redirects_followed() -> None:
    async with serving({"/a": redirect("/b?x=1#y"), "/b?x=1": page("hi", HTML)}) as (url, seen):
        fetched = await Fetcher(GUARD).fetch(f"{url}/a#part")
    assert str(fetched.url) == f"{url}/b?x=1"
    assert (fetched.body, fetched.status, fetched.truncated) == (b"hi", 200, False)
    assert fetched.content_type == "text/html; charset=utf-8"
    assert len(seen) == 2
    for request in seen:
        names = {line.split(":")[0].lower() for line in request.splitlines()[1:] if line}
        assert names == {"host", "user-agent", "accept", "accept-encoding"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "0"])
async def test_this_machine_is_not_reached_directly_or_by_redirect(host: str) -> None:
    async with serving({"/": page("secret")}, "127.0.0.1") as (inner, seen):
        port = inner.rpartition(":")[2]
        with pytest.raises((InvalidRequest, Unreachable)):
            await Fetcher(GUARD).fetch(f"http://{host}:{port}/")
        async with serving({"/": redirect(f"http://{host}:{port}/")}) as (url, _):
            with pytest.raises((InvalidRequest, Unreachable)):
                await Fetcher(GUARD).fetch(url)
        assert seen == []


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.2/",
        "http://user:pass@127.0.0.2/",
        "http://127.0.0.2:22/",
        "//169.254.169.254/latest/meta-data/",
        "http://[::ffff:127.0.0.1]/",
        "http://" + "x" * 3_000,
        "http://[",
        "http://a..b/",
        "http:///",
    ],
)
async def test_redirects_are_checked_like_the_first_address(target: str) -> None:
    async with serving({"/": redirect(target)}) as (url, _):
        with pytest.raises((InvalidRequest, Unreachable)):
            await Fetcher(GUARD).fetch(url)


async def test_a_name_that_changes_its_address_between_two_requests() -> None:
    answers = [[ALLOWED], ["127.0.0.1"]]

    async def rebinding(host: str, port: int) -> list[str]:
        return answers.pop(0)

    async with serving({"/": redirect("/again"), "/again": page("secret")}) as (url, seen):
        port = url.rpartition(":")[2]
        guard = Guard(networks=GUARD.networks, resolve=rebinding)
        with pytest.raises(InvalidRequest, match="not on the public internet"):
            await Fetcher(guard).fetch(f"http://rebinding.example:{port}/")
    assert len(seen) == 1
    assert f"Host: rebinding.example:{port}" in seen[0]


async def test_other_hosts_than_the_allowed_are_not_even_resolved() -> None:
    async def nobody(host: str, port: int) -> list[str]:
        raise AssertionError(f"{host} was resolved")

    guard = Guard(hosts=frozenset({"good.example"}), resolve=nobody)
    with pytest.raises(InvalidRequest, match=r"not among the hosts allowed: good\.example"):
        await Fetcher(guard).fetch("http://evil.example/")


async def test_redirects_end() -> None:
    async with serving({"/": redirect("/")}) as (url, seen):
        with pytest.raises(InvalidRequest, match="more than 5 times"):
            await Fetcher(GUARD).fetch(url)
    assert len(seen) == 6


async def test_a_page_is_cut_where_it_is_too_large() -> None:
    pages = {
        "/long": page(b"x" * 5_000),
        "/exact": page(b"x" * 1_000),
        "/gzip": page(gzip.compress(b"y" * 50_000_000), "Content-Encoding: gzip"),
        "/zlib": page(zlib.compress(b"z" * 500), "Content-Encoding: deflate"),
        "/lies": page(b"no gzip", "Content-Encoding: gzip"),
        "/br": page(b"?", "Content-Encoding: br"),
    }
    fetcher = Fetcher(GUARD, max_bytes=1_000)
    async with serving(pages) as (url, _):
        for path, size, truncated in (
            ("long", 1_000, True),
            ("exact", 1_000, False),
            ("gzip", 1_000, True),
            ("zlib", 500, False),
        ):
            fetched = await fetcher.fetch(f"{url}/{path}")
            assert (len(fetched.body), fetched.truncated) == (size, truncated)
        with pytest.raises(Unreachable, match="cannot be unpacked"):
            await fetcher.fetch(f"{url}/lies")
        with pytest.raises(Unreachable, match="packed as 'br'"):
            await fetcher.fetch(f"{url}/br")


async def test_servers_that_fail_are_told_of() -> None:
    pages = {
        "/junk": b"this is no HTTP\r\n\r\n",
        "/headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000,
        "/short": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx",
    }
    fetcher = Fetcher(GUARD)
    async with serving(pages) as (url, _):
        for path, reason in (
            ("missing", "404 Not Found"),
            ("junk", "cannot be read"),
            ("headers", "cannot be read"),
            ("short", "cannot be read"),
        ):
            with pytest.raises(Unreachable, match=reason):
                await fetcher.fetch(f"{url}/{path}")
    with pytest.raises(Unreachable, match="cannot be read"):
        await fetcher.fetch(url)


async def test_a_server_that_never_answers_is_left() -> None:
    async with serving({"/": b""}) as (url, seen):
        with pytest.raises(Unreachable, match="answer"):
            await Fetcher(GUARD, seconds=0.5).fetch(url)
    assert len(seen) <= 1


async def call(client: Client, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool("fetch", arguments)
    assert not result.is_error, result.content
    structured: dict[str, Any] = result.structured_content
    return structured


async def mistake(client: Client, **arguments: Any) -> str:
    result = await client.call_tool("fetch", arguments)
    assert result.is_error
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


async def test_the_tool_gives_text_part_by_part(connect: Connect) -> None:
    words = " ".join(f"word{number}" for number in range(5_000))
    pages = {
        "/": page(f'<title>T</title><p>{words}</p><a href="/next">next</a>', HTML),
        "/image": page(b"\x89PNG", "Content-Type: image/png"),
    }
    async with serving(pages) as (url, _), connect("fetch", "--allow-network", ALLOWED) as client:
        (tool,) = (await client.list_tools()).tools
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is False  # a URL can carry anything out
        assert tool.annotations.open_world_hint is True
        first = await call(client, url=f"{url}/")
        assert (first["title"], first["start"], first["end"]) == ("T", 0, 20_000)
        assert first["links"] == [{"text": "next", "url": f"{url}/next"}]
        rest = await call(client, url=f"{url}/", start=first["end"])
        last = await call(client, url=f"{url}/", start=rest["end"])
        assert first["text"] + rest["text"] + last["text"] == f"{words}\n\nnext"
        assert last["end"] == last["length"]
        assert "not read as text" in await mistake(client, url=f"{url}/image")
        assert "404" in await mistake(client, url=f"{url}/missing")
        assert "public internet" in await mistake(client, url="http://127.0.0.1:8009/")
        assert "http://" in await mistake(client, url="file:///etc/passwd")


def pdf(*pages: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, **options)
    for words in pages:
        canvas.drawString(72, 720, words)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def word(words: str) -> bytes:
    buffer = io.BytesIO()
    document = docx.Document()
    document.add_paragraph(words)
    document.save(buffer)
    return buffer.getvalue()


async def test_documents_are_read_as_text(connect: Connect) -> None:
    grain, unknown = pdf("Grain came from Alexandria.", "By ship."), "application/octet-stream"
    pages = {
        "/grain.pdf": page(grain, f"Content-Type: {PDF}"),
        "/download?id=7": page(grain, f"Content-Type: {unknown}"),
        "/lies": page(grain, HTML),
        "/roads.docx": page(word("All roads lead there."), f"Content-Type: {DOCX}"),
        "/broken.pdf": page(b"%PDF-1.7 and no more", f"Content-Type: {PDF}"),
        "/named.pdf": page("no PDF at all", f"Content-Type: {PDF}"),
        "/image": page(b"\x89PNG", "Content-Type: image/png"),
    }
    async with serving(pages) as (url, _), connect("fetch", "--allow-network", ALLOWED) as client:
        for path in ("grain.pdf", "download?id=7", "lies"):
            found = await call(client, url=f"{url}/{path}")
            assert "Grain came from Alexandria." in found["text"]
            assert "By ship." in found["text"]
            assert (found["media_type"], found["links"]) == (PDF, [])
            assert found["end"] == found["length"] == len(found["text"])
        rest = await call(client, url=f"{url}/grain.pdf", start=6)
        assert rest["text"].startswith("came from")
        found = await call(client, url=f"{url}/roads.docx")
        assert (found["text"], found["media_type"]) == ("All roads lead there.", DOCX)
        assert found["title"] == "roads.docx"
        for path in ("broken.pdf", "named.pdf", "image"):
            assert "Traceback" not in await mistake(client, url=f"{url}/{path}")


@pytest.mark.parametrize(
    ("body", "media_type", "name", "found"),
    [
        (b"%PDF-1.7", "", "", PDF),
        (b"%PDF-1.7", "text/html", "", PDF),
        (b"\n%PDF-1.7", "text/plain", "", None),
        (b"\n%PDF-1.7", "application/octet-stream", "", PDF),
        (b"", PDF, "", PDF),
        (b"PK\x03\x04", "", "a.docx", DOCX),
        (b"PK\x03\x04...word/document.xml", "application/octet-stream", "", DOCX),
        (b"PK\x03\x04", "application/zip", "a.docx", None),
        (b"PK\x03\x04", "", "a.zip", None),
        (b"<p>", "text/html", "a.pdf", None),
        (b"", "", "", None),
    ],
)
def test_what_is_a_document(body: bytes, media_type: str, name: str, found: str | None) -> None:
    assert document_type(body, media_type, name) == found


async def test_the_limits_of_the_parsers_hold_for_documents_too(settings: Settings) -> None:
    def fetched(body: bytes, truncated: bool = False) -> Fetched:
        return Fetched(httpx.URL("http://a/b.pdf"), 200, PDF, body, truncated)

    pages = pdf(*(f"page {number} " + "x " * 40 for number in range(300)))
    for limit, code in (
        ({"max_text_chars": 100}, "too_large"),
        ({"parse_timeout": 0.01}, "parse_timeout"),
    ):
        reader = DocumentReader(settings.model_copy(update=limit))
        with pytest.raises(UnreadableFile) as caught:
            await reader.read(fetched(pages))
        assert caught.value.code == code
    reader = DocumentReader(settings)
    with pytest.raises(InvalidRequest, match="more than 1,000 bytes"):
        await reader.read(fetched(pages[:1000], truncated=True))
    both = await asyncio.gather(*(reader.read(fetched(pdf(words))) for words in ("one", "two")))
    assert [read.text for read in both if read is not None] == ["one", "two"]
    assert await reader.read(Fetched(httpx.URL("http://a/b"), 200, "", b"<p>", True)) is None


async def test_listed_hosts_make_the_tool_one_that_reads(connect: Connect) -> None:
    async with connect("fetch", "--allow-host", "docs.example") as client:
        (tool,) = (await client.list_tools()).tools
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is True
        assert "docs.example" in await mistake(client, url="http://other.example/")


def test_a_network_that_is_none_is_named_on_stderr() -> None:
    result = CliRunner().invoke(main, ["--allow-network", "10.0.0.1/8"])
    assert result.exit_code == 2
    assert "host bits" in result.stderr
