"""Fetched documents that are no text by themselves, such as PDF, read by the platform's parsers.

What always holds: a document is parsed in a process of its own, with the limits of time, memory and
text that files on disk have; one at a time, and no process is left behind; what was cut while it
was fetched is refused, not half read.
"""

import asyncio
from pathlib import PurePosixPath

from mcp_servers.fetch.text import PageText
from rostra.core import InvalidRequest, Settings
from rostra.fetch import Fetched
from rostra.ingest import ParserProcess

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
# What servers say of files whose type they do not know.
_UNKNOWN = frozenset(
    ["", "application/octet-stream", "binary/octet-stream", "application/x-download"]
)
_ENDINGS = {PDF: ".pdf", DOCX: ".docx"}
_MAX_NAME = 200


def document_type(body: bytes, media_type: str, name: str) -> str | None:
    """The type of a document that a parser is needed for; None for all that is none.

    Args:
        body: as it was sent; a PDF says so itself, whatever its server says.
        media_type: of the header, lower case; may be empty.
        name: the last part of the URL's path.
    """
    if body.startswith(b"%PDF-"):
        return PDF
    if media_type in _ENDINGS:
        return media_type
    if media_type in _UNKNOWN:
        if b"%PDF-" in body[:1024]:
            return PDF
        if body.startswith(b"PK\x03\x04") and (name.endswith(".docx") or b"word/document" in body):
            return DOCX
    return None


class DocumentReader:
    """Reads documents, one at a time.

    Args:
        settings: the parsers' limits.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turn = asyncio.Lock()

    async def read(self, fetched: Fetched) -> PageText | None:
        """The document's text; None where it is no document but a page.

        Raises:
            InvalidRequest: it is longer than what is fetched of a page.
            UnreadableFile: of the class that says why it has no text.
            ParserUnavailable: the parser's process does not start.
        """
        name = PurePosixPath(fetched.url.path).name[-_MAX_NAME:].lower()
        given = fetched.content_type.partition(";")[0].strip().lower()
        media_type = document_type(fetched.body, given, name)
        if media_type is None:
            return None
        if fetched.truncated:
            raise InvalidRequest(
                f"the document has more than {len(fetched.body):,} bytes, and its beginning alone "
                "cannot be read",
                hint="Whoever runs this server can start it with a larger --max-bytes.",
            )
        async with self._turn, ParserProcess(self._settings) as parser:
            # The name's ending says the type, and it is the title of a document that has none.
            ending = _ENDINGS[media_type]
            named = name if name.endswith(ending) else (name or "document") + ending
            document = await parser.parse(named, fetched.body)
        return PageText(document.title, document.media_type, document.text)
