"""JSON and JSON lines as readable text: one `key: value` a line, nesting by indentation.

What always holds: every key and every scalar of the file is in the text, numbers as they were
written, strings unescaped; a record of a top-level list, or a line of JSON lines, is a block of its
own. What is not JSON after all is read as the plain text it is.
"""

import json
from collections.abc import Iterator
from typing import Any

from rostra.ingest import media
from rostra.ingest.builder import DocumentBuilder, make_document
from rostra.ingest.document import JsonScalar, ParsedDocument, SpanKind
from rostra.ingest.errors import TooDeep
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers.plain import paragraphs, read_text

_MAX_DEPTH = 100


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


def parse(data: bytes, name: str, media_type: str, limits: ParseLimits) -> ParsedDocument:
    """Reads a JSON file.

    Raises:
        TooLarge: if the text is over its limit.
        TooDeep: if values are nested deeper than 100 levels.
    """
    decoded, text = read_text(data, limits)
    metadata: dict[str, JsonScalar] = {**decoded.metadata}
    builder = DocumentBuilder(limits.max_text_chars)
    if media_type == media.JSON:
        try:
            value = _loads(text)
        except ValueError:
            if not _is_json_lines(text):
                metadata["invalid_json"] = True
                return make_document(text, name, media.PLAIN, paragraphs(text), metadata)
        else:
            title = _title(value) or name
            for record in value if isinstance(value, list) else [value]:
                _add(builder, _lines(record))
            return builder.build(title, media_type, metadata)
    invalid = 0
    for line in text.split("\n"):
        if not line.strip():
            continue
        try:
            _add(builder, _lines(_loads(line)))
        except ValueError:
            invalid += 1
            _add(builder, iter([line.strip()]))
    if invalid:
        metadata["invalid_lines"] = invalid
    return builder.build(name, media.JSON_LINES, metadata)


def _add(builder: DocumentBuilder, lines: Iterator[str]) -> None:
    record = "\n".join(lines)
    if record.strip():
        builder.block(record, SpanKind.PARAGRAPH)


def _loads(text: str) -> Any:
    """A JSON value with its numbers kept as written.

    Raises:
        ValueError: if it is not JSON.
        TooDeep: if it is nested beyond what Python follows.
    """
    try:
        return json.loads(text, parse_int=_Number, parse_float=_Number, parse_constant=_Number)
    except RecursionError:
        raise _too_deep() from None


def _is_json_lines(text: str) -> bool:
    first = next((line for line in text.split("\n") if line.strip()), "")
    try:
        return isinstance(_loads(first), dict | list)
    except ValueError:
        return False


def _title(value: Any) -> str:
    if isinstance(value, dict):
        for key in ("title", "name"):
            if isinstance(value.get(key), str) and not isinstance(value[key], _Number):
                return str(value[key])
    return ""


def _lines(value: Any, indent: str = "", depth: int = 0) -> Iterator[str]:
    """The lines of one value."""
    if depth > _MAX_DEPTH:
        raise _too_deep()
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _entry(f"{indent}{' '.join(key.split())}:", item, indent, depth)
    elif isinstance(value, list) and value:
        for item in value:
            yield from _entry(f"{indent}-", item, indent, depth)
    else:
        yield from (indent + line for line in _scalar(value).split("\n"))


def _entry(head: str, item: Any, indent: str, depth: int) -> Iterator[str]:
    if isinstance(item, dict | list) and item:
        yield head
        yield from _lines(item, indent + "  ", depth + 1)
        return
    first, *more = _scalar(item).split("\n")
    if not more:
        yield f"{head} {first}".rstrip()
        return
    yield head
    yield from (f"{indent}  {line}".rstrip() for line in (first, *more))


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return value.replace("\r\n", "\n").replace("\r", "\n")
    return json.dumps(value)


def _too_deep() -> TooDeep:
    return TooDeep(f"the JSON values are nested deeper than {_MAX_DEPTH} levels")
