"""Files that unpack, nest or point further than they should, and are read all the same or refused.

Each is small and made here. What is read of one is bounded; nothing outside of it is read.
"""

import contextlib
import io
import json
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import docx
import pytest

from rostra.core import Settings, UnreadableFile
from rostra.ingest import FailedSource, list_sources
from rostra.ingest.document import ParsedDocument, check_document
from rostra.ingest.errors import CorruptFile, NestedArchive, TooDeep, TooLarge
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parser_process import ParserProcess
from rostra.ingest.parsers import parse_bytes

Parse = Callable[[bytes | str, str], ParsedDocument]
ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
DECLARED = f'<!DOCTYPE x [<!ENTITY e0 "boom">{ENTITIES}]>'


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as container:
        for name, content in members.items():
            container.writestr(name, content)
    return buffer.getvalue()


def word_document() -> bytes:
    document = docx.Document()
    document.add_paragraph("Harmless words.")
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def changed(data: bytes, member: str, change: Callable[[bytes], bytes]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as container:
        members = {name: container.read(name) for name in container.namelist()}
    assert member in members
    return zipped(members | {member: change(members[member])})


def exploding(xml: bytes) -> bytes:
    """Declares nested entities and uses the largest as text."""
    head, mark, rest = xml.partition(b"?>")
    assert mark
    at = rest.index(b">", rest.index(b"<")) + 1
    return head + mark + DECLARED.encode() + rest[:at] + b"&e9;" + rest[at:]


@pytest.mark.parametrize(
    "member",
    [
        "[Content_Types].xml",
        "_rels/.rels",
        "docProps/core.xml",
        "word/document.xml",
        "word/styles.xml",
        "word/_rels/document.xml.rels",
    ],
)
def test_entity_bombs_in_a_word_document(member: str, limits: ParseLimits) -> None:
    bomb = changed(word_document(), member, exploding)
    with contextlib.suppress(CorruptFile):
        assert "boomboom" not in parse_bytes(bomb, "a.docx", limits).text


@pytest.mark.parametrize("name", ["a.xml", "a.xhtml", "a.svg.html", "a.xsd"])
def test_entity_bombs_in_plain_files(name: str, parse: Parse) -> None:
    """XML is read word for word, pages as browsers read them: neither expands anything."""
    source = f'<?xml version="1.0"?>{DECLARED}<html><body><p>&e9; text</p></body></html>'
    document = parse(source, name)
    assert len(document.text) <= len(source)
    assert "boomboom" not in document.text


def test_a_notebook_with_gigantic_outputs(parse: Parse) -> None:
    outputs: list[object] = [{"output_type": "stream", "text": ["y" * 1000 + "\n"] * 20_000}]
    outputs += [{"output_type": "display_data", "data": {"image/png": "A" * 1000}}] * 1000
    outputs += [{"output_type": "stream", "text": "more"}] * 20_000
    cells = [{"cell_type": "code", "source": "x.run()", "outputs": outputs}]
    document = parse(json.dumps({"nbformat": 4, "metadata": {}, "cells": cells}), "a.ipynb")
    assert document.text.startswith("x.run()")
    assert len(document.text) < 21 * 4_100


def test_a_notebook_whose_code_is_too_long(settings: Settings) -> None:
    limits = ParseLimits.of(settings.model_copy(update={"max_text_chars": 10_000}))
    cells = [{"cell_type": "code", "source": "x" * 100} for _ in range(200)]
    with pytest.raises(TooLarge):
        parse_bytes(json.dumps({"nbformat": 4, "cells": cells}).encode(), "a.ipynb", limits)


CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="book/a.opf" media-type="application/oebps-package+xml"/>'
    "</rootfiles></container>"
)


def book(*targets: str) -> bytes:
    items = "".join(
        f'<item id="i{at}" href="{target}" media-type="application/xhtml+xml"/>'
        for at, target in enumerate(targets)
    )
    order = "".join(f'<itemref idref="i{at}"/>' for at in range(len(targets)))
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf"><metadata/>'
        f"<manifest>{items}</manifest><spine>{order}</spine></package>"
    )
    return zipped(
        {
            "mimetype": b"application/epub+zip",
            "META-INF/container.xml": CONTAINER.encode(),
            "book/a.opf": package.encode(),
            "book/a.xhtml": b"<html><body><p>Its own chapter.</p></body></html>",
            # As the archive may name what lies outside of it.
            "../outside.xhtml": b"<html><body><p>A member above the root.</p></body></html>",
        }
    )


def test_a_book_that_points_out_of_itself(parse: Parse, tmp_path: Path) -> None:
    secret = tmp_path / "secret.xhtml"
    secret.write_text("<html><body><p>Not for readers.</p></body></html>")
    outside = [
        str(secret),
        secret.as_uri(),
        "../" * 40 + str(secret).lstrip("/"),
        "%2e%2e/" * 40 + str(secret).lstrip("/"),
        "..\\..\\..\\secret.xhtml",
        "http://127.0.0.1:1/secret.xhtml",
        "a.xhtml/../../../etc/passwd",
    ]
    found = parse(book("a.xhtml", *outside), "a.epub")
    assert "Its own chapter." in found.text
    assert "Not for readers" not in found.text
    assert "root:" not in found.text


RICH = {
    "binary longer than the file": b"{\\rtf1 a\\bin2000000000 b}",
    "many cells": b"{\\rtf1\\trowd" + b"\\cell" * 200_000 + b"\\row}",
    "many rows": b"{\\rtf1" + b"\\trowd\\intbl a\\cell\\row" * 20_000 + b"}",
    "fallbacks skipped without end": b"{\\rtf1\\uc2000000000" + b"\\u65 ?" * 20_000 + b"x}",
    "styles": b"{\\rtf1{\\stylesheet" + b"{\\s1 x;}" * 100_000 + b"}text}",
    "groups side by side": b"{\\rtf1" + b"{}" * 100_000 + b"text}",
    "destinations that nobody knows": b"{\\rtf1" + b"{\\*\\zz" * 500 + b"}" * 500 + b"text}",
    "one long word": b"{\\rtf1\\" + b"a" * 1_000_000 + b" text}",
    "one long number": b"{\\rtf1\\u" + b"9" * 1_000_000 + b" text}",
    "half surrogates": b"{\\rtf1" + b"\\u-10179 ?" * 100_000 + b"}",
}


async def test_rich_text_bombs(settings: Settings) -> None:
    """In the guarded process: a document or a reason, and the process goes on."""
    async with ParserProcess(settings) as parser:
        assert (await parser.parse("a.md", b"text")).text == "text"
        first = parser.pid
        for name, data in RICH.items():
            try:
                document = await parser.parse("a.rtf", data)
            except UnreadableFile as error:
                assert error.message, name
            else:
                check_document(document)
                assert len(document.text) <= 2 * len(data), name
        assert parser.pid == first


def test_archives_in_archives_are_named_and_not_opened(tmp_path: Path, settings: Settings) -> None:
    inner = zipped({"a.md": b"words"})
    members = {f"{number}.zip": inner for number in range(300)} | {"own.md": b"own words"}
    (tmp_path / "a.zip").write_bytes(zipped(members))
    listing = list_sources([tmp_path], settings)
    assert [one.name for one in listing.sources] == ["own.md"]
    assert len(listing.failed) == 300
    assert {type(one.error) for one in listing.failed} == {NestedArchive}


def test_an_archive_in_a_document_is_not_opened(limits: ParseLimits) -> None:
    with zipfile.ZipFile(io.BytesIO(word_document())) as container:
        members = {name: container.read(name) for name in container.namelist()}
    inner = zipped({"b": zipped({"c": b"\0" * 900_000})})
    parsed = parse_bytes(zipped(members | {"word/embeddings/a.zip": inner}), "a.docx", limits)
    assert parsed.text == "Harmless words."


async def test_messages_a_hundred_deep_in_the_guarded_process(settings: Settings) -> None:
    mail = EmailMessage()
    mail.set_content("the innermost")
    for level in range(100):
        outer = EmailMessage()
        outer["Subject"] = f"level {level}"
        outer.set_content("words")
        outer.add_attachment(mail)
        mail = outer
    async with ParserProcess(settings) as parser:
        document = await parser.parse("a.eml", mail.as_bytes())
        assert document.title == "level 99"
        assert "the innermost" not in document.text
        with pytest.raises(TooDeep):
            await parser.parse("b.ipynb", b'{"cells":' + b"[" * 200_000)


def test_an_archive_that_is_refused_says_so_once(tmp_path: Path, settings: Settings) -> None:
    few = settings.model_copy(update={"max_archive_members": 10})
    (tmp_path / "a.zip").write_bytes(zipped({f"{number}.md": b"x" for number in range(11)}))
    (tmp_path / "b.md").write_text("other words")
    listing = list_sources([tmp_path], few)
    assert [one.name for one in listing.sources] == ["b.md"]
    (failed,) = listing.failed
    assert isinstance(failed, FailedSource)
    assert failed.error.code == "archive_bomb"
