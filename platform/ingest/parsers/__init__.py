"""One module per kind of file, each with `parse(data, name, media_type, limits)`.

A parser's module is imported when its first file comes, so that a process that reads HTML never
loads what PDF needs.
"""

from collections.abc import Callable
from importlib import import_module

from rostra.ingest import media
from rostra.ingest.document import ParsedDocument
from rostra.ingest.errors import NoText, UnsupportedType
from rostra.ingest.limits import ParseLimits
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

    Raises:
        UnreadableFile: of the class that says why the file has no document.
    """
    media_type = sniff(data, name)
    document = parser_of(media_type)(data, name, media_type, limits)
    if not document.text.strip():
        raise NoText("the file holds no text")
    return document
