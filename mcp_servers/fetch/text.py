"""A fetched page as text: HTML as what is shown of it, other text as it is.

What always holds: the text is in the one form of `normalize_text`; scripts, styles and what is
hidden are not in it; links are http or https and absolute.
"""

import codecs
import re
from dataclasses import dataclass

import httpx
from lxml import etree

from rostra.core import InvalidRequest, collapse_whitespace, normalize_text


def _tags(names: str) -> tuple[str, ...]:
    return tuple(names.split())


MAX_LINKS = 50
_MAX_TITLE = 300
_MAX_LINK_TEXT = 100
_MAX_LINK_URL = 500
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=["'\s]*([\w.:-]+)""", re.I)
_HTML_STARTS = (b"<!doctype html", b"<html", b"<head", b"<body", b"<!--")
_TEXTS = ("json", "xml", "javascript", "ecmascript", "yaml", "toml", "csv", "x-sh", "sql")
_INVISIBLE = _tags(
    "script style noscript template svg iframe object embed audio video canvas select datalist "
    "button textarea dialog nav head"
)
_BLOCKS = frozenset(
    _tags(
        "address article aside blockquote body center dd details div dl dt fieldset figcaption "
        "figure footer form header hr li main ol p section summary table tbody tfoot thead tr ul"
    )
)
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}


@dataclass(frozen=True, slots=True)
class Link:
    """Where a page points to."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class PageText:
    """What can be read of a page."""

    title: str
    media_type: str
    text: str
    links: tuple[Link, ...] = ()


def extract(body: bytes, content_type: str, url: httpx.URL, *, truncated: bool = False) -> PageText:
    """The text of a page.

    Args:
        body: as the server sent it, unpacked.
        content_type: of the header; may be empty.
        url: which its links are relative to.
        truncated: the body is only the beginning, and may end within a character.

    Raises:
        InvalidRequest: it is no text.
    """
    media_type, declared = _content_type(content_type)
    if not media_type:
        media_type = "text/html" if _begins_as_html(body) else "text/plain"
    if media_type in ("text/html", "application/xhtml+xml"):
        found = _CHARSET.search(body, 0, 4096)
        declared = declared or (found[1].decode() if found else "")
        return _html(_decoded(body, declared, truncated), url)
    if not media_type.startswith("text/") and not media_type.endswith(_TEXTS):
        raise InvalidRequest(f"the page is of type {media_type[:100]!r}, which is not read as text")
    if b"\0" in body[:1024] and not declared.startswith(("utf-16", "utf-32")):
        raise InvalidRequest("the page is no text, whatever its server says")
    return PageText("", media_type, normalize_text(_decoded(body, declared, truncated)))


def _begins_as_html(body: bytes) -> bool:
    return body[:1024].lstrip().lower().startswith(_HTML_STARTS)


def _content_type(header: str) -> tuple[str, str]:
    media_type, _, parameters = header.partition(";")
    found = re.search(r"charset\s*=[\"'\s]*([\w.:-]+)", parameters, re.I)
    return media_type.strip().lower(), found[1].lower() if found else ""


def _decoded(body: bytes, declared: str, truncated: bool) -> str:
    if declared:
        try:
            return body.decode(declared, errors="replace")
        except (LookupError, ValueError):  # no such charset
            pass
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(body, final=not truncated)
    except UnicodeDecodeError:
        return body.decode("cp1252", errors="replace")


def _html(source: str, url: httpx.URL) -> PageText:
    parser = etree.HTMLParser(
        encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True
    )
    try:
        root = etree.fromstring(normalize_text(source).encode(), parser)
    except etree.XMLSyntaxError:
        root = None
    if root is None:
        return PageText("", "text/html", "")
    title = root.find(".//title")
    name = "" if title is None else collapse_whitespace("".join(title.itertext()))
    etree.strip_elements(root, *_INVISIBLE, with_tail=False)
    for element in root.xpath(".//*[@hidden or @aria-hidden='true']"):
        element.clear(keep_tail=True)
    text = "\n".join(line.rstrip() for line in "".join(_pieces(root)).split("\n")).strip("\n")
    return PageText(name[:_MAX_TITLE], "text/html", normalize_text(text), _links(root, url))


class _Lines:
    """Text in order; breaks between blocks are kept until text follows, and the largest counts."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._breaks = 0
        self._space = False

    def line_end(self, count: int = 1) -> None:
        """Goes on `count` lines further down."""
        self._breaks = max(self._breaks, count)
        self._space = False

    def put(self, text: str | None, *, verbatim: bool = False) -> None:
        """Adds text on this line; with its own spaces and line ends if it is verbatim."""
        words = text if verbatim else " ".join((text or "").split())
        if not text:
            return
        if words:
            if self._breaks and self.pieces:
                self.pieces.append("\n" * self._breaks)
            elif self._space or (text[0].isspace() and not verbatim and not self._breaks):
                self.pieces.append(" ")
            self.pieces.append(words)
            self._breaks, self._space = 0, False
        self._space = not verbatim and text[-1].isspace() and not self._breaks


def _pieces(root: etree._Element) -> list[str]:
    """Text in order, with line ends between blocks."""
    lines = _Lines()
    verbatim = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        tag = element.tag
        starts = event == "start"
        if tag in _HEADINGS or tag in ("p", "pre", "table", "ul", "ol"):
            lines.line_end(2)
        elif tag in _BLOCKS or (tag == "br" and starts):
            lines.line_end()
        elif tag in ("td", "th") and not starts:
            lines.put(" | ", verbatim=True)
        if starts:
            if tag in _HEADINGS:
                lines.put(_HEADINGS[tag], verbatim=True)
            elif tag == "li":
                lines.put("- ", verbatim=True)
            verbatim += tag == "pre"
            lines.put(element.text, verbatim=verbatim > 0)
        else:
            verbatim -= tag == "pre"
            lines.put(element.tail, verbatim=verbatim > 0)
    return lines.pieces


def _links(root: etree._Element, url: httpx.URL) -> tuple[Link, ...]:
    found: dict[str, str] = {}
    for anchor in root.iter("a"):
        text = collapse_whitespace("".join(anchor.itertext()))[:_MAX_LINK_TEXT]
        reference = (anchor.get("href") or "").strip()
        if not text or not reference or reference.startswith("#"):
            continue
        try:
            target = url.join(reference).copy_with(fragment=None)
        except (httpx.InvalidURL, ValueError):
            continue
        written = str(target)
        if target.scheme in ("http", "https") and len(written) <= _MAX_LINK_URL:
            found.setdefault(written, text)
        if len(found) == MAX_LINKS:
            break
    return tuple(Link(text, target) for target, text in found.items())
