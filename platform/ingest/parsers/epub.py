"""EPUB: the chapters in the order of the spine, each read as the web page it is.

A chapter without a heading gets the one that the table of contents has for it. Fonts may be
obfuscated; a book whose text is encrypted is refused. The container's parts are counted before any
is unpacked.
"""

import posixpath
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote, urldefrag

from lxml import etree

from rostra.ingest.builder import DocumentBuilder, clean_title
from rostra.ingest.container import ZIP_ERRORS, open_container
from rostra.ingest.document import JsonScalar, ParsedDocument, SpanKind
from rostra.ingest.errors import CorruptFile, EncryptedFile, NoText, TooDeep
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers.boilerplate import prune_hidden
from rostra.ingest.parsers.html import PageReader, page_source, page_tree
from rostra.ingest.parsers.xml_parts import local_name, xml_root
from rostra.ingest.reasons import words_of

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGES = frozenset({"application/xhtml+xml", "text/html", "application/x-dtbook+xml"})
_FONTS = (".ttf", ".otf", ".ttc", ".woff", ".woff2")
_HEADINGS = tuple(f"h{level}" for level in range(1, 7))
_MAX_CHAPTERS = 10_000


@dataclass(slots=True)
class _Book:
    """What the package document says."""

    title: str = ""
    author: str = ""
    language: str = ""
    # Paths of chapters in reading order, and what the table of contents calls them.
    chapters: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)


def parse(data: bytes, name: str, media_type: str, limits: ParseLimits) -> ParsedDocument:
    """Reads a book.

    Raises:
        CorruptFile: if it is no EPUB or damaged.
        ArchiveBomb: if its parts unpack to more than the limits allow.
        EncryptedFile: if its text is encrypted.
        TooLarge: if the text is over its limit.
    """
    with open_container(data, limits) as container:
        members = {member.filename for member in container.infolist()}
        if _ENCRYPTION in members:
            _check_encryption(container)
        book = _book(container, members)
        builder = DocumentBuilder(limits.max_text_chars)
        reader = PageReader(builder)
        damaged = 0
        for path in book.chapters:
            try:
                source = page_source(_read(container, path))[0]
                root = page_tree(source)
            except NoText:
                continue
            except (CorruptFile, TooDeep):
                damaged += 1
                continue
            _add_chapter(reader, root, book.labels.get(path, ""))
    if damaged and damaged == len(book.chapters):
        raise CorruptFile("no chapter of the book can be read")
    facts: dict[str, JsonScalar] = {"chapters": len(book.chapters)}
    for key, value in (("author", book.author), ("lang", book.language[:35])):
        if value:
            facts[key] = value
    if damaged:
        facts["damaged_chapters"] = damaged
    return builder.build(book.title or name, media_type, facts)


def _add_chapter(reader: PageReader, root: etree._Element, label: str) -> None:
    prune_hidden(root)
    for element in list(root.iter("nav")):
        element.clear(keep_tail=True)
    if label and next(root.iter(*_HEADINGS), None) is None and "".join(root.itertext()).strip():
        reader.builder.block(label, SpanKind.HEADING, 1)
    reader.read(root)


def _check_encryption(container: zipfile.ZipFile) -> None:
    root = xml_root(_read(container, _ENCRYPTION), _ENCRYPTION)
    for element in root.iter():
        if local_name(element) == "CipherReference":
            path = unquote(element.get("URI") or "").lower()
            if not path.endswith(_FONTS):
                raise EncryptedFile(
                    "the book is encrypted", hint="Ingest a copy without copy protection."
                )


def _book(container: zipfile.ZipFile, members: set[str]) -> _Book:
    root = xml_root(_read(container, _CONTAINER), _CONTAINER)
    package_path = next(
        (
            unquote(path)
            for element in root.iter()
            if local_name(element) == "rootfile" and (path := element.get("full-path"))
        ),
        "",
    )
    if package_path not in members:
        raise CorruptFile("the book has no package document")
    package = xml_root(_read(container, package_path), package_path)
    book = _Book()
    folder = posixpath.dirname(package_path)
    items: dict[str, tuple[str, str, str]] = {}
    spine: list[str] = []
    contents = ""
    for element in package.iter():
        kind = local_name(element)
        if kind == "item":
            path = _resolved(folder, element.get("href") or "")
            properties = element.get("properties") or ""
            items[element.get("id") or ""] = (path, element.get("media-type") or "", properties)
        elif kind == "itemref":
            spine.append(element.get("idref") or "")
        elif kind == "spine":
            contents = element.get("toc") or ""
        elif kind in {"title", "creator", "language"}:
            text = clean_title("".join(element.itertext()))
            book.title = book.title or (text if kind == "title" else "")
            book.author = book.author or (text if kind == "creator" else "")
            book.language = book.language or (text if kind == "language" else "")
    navigation = next((path for path, _, what in items.values() if "nav" in what.split()), "")
    book.labels = _labels(container, members, navigation, items.get(contents, ("", "", ""))[0])
    seen: set[str] = set()
    for reference in spine:
        path, media_type, what = items.get(reference, ("", "", ""))
        if (
            path in members
            and path not in seen
            and media_type in _PAGES
            and "nav" not in what.split()
        ):
            seen.add(path)
            book.chapters.append(path)
    if not book.chapters:
        raise CorruptFile("the book has no chapters")
    if len(book.chapters) > _MAX_CHAPTERS:
        raise CorruptFile(f"the book has more than {_MAX_CHAPTERS:,} chapters")
    return book


def _labels(
    container: zipfile.ZipFile, members: set[str], navigation: str, contents: str
) -> dict[str, str]:
    """What the table of contents calls each chapter: EPUB 3's page, else EPUB 2's NCX."""
    labels: dict[str, str] = {}
    for path in (navigation, contents):
        if path not in members:
            continue
        try:
            root = xml_root(_read(container, path), path)
        except CorruptFile:
            # It only gives names, and the text is elsewhere.
            continue
        for target, text in _entries(root):
            chapter = _resolved(posixpath.dirname(path), target)
            if text and chapter not in labels:
                labels[chapter] = text
    return labels


def _entries(root: etree._Element) -> Iterator[tuple[str, str]]:
    for element in root.iter():
        kind = local_name(element)
        if kind == "a" and element.get("href"):
            yield element.get("href") or "", clean_title("".join(element.itertext()))
        elif kind == "navPoint":
            source = label = ""
            for child in element:
                if local_name(child) == "content":
                    source = child.get("src") or ""
                elif local_name(child) == "navLabel":
                    label = clean_title("".join(child.itertext()))
            yield source, label


def _resolved(folder: str, reference: str) -> str:
    """A member's name from a relative reference; only looked up, never opened as a file."""
    return posixpath.normpath(posixpath.join(folder, unquote(urldefrag(reference)[0])))


def _read(container: zipfile.ZipFile, path: str) -> bytes:
    try:
        return container.read(path)
    except (KeyError, *ZIP_ERRORS) as error:
        raise CorruptFile(f"{path} is missing or damaged: {words_of(error)}") from None
