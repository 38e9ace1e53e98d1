"""A page's type and text, as its server declares them.

What always holds: a type that no parser reads is refused before its body is; text in a declared
encoding becomes UTF-8 with a mark, which every parser believes before anything else.
"""

import codecs
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from urllib.parse import unquote

import httpx

from rostra.ingest import media
from rostra.ingest.errors import UnsupportedType

_CHARSET = re.compile(r"charset\s*=[\"'\s]*([\w.:-]+)", re.I)
_MAX_NAME = 200
_NEVER_READ = ("video/", "audio/", "font/", "model/", "multipart/")
_BINARY = (b"%PDF", b"PK\x03\x04", b"{\\rtf", b"\xd0\xcf\x11\xe0")


def _endings() -> dict[str, str]:
    by_type: dict[str, str] = {}
    for ending, media_type in media.BY_ENDING.items():
        by_type.setdefault(media_type, ending)
    by_type["application/xhtml+xml"] = by_type[media.HTML]
    by_type["text/x-markdown"] = by_type[media.MARKDOWN]
    for xml in ("application/xml", "text/xml"):
        by_type[xml] = ".xml"
    return by_type


_ENDING_OF: Mapping[str, str] = MappingProxyType(_endings())
# Said of files of any type that the server does not know better.
_VAGUE = frozenset({"", media.PLAIN, "application/octet-stream", "binary/octet-stream"})


def media_type_of(content_type: str) -> str:
    """The type that a header declares, lower case; empty when it declares none."""
    return content_type.partition(";")[0].strip().lower()


def check_type(content_type: str) -> None:
    """Refuses types that no parser reads.

    Raises:
        UnsupportedType: it is one of them.
    """
    declared = media_type_of(content_type)
    is_image = declared.startswith("image/")
    readable_image = declared in media.IMAGES and media.has_ocr()
    if declared.startswith(_NEVER_READ) or (is_image and not readable_image):
        raise UnsupportedType(f"pages of type {declared[:100]!r} are not read")


def page_name(url: httpx.URL, content_type: str) -> str:
    """A name for a page whose ending says what type it is.

    >>> page_name(httpx.URL("https://example.org/guide/"), "text/html; charset=utf-8")
    'guide.html'
    >>> page_name(httpx.URL("https://example.org/notes.md"), "text/plain")
    'notes.md'
    """
    declared = media_type_of(content_type)
    name = unquote(PurePosixPath(url.path.rstrip("/")).name)[-_MAX_NAME:] or url.host
    known = media.media_type_of(name)
    if known == declared or (known is not None and declared in _VAGUE and url.path.strip("/")):
        return name
    ending = _ENDING_OF.get(declared)
    if ending is not None:
        return name + ending
    return name if url.path.strip("/") else name + ".html"


def with_declared_encoding(body: bytes, content_type: str) -> bytes:
    """The body in UTF-8 with a mark, if the header declares how its text is encoded."""
    found = _CHARSET.search(content_type)
    declared = media_type_of(content_type)
    is_text = declared.startswith("text/") or declared == "application/xhtml+xml"
    if found is None or not is_text or body.startswith(_BINARY):
        return body
    marks = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    if not body or body.startswith(marks):
        return body
    try:
        text = body.decode(found[1])
    except (LookupError, ValueError):  # no such charset, or the header is wrong: let parsers guess
        return body
    return codecs.BOM_UTF8 + text.encode("utf-8", errors="replace")
