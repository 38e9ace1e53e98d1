"""What type a file is: by its first bytes, then by its name, then by what the text looks like.

A file whose bytes are no text and of no type that is read is refused; nothing is guessed from
binary junk.
"""

import io
import re
import zipfile
from collections.abc import Mapping
from types import MappingProxyType

from rostra.ingest import media
from rostra.ingest.container import ZIP_ERRORS
from rostra.ingest.decode import decode_text, utf16_without_mark
from rostra.ingest.errors import (
    CorruptFile,
    EmptyFile,
    EncryptedFile,
    NestedArchive,
    UnsupportedType,
)

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_BINARY = (
    (b"GIF8", "a GIF image"),
    (b"RIFF", "a RIFF media file"),
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\x00", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"\x00asm", "a WebAssembly program"),
    (b"SQLite format 3\x00", "a SQLite database"),
    (b"PAR1", "a Parquet file"),
    (b"ID3", "an MP3 file"),
    (b"OggS", "an Ogg media file"),
    (b"fLaC", "a FLAC file"),
    (b"wOFF", "a font"),
    (b"wOF2", "a font"),
    (b"%!PS", "a PostScript file"),
)
_READ = (
    (b"{\\rtf", media.RTF),
    (b"\x89PNG\r\n", media.PNG),
    (b"\xff\xd8\xff", media.JPEG),
    (b"II*\x00", media.TIFF),
    (b"MM\x00*", media.TIFF),
)
# What a file of such a name must be; its bytes say so, or it is damaged.
_NAMED: Mapping[str, str] = MappingProxyType(
    {
        media.PDF: "a PDF",
        media.DOCX: "a DOCX",
        media.PPTX: "a PPTX",
        media.XLSX: "an XLSX",
        media.EPUB: "an EPUB",
        media.RTF: "an RTF",
        media.MSG: "an Outlook message",
        media.ZIP: "a zip archive",
        media.PNG: "a PNG image",
        media.JPEG: "a JPEG image",
        media.TIFF: "a TIFF image",
        media.WEBP: "a WebP image",
    }
)
# The part by which a container is known.
_PARTS = (
    ("word/document", media.DOCX),
    ("ppt/presentation", media.PPTX),
    ("xl/workbook", media.XLSX),
    ("META-INF/container.xml", media.EPUB),
)
_FOREIGN_PARTS = (
    ("content.xml", "an OpenDocument file"),
    ("META-INF/MANIFEST.MF", "a Java archive"),
)
_HTML_START = re.compile(
    # A comment ends at its first `-->`: tried any other way, many comments take for ever.
    r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*+-->\s*+)*+<(?:!doctype\s+html|html)\b",
    re.I | re.S,
)
_MAIL_START = re.compile(
    r"(?:[!-9;-~]+:[^\n]*\n(?:[ \t][^\n]*\n)*){0,40}?"
    r"(?:received|message-id|mime-version|return-path)[ \t]*:",
    re.I,
)
_SHEBANG = re.compile(r"#!\s*(?:\S*/)?(?:env\s+(?:-S\s+)?)?(?:\S*/)?([a-z]+)", re.I)
_INTERPRETERS = {
    "python": "python",
    "sh": "shell",
    "bash": "shell",
    "dash": "shell",
    "zsh": "shell",
    "fish": "shell",
    "ksh": "shell",
    "perl": "perl",
    "ruby": "ruby",
    "node": "javascript",
    "php": "php",
    "lua": "lua",
    "awk": "awk",
    "make": "make",
    "tclsh": "tcl",
    "rscript": "r",
}
# C0 controls that text does not have; tab, line ends, form feed, escape and backspace are let pass.
_CONTROLS = bytes(sorted(set(range(32)) - {8, 9, 10, 11, 12, 13, 26, 27}))
_SAMPLE_BYTES = 64 * 1024
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


def sniff(data: bytes, name: str) -> str:
    """Names the media type of a file that a parser reads.

    Args:
        data: the whole file.
        name: its name; only the ending counts.

    Raises:
        UnreadableFile: of the class that says why no parser reads it.
    """
    claimed = media.media_type_of(name)
    if not data.strip(b" \t\r\n\x0b\x0c"):
        raise EmptyFile("the file is empty")
    if b"%PDF-" in data[:1024]:
        return media.PDF
    if data.startswith(_ZIP):
        return _zip_type(data, claimed)
    if data.startswith(_OLE):
        return _ole_type(data, claimed)
    for magic, media_type in _READ:
        if data.startswith(magic):
            return media_type
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return media.WEBP
    if claimed is not None and (what := _NAMED.get(claimed)):
        raise CorruptFile(f"the file is named as {what} but is none")
    for magic, what in _BINARY:
        if data.startswith(magic):
            raise UnsupportedType(f"the file is {what}, which is not read")
    if data[4:8] == b"ftyp":
        raise UnsupportedType("the file is a video or an image, which is not read")
    if _is_binary(data):
        raise UnsupportedType("the file is neither text nor of a type that is read")
    return claimed or _by_content(data)


def _zip_type(data: bytes, claimed: str | None) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as container:
            names = container.namelist()
    except ZIP_ERRORS:
        # Cut off or damaged: the parser of what it was will say so.
        found = [kind for part, kind in _PARTS if part.encode() in data]
        foreign = None
    else:
        found = [kind for part, kind in _PARTS if any(name.startswith(part) for name in names)]
        foreign = next((what for part, what in _FOREIGN_PARTS if part in names), None)
    containers = {kind for _, kind in _PARTS}
    if claimed in found or (claimed in containers and not found):
        return claimed or media.DOCX
    if found:
        return found[0]
    if foreign is not None:
        raise UnsupportedType(f"the file is {foreign}, which is not read")
    if claimed == media.ZIP:
        raise NestedArchive("archives inside of archives are not opened")
    raise UnsupportedType("the file is a zip container that is not read")


def _ole_type(data: bytes, claimed: str | None) -> str:
    """An Outlook message; other files of this container are refused.

    Raises:
        EncryptedFile: for an encrypted Office document.
        UnsupportedType: for Office formats before 2007.
    """
    if "__properties_version1.0".encode("utf-16-le") in data or claimed == media.MSG:
        return media.MSG
    encrypted = "EncryptedPackage".encode("utf-16-le") in data
    if encrypted or claimed in {media.DOCX, media.PPTX, media.XLSX}:
        raise EncryptedFile(
            "the document is encrypted", hint="Save it without a password and ingest it again."
        )
    raise UnsupportedType(
        "the file is of an Office format before 2007",
        hint="Save it as DOCX, PPTX or XLSX and ingest it again.",
    )


def _is_binary(data: bytes) -> bool:
    if data.startswith(_MARKS):
        return False
    sample = data[:_SAMPLE_BYTES]
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    if sample.count(0) and utf16_without_mark(sample) is not None:
        return False
    if sample.count(0) * 200 > len(sample) or controls * 20 > len(sample):
        return True
    # Random bytes: half of them are not ASCII, few make words, and some are controls.
    return controls * 100 > len(sample) and _not_utf8(sample)


def _not_utf8(sample: bytes) -> bool:
    text = sample.decode("utf-8", errors="replace")
    return text.count("\ufffd") * 10 > len(text)


def _by_content(data: bytes) -> str:
    head = decode_text(data[:4096]).text
    if _HTML_START.match(head):
        return media.HTML
    if (found := _SHEBANG.match(head)) and (language := _INTERPRETERS.get(found.group(1).lower())):
        return media.CODE_PREFIX + language
    if _MAIL_START.match(head.lstrip("\n").replace("\r\n", "\n")):
        return media.EML
    if head.lstrip()[:1] in {"{", "["} and data.rstrip()[-1:] in {b"}", b"]"}:
        return media.JSON
    return media.PLAIN
