"""Bytes to text: byte order mark, then strict UTF-8, then a guess that is said to be one.

What always holds: decoding never fails, and the metadata says which encoding was used and how many
characters could not be decoded.
"""

import codecs
import re
from dataclasses import dataclass

from rostra.ingest.document import JsonScalar

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Codecs that are no encodings of files, or take far more time than the text is long.
_REFUSED = frozenset(
    {
        "idna",
        "punycode",
        "unicode-escape",
        "raw-unicode-escape",
        "utf-7",
        "undefined",
        "mbcs",
        "oem",
    }
)
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_GUESS_BYTES = 64 * 1024
_REPLACEMENT = "\ufffd"


@dataclass(frozen=True, slots=True)
class DecodedText:
    """A file's text, not normalised yet.

    Attributes:
        text: the text, without its byte order mark.
        encoding: name of the codec used.
        errors: characters that stand for bytes that could not be decoded.
    """

    text: str
    encoding: str
    errors: int = 0

    @property
    def metadata(self) -> dict[str, JsonScalar]:
        """What a document says about its own decoding."""
        facts: dict[str, JsonScalar] = {"encoding": self.encoding}
        if self.errors:
            facts["encoding_errors"] = self.errors
        return facts


def decode_text(data: bytes, declared: str | None = None) -> DecodedText:
    """Decodes a file.

    Args:
        data: the whole file.
        declared: encoding that the file's own content names; a byte order mark wins over it.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _decode_as(data[len(mark) :], encoding)
    known = _known(declared)
    for encoding in (known, "utf-8") if known else ("utf-8",):
        try:
            return DecodedText(data.decode(encoding), encoding)
        except UnicodeDecodeError:
            continue
    if _is_mostly_utf8(data):
        return _decode_as(data, "utf-8")
    return _decode_as(data, _guess(data))


def utf16_without_mark(data: bytes) -> str | None:
    """The UTF-16 codec of text that has no byte order mark but a zero in every other byte."""
    sample = data[:4096]
    half = len(sample) // 2
    if half < 8:
        return None
    even, odd = sample[0 : 2 * half : 2].count(0), sample[1 : 2 * half : 2].count(0)
    if odd > 0.7 * half and even < 0.05 * half:
        return "utf-16-le"
    if even > 0.7 * half and odd < 0.05 * half:
        return "utf-16-be"
    return None


def _decode_as(data: bytes, encoding: str) -> DecodedText:
    text = data.decode(encoding, errors="replace")
    try:
        already = data.count(_REPLACEMENT.encode(encoding))
    except UnicodeEncodeError:
        already = 0
    return DecodedText(text, encoding, max(0, text.count(_REPLACEMENT) - already))


def _known(declared: str | None) -> str | None:
    """The codec of a declared name, as browsers understand it; None for one not to be used."""
    if declared is None:
        return None
    try:
        name = codecs.lookup(declared.strip()).name
    except (LookupError, ValueError):
        return None
    if name in _REFUSED or name.startswith(("utf-16", "utf-32")):
        # What we could read a declaration from is no UTF-16.
        return None
    try:
        b"a".decode(name)
    except (LookupError, UnicodeError):
        return None
    return "cp1252" if name in {"iso8859-1", "ascii"} else name


def _is_mostly_utf8(data: bytes) -> bool:
    """Whether most of what is not ASCII is valid UTF-8, with a few bad bytes between.

    Text in another encoding hardly ever makes valid sequences by chance.
    """
    first = _NOT_ASCII.search(data)
    at = first.start() if first else 0
    sample = data[at : at + _GUESS_BYTES]
    text = sample.decode("utf-8", errors="replace")
    bad = text.count(_REPLACEMENT)
    good = sum(1 for character in text if character > "\x7f") - bad
    return good > bad


def _guess(data: bytes) -> str:
    """Guesses the codec of text that is not UTF-8 from the part around its first such byte."""
    without_mark = utf16_without_mark(data)
    if without_mark is not None:
        return without_mark
    import charset_normalizer

    first = _NOT_ASCII.search(data)
    at = max(0, (first.start() if first else 0) - 1024)
    best = charset_normalizer.from_bytes(data[at : at + _GUESS_BYTES]).best()
    if best is None:
        return "cp1252"
    encoding = best.encoding
    if "cp1252" in best.could_be_from_charset or _is_western(encoding):
        return "cp1252"
    return encoding


def _is_western(encoding: str) -> bool:
    """Codecs that short Western texts are mistaken for, where the common one is the better bet."""
    return encoding in {
        "latin_1",
        "cp1250",
        "cp1254",
        "cp1257",
        "cp1258",
        "mac_roman",
        "mac_latin2",
    }
