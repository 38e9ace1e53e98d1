"""What type a file is: by its first bytes, then by its name, then by what the text looks like.

A file whose bytes are no text and of no type that is read is refused; nothing is guessed from
binary junk.
"""

import re

from rostra.ingest import media
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
    (b"\x89PNG\r\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
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
    (b"{\\rtf", "a Rich Text file"),
    (b"%!PS", "a PostScript file"),
)
_CONTAINERS = (
    (b"xl/workbook", "an Excel workbook"),
    (b"ppt/presentation", "a PowerPoint presentation"),
    (b"application/vnd.oasis.opendocument", "an OpenDocument file"),
    (b"application/epub", "an EPUB book"),
    (b"META-INF/MANIFEST.MF", "a Java archive"),
)
_HTML_START = re.compile(
    # A comment ends at its first `-->`: tried any other way, many comments take for ever.
    r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*+-->\s*+)*+<(?:!doctype\s+html|html)\b",
    re.I | re.S,
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
        raise _ole_reason(data, claimed)
    if claimed == media.PDF:
        raise CorruptFile("the file is named as a PDF but is none")
    if claimed == media.DOCX:
        raise CorruptFile("the file is named as a DOCX but is no zip container")
    if claimed == media.ZIP:
        raise CorruptFile("the file is named as a zip archive but is none")
    for magic, what in _BINARY:
        if data.startswith(magic):
            raise UnsupportedType(f"the file is {what}, which is not read")
    if data[4:8] == b"ftyp":
        raise UnsupportedType("the file is a video or an image, which is not read")
    if _is_binary(data):
        raise UnsupportedType("the file is neither text nor of a type that is read")
    return claimed or _by_content(data)


def _zip_type(data: bytes, claimed: str | None) -> str:
    if claimed == media.DOCX or b"word/document" in data:
        return media.DOCX
    for mark, what in _CONTAINERS:
        if mark in data:
            raise UnsupportedType(f"the file is {what}, which is not read")
    if claimed == media.ZIP:
        raise NestedArchive("archives inside of archives are not opened")
    raise UnsupportedType("the file is a zip container that is not read")


def _ole_reason(data: bytes, claimed: str | None) -> EncryptedFile | UnsupportedType:
    if claimed == media.DOCX or "EncryptedPackage".encode("utf-16-le") in data:
        return EncryptedFile(
            "the document is encrypted", hint="Save it without a password and ingest it again."
        )
    return UnsupportedType(
        "the file is of an Office format before 2007", hint="Save it as DOCX and ingest it again."
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
    if head.lstrip()[:1] in {"{", "["} and data.rstrip()[-1:] in {b"}", b"]"}:
        return media.JSON
    return media.PLAIN
