"""Pages as text: what is shown, in any charset, and nothing that is no text."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_servers.fetch.text import MAX_LINKS, PageText, extract
from rostra.core import InvalidRequest, normalize_text

URL = httpx.URL("https://example.org/docs/page.html")
PAGE = """<!DOCTYPE html><html><head><title> A &amp; B </title><style>p {}</style></head>
<body><nav>menu</nav><h1>Title</h1><p>One <b>bold</b>word,
two   <a href="next.html#top">links</a> <a href="/up">here</a>.</p>
<ul><li>first</li><li>second</li></ul><pre>  code
    stays</pre><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>
<script>evil()</script><p hidden>hidden</p><!-- comment --><p>last<br>line</p>
<a href="javascript:alert(1)">js</a><a href="mailto:x@y">mail</a><a href="//other.example/">o</a>
</body></html>"""


def read(body: str | bytes, content_type: str = "text/html; charset=utf-8") -> PageText:
    return extract(body.encode() if isinstance(body, str) else body, content_type, URL)


def test_what_is_shown_is_what_is_read() -> None:
    page = read(PAGE)
    assert page.title == "A & B"
    assert page.text == (
        "# Title\n\nOne boldword, two links here.\n\n- first\n- second\n\n  code\n    stays\n\n"
        "a | b |\n1 | 2 |\n\nlast\nline\n\njsmailo"
    )
    assert [(link.text, link.url) for link in page.links] == [
        ("links", "https://example.org/docs/next.html"),
        ("here", "https://example.org/up"),
        ("o", "https://other.example/"),
    ]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("Käse 🏺".encode(), "text/plain; charset=utf-8"),
        ("Käse 🏺".encode("utf-16"), 'text/plain; charset="UTF-16"'),
        ("Käse 🏺".encode(), "text/plain"),
        ("Käse 🏺".encode(), "text/plain; charset=nonsense"),
        ("Käse 🏺".encode(), "text/plain; charset=rot13"),
        ("Käse 🏺".encode(), ""),
        ("Käse 🏺".encode(), "application/problem+json"),
        ('<html><meta charset="utf-8"><p>Käse 🏺'.encode(), "text/html"),
        ('<html><meta charset="gb18030"><p>Käse 🏺'.encode("gb18030"), "text/html"),
        ("<!doctype html><p>Käse 🏺".encode(), ""),
    ],
)
def test_charsets(body: bytes, content_type: str) -> None:
    assert read(body, content_type).text == "Käse 🏺"


def test_bytes_of_no_charset_are_read_as_windows_has_them() -> None:
    assert read(b"caf\xe9", "text/plain").text == "café"
    cut = extract("Käse".encode()[:2], "text/plain", URL, truncated=True)
    assert cut.text == "K"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"\x89PNG", "image/png"),
        (b"%PDF-1.7", "application/pdf"),
        (b"PK", "application/zip"),
        (b"\0\1\2", "text/plain"),
        (b"x", "application/octet-stream"),
    ],
)
def test_what_is_no_text_is_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(InvalidRequest, match=r"not read as text|is no text"):
        read(body, content_type)


def test_hostile_pages_stay_small() -> None:
    assert len(read("<p>" * 100_000 + "x").text) < 10_000
    deep = read("<div>" * 50_000 + "deep")
    assert len(deep.text) < 10_000
    many = read("".join(f'<a href="/{n}">link {n}</a>' for n in range(5_000)))
    assert len(many.links) == MAX_LINKS
    long = read(f'<title>{"t" * 10_000}</title><a href="{"u" * 10_000}">x</a>')
    assert (len(long.title), long.links) == (300, ())
    entities = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><p>&b;&b;</p>'
    assert "aaaa" not in read(entities).text
    outside = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><p>&e;</p>'
    assert "root:" not in read(outside).text


@pytest.mark.parametrize("content_type", ["", "text/html"])
@pytest.mark.parametrize(
    "body",
    ["<!---->" * 50_000 + "x", "<meta charset=" + " " * 200_000, "<meta " * 50_000, "<" * 10**6],
)
def test_no_page_takes_long_to_understand(body: str, content_type: str) -> None:
    read(body, content_type)


@given(st.binary(max_size=300), st.sampled_from(["text/html", "text/plain", "", "text/xml"]))
def test_any_bytes_are_text_or_refused(body: bytes, content_type: str) -> None:
    try:
        page = read(body, content_type)
    except InvalidRequest:
        return
    assert normalize_text(page.text) == page.text
