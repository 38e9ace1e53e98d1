"""Types by content before names, and text in any encoding."""

import io
import random
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.core import UnreadableFile
from rostra.ingest import media
from rostra.ingest.decode import decode_text
from rostra.ingest.errors import CorruptFile, EmptyFile, EncryptedFile, UnsupportedType
from rostra.ingest.sniff import sniff

OLE = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(512)


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            # Without the time of now, which would be in the names of tests.
            archive.writestr(zipfile.ZipInfo(name), "x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "name", "media_type"),
    [
        (b"%PDF-1.7 ...", "notes.txt", media.PDF),
        (b"\n\njunk %PDF-1.4", "x", media.PDF),
        (zipped("word/document.xml"), "x.bin", media.DOCX),
        (zipped("xl/workbook.xml"), "x.docx", media.XLSX),
        (zipped("ppt/presentation.xml", "word/document.xml"), "x.pptx", media.PPTX),
        (zipped("META-INF/container.xml"), "x", media.EPUB),
        (zipped("word/document.xml")[:40], "x.docx", media.DOCX),
        (OLE + "__properties_version1.0".encode("utf-16-le"), "x", media.MSG),
        (b"{\\rtf1 x}", "x.doc", media.RTF),
        (b"\x89PNG\r\n\x1a\n", "x.txt", media.PNG),
        (b"\xff\xd8\xff\xe0", "x.png", media.JPEG),
        (b"II*\x00", "x", media.TIFF),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "x", media.WEBP),
        (b"Subject: x", "x.eml", media.EML),
        (b"From: a\r\nReceived: by b\r\n", "x", media.EML),
        (b"From: a note\nto: myself\n\ntext", "x", media.PLAIN),
        (b"{}", "x.ipynb", media.NOTEBOOK),
        (b"\\section{x}", "x.tex", media.LATEX),
        (b"<!DOCTYPE html><p>x", "page", media.HTML),
        (b'<?xml version="1.0"?>\n<html><p>x</html>', "page", media.HTML),
        (b"<p>x", "page.HTM", media.HTML),
        (b"# x", "README.md", media.MARKDOWN),
        (b"# x", "readme", media.PLAIN),
        (b"a,b\n", "t.csv", media.CSV),
        (b"a\tb\n", "t.tsv", media.TSV),
        (b'{"a": 1}', "t.json", media.JSON),
        (b'{"a": 1}', "response", media.JSON),
        (b'{"a": 1}\n', "t.jsonl", media.JSON_LINES),
        (b"print()", "t.py", media.CODE_PREFIX + "python"),
        (b"#!/usr/bin/env python3\nprint()", "tool", media.CODE_PREFIX + "python"),
        (b"#!/bin/sh\nls", "tool", media.CODE_PREFIX + "shell"),
        (b"all:\n", "Makefile", media.CODE_PREFIX + "make"),
        (b"hello", "no-ending", media.PLAIN),
        ("héllo".encode("utf-16"), "a.txt", media.PLAIN),
        ("a longer text without a mark".encode("utf-16-le"), "a.txt", media.PLAIN),
        (b"caf\xe9", "a.txt", media.PLAIN),
    ],
)
def test_type_of_content(data: bytes, name: str, media_type: str) -> None:
    assert sniff(data, name) == media_type


@pytest.mark.parametrize(
    ("data", "name", "reason"),
    [
        (b"", "a.txt", EmptyFile),
        (b" \r\n\t", "a.md", EmptyFile),
        (b"hello", "a.pdf", CorruptFile),
        (b"hello", "a.docx", CorruptFile),
        (b"hello", "a.zip", CorruptFile),
        (OLE, "a.docx", EncryptedFile),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "a.bin", EncryptedFile),
        (OLE, "a.doc", UnsupportedType),
        (b"GIF89a", "a.txt", UnsupportedType),
        (b"\x1f\x8b\x08\x00", "a.txt", UnsupportedType),
        (zipped("content.xml"), "a.odt", UnsupportedType),
        (zipped("META-INF/MANIFEST.MF"), "a.jar", UnsupportedType),
        (b"hello", "a.pptx", CorruptFile),
        (b"hello", "a.msg", CorruptFile),
        (b"hello", "a.jpeg", CorruptFile),
        (zipped("anything"), "a.bin", UnsupportedType),
        (random.Random(7).randbytes(5000), "a.txt", UnsupportedType),
        (b"text\x00\x00\x00\x00" * 50, "a.txt", UnsupportedType),
    ],
)
def test_what_is_refused(data: bytes, name: str, reason: type[UnreadableFile]) -> None:
    with pytest.raises(reason):
        sniff(data, name)


@pytest.mark.parametrize(
    ("data", "declared", "text", "encoding", "errors"),
    [
        (b"plain", None, "plain", "utf-8", 0),
        (b"\xef\xbb\xbfmark", None, "mark", "utf-8", 0),
        ("grüße".encode("utf-16"), None, "grüße", "utf-16-le", 0),
        ("grüße".encode("utf-32"), None, "grüße", "utf-32-le", 0),
        (b"caf\xe9 cr\xe8me br\xfbl\xe9e", None, "café crème brûlée", "cp1252", 0),
        (b"caf\xe9", "iso-8859-1", "café", "cp1252", 0),
        ("Привет".encode("koi8-r"), "koi8-r", "Привет", "koi8-r", 0),
        (b"ok", "zlib_codec", "ok", "utf-8", 0),
        (b"ok", "punycode", "ok", "utf-8", 0),
        (b"ok", "no such codec", "ok", "utf-8", 0),
        ("größer ändern über".encode() + b" \xff!", None, "größer ändern über \ufffd!", "utf-8", 1),
        ("\ufffd größer ändern".encode() + b"\xff", None, "\ufffd größer ändern\ufffd", "utf-8", 1),
    ],
)
def test_decoding(data: bytes, declared: str | None, text: str, encoding: str, errors: int) -> None:
    decoded = decode_text(data, declared)
    assert (decoded.text, decoded.encoding, decoded.errors) == (text, encoding, errors)
    assert decoded.metadata.get("encoding_errors", 0) == errors


def test_a_long_text_in_another_script_is_recognised() -> None:
    text = "Съешь же ещё этих мягких французских булок, да выпей чаю. " * 20
    decoded = decode_text(text.encode("cp1251"))
    assert decoded.text == text
    assert decoded.errors == 0


@given(st.binary(max_size=300))
def test_decoding_never_fails(data: bytes) -> None:
    assert isinstance(decode_text(data).text, str)


@given(st.text(max_size=300))
def test_utf8_comes_back(text: str) -> None:
    assert decode_text(text.encode()).text.removeprefix("\ufeff") == text.removeprefix("\ufeff")


def test_comments_before_nothing_are_soon_read() -> None:
    """What tries every way to split them would not end before this test's time is over."""
    data = b"<!---->" * 500 + b"x"
    assert sniff(data, "page") == media.PLAIN
    assert sniff(b"<!-- a --> <!--b-->\n<HTML>", "page") == media.HTML
    assert sniff(b"<!-- a --> text <html>", "page") == media.PLAIN
