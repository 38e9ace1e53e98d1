"""What a server declares about a page, and what is made of it."""

import codecs

import httpx
import pytest

from rostra.ingest.errors import UnsupportedType
from rostra.ingest.web.declared import check_type, page_name, with_declared_encoding


@pytest.mark.parametrize(
    ("url", "content_type", "name"),
    [
        ("https://x.example", "text/html", "x.example.html"),
        ("https://x.example/", "", "x.example.html"),
        ("https://x.example/a/b", "text/html; charset=utf-8", "b.html"),
        ("https://x.example/a.html", "text/html", "a.html"),
        ("https://x.example/a.php", "text/html", "a.php.html"),
        ("https://x.example/README.md", "text/plain", "README.md"),
        ("https://x.example/paper", "application/pdf", "paper.pdf"),
        ("https://x.example/paper.pdf", "application/octet-stream", "paper.pdf"),
        ("https://x.example/data", "application/json", "data.json"),
        ("https://x.example/feed", "application/xml", "feed.xml"),
        ("https://x.example/b%20c.txt", "text/plain", "b c.txt"),
        ("https://x.example/odd", "application/x-odd", "odd"),
    ],
)
def test_the_name_says_the_type(url: str, content_type: str, name: str) -> None:
    assert page_name(httpx.URL(url), content_type) == name


@pytest.mark.parametrize(
    "content_type", ["video/mp4", "Audio/MPEG; x=y", "font/woff2", "image/gif"]
)
def test_types_that_nothing_reads_are_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedType):
        check_type(content_type)


@pytest.mark.parametrize("content_type", ["", "text/html", "application/pdf", "application/x-odd"])
def test_others_are_tried(content_type: str) -> None:
    check_type(content_type)


def test_text_in_a_declared_encoding_becomes_utf8() -> None:
    body = "naïve £".encode("latin-1")
    made = with_declared_encoding(body, "text/html; charset=ISO-8859-1")
    assert made == codecs.BOM_UTF8 + "naïve £".encode()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"caf\xe9", "text/html"),
        (b"caf\xe9", "text/html; charset=no-such-thing"),
        (b"caf\xe9", "text/html; charset=utf-8"),
        (b"%PDF-1.7 \xe9", "text/html; charset=latin-1"),
        (codecs.BOM_UTF8 + b"x", "text/html; charset=latin-1"),
        (b"{}", "application/json; charset=utf-8"),
        (b"", "text/html; charset=utf-8"),
    ],
)
def test_what_is_not_so_declared_is_left_alone(body: bytes, content_type: str) -> None:
    assert with_declared_encoding(body, content_type) == body
