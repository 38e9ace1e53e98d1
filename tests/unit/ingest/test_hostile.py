"""Files made to do harm, read in the guarded process: each has its typed reason."""

import io
import zipfile
from collections.abc import Callable

import docx
import openpyxl
import pptx
import pytest
from PIL import Image

from rostra.core import Settings, UnreadableFile
from rostra.ingest import media
from rostra.ingest.errors import (
    ArchiveBomb,
    CorruptFile,
    EncryptedFile,
    NestedArchive,
    NoText,
    ParseMemory,
    TooDeep,
    TooLarge,
    UnsupportedType,
)
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parser_process import ParserProcess
from rostra.ingest.parsers import parse_bytes


def saved(save: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    save(buffer)
    return buffer.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as container:
        for name, content in members.items():
            container.writestr(name, content)
    return buffer.getvalue()


def nested_zip(depth: int) -> bytes:
    data = b"text"
    for level in range(depth):
        data = zipped({f"{level}.zip": data})
    return data


def many_pages(count: int) -> bytes:
    """A PDF whose pages are all one object: a few bytes for each."""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (count, b"3 0 R " * count),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>",
    ]
    data, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(data))
        data += b"%d 0 obj%s endobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"xref\n0 4\n0000000000 65535 f \n%strailer<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF"
    return data + end % (table, len(data))


def with_bomb(data: bytes, member: str) -> bytes:
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as container:
        container.writestr(member, b"\0" * 30_000_000)
    return buffer.getvalue()


def entity_bomb(root: str) -> bytes:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "b">{entities}]>{root}'.encode()


DOCX = saved(docx.Document().save)
PPTX = saved(pptx.Presentation().save)
XLSX = saved(openpyxl.Workbook().save)
EPUB = {"META-INF/container.xml": entity_bomb("<a>&e9;</a>"), "mimetype": b"application/epub+zip"}
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
CASES: dict[str, tuple[bytes, type[UnreadableFile]]] = {
    "zip bomb.docx": (with_bomb(DOCX, "word/media/a"), ArchiveBomb),
    "zip bomb.pptx": (with_bomb(PPTX, "ppt/media/a"), ArchiveBomb),
    "zip bomb.xlsx": (with_bomb(XLSX, "xl/media/a"), ArchiveBomb),
    "zip bomb.epub": (with_bomb(zipped(EPUB), "a"), ArchiveBomb),
    "entities.epub": (zipped(EPUB), CorruptFile),
    "entities.docx": (zipped({"word/document.xml": entity_bomb("<a>&e9;</a>")}), CorruptFile),
    "entities.pptx": (zipped({"ppt/presentation.xml": entity_bomb("<a>&e9;</a>")}), CorruptFile),
    "entities.xlsx": (zipped({"xl/workbook.xml": entity_bomb("<a>&e9;</a>")}), CorruptFile),
    "nested.zip": (nested_zip(20), NestedArchive),
    "named.docx": (nested_zip(3), CorruptFile),
    "encrypted.pptx": (OLE + "EncryptedPackage".encode("utf-16-le"), EncryptedFile),
    "old.xls": (OLE + bytes(2000), UnsupportedType),
    "columns.csv": (b"a," * 10**6, TooLarge),
    "pages.pdf": (many_pages(10**5), TooLarge),
    "blank.pdf": (many_pages(300), NoText),
    "deep.html": (b"<div>" * 10**5 + b"x", TooDeep),
    "deep.ipynb": (b"[" * 10**6, TooDeep),
    "deep.rtf": (b"{\\rtf1" + b"{" * 10**5, TooDeep),
    "cut.rtf": (b"{\\rtf1 text", CorruptFile),
    "cut.msg": (OLE + bytes(30), CorruptFile),
    "cut.pptx": (PPTX[: len(PPTX) // 2], CorruptFile),
    "cut.xlsx": (XLSX[: len(XLSX) // 2], CorruptFile),
    "text.epub": (b"no book", CorruptFile),
    "text.png": (b"no picture", CorruptFile),
    "program.eml": (b"MZ\x90\x00" + bytes(100), UnsupportedType),
}


@pytest.fixture(scope="module")
def limits_of_module() -> ParseLimits:
    return ParseLimits.of(Settings())


async def test_every_hostile_file_has_its_reason(settings: Settings) -> None:
    """In one process, which none of them ends: nothing hangs, crashes or takes its memory."""
    async with ParserProcess(settings) as parser:
        assert (await parser.parse("a.md", b"text")).text == "text"
        first = parser.pid
        reasons = {}
        for name, (data, _) in CASES.items():
            with pytest.raises(UnreadableFile) as caught:
                await parser.parse(name, data)
            assert caught.value.message, name
            reasons[name] = caught.value.code
        assert reasons == {name: reason.code for name, (_, reason) in CASES.items()}
        assert parser.pid == first


@pytest.mark.skipif(not media.has_ocr(), reason="the extra `ocr` is not installed")
async def test_an_image_bomb_in_little_memory(settings: Settings) -> None:
    bomb = saved(lambda buffer: Image.new("1", (9_000, 9_000)).save(buffer, "PNG"))
    small = settings.model_copy(update={"parse_memory_bytes": 256 * 2**20})
    async with ParserProcess(small) as parser:
        with pytest.raises((TooLarge, ParseMemory)):
            await parser.parse("a.png", bomb)


@pytest.mark.parametrize(
    "name", ["a.pptx", "a.xlsx", "a.docx", "a.epub", "a.msg", "a.rtf", "a.pdf"]
)
@pytest.mark.parametrize("data", [DOCX, PPTX, XLSX, b"{\\rtf1 a}", b"%PDF-1.4", OLE + bytes(600)])
def test_any_content_under_any_name(name: str, data: bytes, limits_of_module: ParseLimits) -> None:
    """What a file is decides; the reader of another type never meets it."""
    try:
        parse_bytes(data, name, limits_of_module)
    except UnreadableFile as error:
        assert error.message
