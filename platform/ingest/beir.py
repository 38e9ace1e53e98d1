"""Corpora in the BEIR layout: `corpus.jsonl` with one `_id`, `title` and `text` a line.

What always holds: a record's uri is its `_id` exactly, its text is the title, a blank line and the
text, only the text without a title; a bad line is reported with its number and stops nothing.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from rostra.core import PathNotFound, Settings, UnreadableFile
from rostra.ingest import media
from rostra.ingest.builder import DocumentBuilder, clean_title
from rostra.ingest.document import ParsedDocument, SpanKind
from rostra.ingest.errors import BadRecord, DuplicateName, EmptyFile, NoText, TooLarge
from rostra.ingest.files import open_regular
from rostra.ingest.items import FailedSource, ReadySource
from rostra.ingest.parsers.plain import paragraphs
from rostra.ingest.sources import file_uri

CORPUS = "corpus.jsonl"


def read_beir(folder: Path | str, settings: Settings) -> Iterator[ReadySource | FailedSource]:
    """Reads a corpus record by record.

    Args:
        folder: holds `corpus.jsonl`.
        settings: limits for a line and its text.

    Raises:
        PathNotFound: if there is no such folder or no corpus in it; raised at once.
        UnreadableFile: if the corpus cannot be opened; raised at once.
    """
    path = Path(folder) / CORPUS
    if not Path(folder).is_dir():
        raise PathNotFound(f"there is no folder {folder}", path=str(folder))
    if not path.exists():
        raise PathNotFound(
            f"there is no {CORPUS} in {folder}",
            hint="A BEIR folder holds corpus.jsonl with `_id`, `title` and `text` on each line.",
            path=str(path),
        )
    path = path.resolve()
    open_regular(path).close()
    return _records(path, settings)


def _records(path: Path, settings: Settings) -> Iterator[ReadySource | FailedSource]:
    corpus = file_uri(path)
    seen: set[str] = set()
    number = 0
    with open_regular(path) as file:
        while line := file.readline(settings.max_file_bytes + 1):
            number += 1
            too_long = len(line) > settings.max_file_bytes
            while too_long and not line.endswith(b"\n") and line:
                line = file.readline(settings.max_file_bytes)
            if not too_long and not line.strip():
                continue
            try:
                if too_long:
                    raise TooLarge(
                        f"line {number} is longer than {settings.max_file_bytes:,} bytes"
                    )
                record = _record(line.strip(), number, settings)
                if record.uri in seen:
                    raise DuplicateName(f"line {number}: the _id {record.uri!r} is there twice")
            except UnreadableFile as error:
                yield FailedSource(f"{corpus}#line={number}", error)
                continue
            seen.add(record.uri)
            yield record
    if not number:
        yield FailedSource(corpus, EmptyFile(f"{CORPUS} is empty"))


def _record(line: bytes, number: int, settings: Settings) -> ReadySource:
    try:
        fields: Any = msgspec.json.decode(line.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord(f"line {number} is no JSON: {error}") from None
    if not isinstance(fields, dict):
        raise BadRecord(f"line {number} is no JSON object")
    identity, text, title = fields.get("_id"), fields.get("text"), fields.get("title")
    if isinstance(identity, int) and not isinstance(identity, bool):
        identity = str(identity)
    if not isinstance(identity, str) or not identity:
        raise BadRecord(f"line {number} has no _id")
    if not isinstance(text, str):
        raise BadRecord(f"line {number} has no text")
    if title is not None and not isinstance(title, str):
        raise BadRecord(f"line {number}: the title is no text")
    return ReadySource(identity, _document(identity, (title or "").strip(), text, settings))


def _document(identity: str, title: str, text: str, settings: Settings) -> ParsedDocument:
    builder = DocumentBuilder(settings.max_text_chars)
    if title:
        builder.block(title, SpanKind.HEADING, 1)
    if body := text.strip():
        start, _ = builder.add(body)
        for span in paragraphs(body):
            builder.mark(span.kind, start + span.start, start + span.end)
    if not builder.length:
        raise NoText(f"the document {identity} has neither title nor text")
    return builder.build(clean_title(title) or identity, media.PLAIN, {"_id": identity})
