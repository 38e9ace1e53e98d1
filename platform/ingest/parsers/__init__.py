"""One module per kind of file, each with `parse(data, name, media_type, limits)`.

A parser's module is imported when its first file comes, so that a process that reads HTML never
loads what PDF needs.
"""

from collections.abc import Callable
from importlib import import_module

from rostra.ingest import media
from rostra.ingest.document import ParsedDocument
from rostra.ingest.errors import CorruptFile, NoText, UnsupportedType
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers.letter import STEP, Letter
from rostra.ingest.sniff import sniff

Parser = Callable[[bytes, str, str, ParseLimits], ParsedDocument]

_MODULES = {
    media.PDF: "pdf",
    media.DOCX: "docx",
    media.PPTX: "pptx",
    media.XLSX: "xlsx",
    media.EPUB: "epub",
    media.RTF: "rtf",
    media.EML: "mail",
    media.MSG: "mail",
    media.NOTEBOOK: "notebook",
    media.LATEX: "latex",
    media.PNG: "image",
    media.JPEG: "image",
    media.TIFF: "image",
    media.WEBP: "image",
    media.HTML: "html",
    media.MARKDOWN: "markdown",
    media.PLAIN: "plain",
    media.CSV: "table",
    media.TSV: "table",
    media.JSON: "json_",
    media.JSON_LINES: "json_",
}


def parser_of(media_type: str) -> Parser:
    """Loads the parser of a media type.

    Raises:
        UnsupportedType: if there is none.
    """
    module = "code" if media_type.startswith(media.CODE_PREFIX) else _MODULES.get(media_type)
    if module is None:
        raise UnsupportedType(f"files of type {media_type} are not read")
    parser: Parser = import_module(f"{__name__}.{module}").parse
    return parser


def parse_bytes(data: bytes, name: str, limits: ParseLimits) -> ParsedDocument:
    """Parses a file in this process; untrusted files go through `ParserProcess`.

    A name with steps, as `attachment_name` makes it, is that of something enclosed in a message
    whose bytes these are.

    Raises:
        UnreadableFile: of the class that says why the file has no document.
    """
    name, *steps = name.split(STEP)
    media_type = sniff(data, name)
    if steps:
        document = _parse_enclosed(data, media_type, steps, limits)
    else:
        document = parser_of(media_type)(data, name, media_type, limits)
    if not document.text.strip():
        raise NoText("the file holds no text")
    return document


def attachment_name(mail: str, number: int, name: str) -> str:
    """The name under which `parse_bytes` reads something enclosed in a message.

    Args:
        mail: the name of the message, itself perhaps enclosed in another.
        number: counts what is enclosed from 1.
        name: of what is enclosed; for people, the message has it too.
    """
    return STEP.join((mail, str(number), name))


def _parse_enclosed(
    data: bytes, media_type: str, steps: list[str], limits: ParseLimits
) -> ParsedDocument:
    """Follows the steps `number, name, number, name ...` into a message."""
    from rostra.ingest.parsers.mail import enclosed, letter_document, read_letter

    inner: bytes | Letter = data
    name = ""
    for number in steps[::2]:
        if isinstance(inner, bytes):
            if media_type not in media.MAILS:
                raise CorruptFile("only messages have attachments")
            inner = read_letter(inner, media_type)
        name, inner = enclosed(inner, int(number) if number.isdecimal() else 0)
        if isinstance(inner, bytes):
            media_type = sniff(inner, name)
    if isinstance(inner, bytes):
        return parser_of(media_type)(inner, name, media_type, limits)
    return letter_document(inner, name, media_type, limits)
