"""Jupyter notebooks: Markdown cells as Markdown, code cells as code, and what they printed.

Of outputs the text is read, each to a bound; pictures and pages are not. Source: nbformat 3 and 4.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from rostra.core import normalize_text
from rostra.ingest.builder import DocumentBuilder, clean_title
from rostra.ingest.document import JsonScalar, ParsedDocument, SpanKind
from rostra.ingest.errors import CorruptFile, TooDeep
from rostra.ingest.limits import ParseLimits
from rostra.ingest.parsers.markdown import MarkdownText
from rostra.ingest.parsers.plain import read_text
from rostra.ingest.reasons import words_of

# Colours and cursor movements of terminals.
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_MAX_OUTPUT_CHARS = 4_000
_MAX_OUTPUTS = 20


def parse(data: bytes, name: str, media_type: str, limits: ParseLimits) -> ParsedDocument:
    """Reads a notebook.

    Raises:
        CorruptFile: if it is none.
        TooDeep: if its values are nested deeper than Python follows.
        TooLarge: if the text is over its limit.
    """
    # Pictures are in the file as text, which is not part of the document's.
    _, text = read_text(data, limits, max_chars=max(limits.max_text_chars, len(data)))
    try:
        notebook = json.loads(text)
    except RecursionError:
        raise TooDeep("the notebook's values are nested too deeply") from None
    except ValueError as error:
        raise CorruptFile(f"the notebook is no JSON: {words_of(error)}") from None
    if not isinstance(notebook, dict):
        raise CorruptFile("the file is no notebook")
    metadata = notebook.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    builder = DocumentBuilder(limits.max_text_chars)
    title = clean_title(metadata.get("title") or "") if _is_text(metadata.get("title")) else ""
    cells = 0
    for cell in _cells(notebook):
        kind = cell.get("cell_type")
        source = _joined(cell.get("source", cell.get("input")))
        cells += 1
        if kind == "markdown":
            heading = _add_markdown(builder, source)
            title = title or heading
        elif kind == "heading" and source.strip():
            level = cell.get("level")
            level = level if isinstance(level, int) and 1 <= level <= 6 else 1
            builder.block(clean_title(source), SpanKind.HEADING, level)
        elif kind == "code":
            _add_code(builder, source, cell.get("outputs"))
        elif kind == "raw" and source.strip():
            builder.block(source.strip("\n").rstrip(), SpanKind.PARAGRAPH)
    facts: dict[str, JsonScalar] = {"cells": cells}
    kernel = metadata.get("kernelspec")
    language = kernel.get("language") if isinstance(kernel, dict) else None
    if _is_text(language):
        facts["language"] = str(language)[:50]
    return builder.build(title or name, media_type, facts)


def _cells(notebook: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Cells in order, also those of the sheets that version 3 had."""
    lists = [notebook.get("cells")]
    sheets = notebook.get("worksheets")
    if isinstance(sheets, list):
        lists += [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)]
    if not any(isinstance(one, list) for one in lists):
        raise CorruptFile("the notebook has no cells")
    for one in lists:
        if isinstance(one, list):
            yield from (cell for cell in one if isinstance(cell, dict))


def _add_markdown(builder: DocumentBuilder, source: str) -> str:
    """Writes a Markdown cell; returns its first heading of the highest level."""
    text = normalize_text(source).strip("\n").rstrip()
    if not text.strip():
        return ""
    markdown = MarkdownText(text)
    start, _ = builder.add(text)
    for span in markdown.spans:
        builder.mark(span.kind, start + span.start, start + span.end, span.level)
    return markdown.title


def _add_code(builder: DocumentBuilder, source: str, outputs: Any) -> None:
    code = source.strip("\n").rstrip()
    if code:
        builder.block(code, SpanKind.CODE)
    if not isinstance(outputs, list):
        return
    for output in outputs[:_MAX_OUTPUTS]:
        text = _output(output) if isinstance(output, dict) else ""
        text = _ESCAPE.sub("", normalize_text(text)).strip("\n").rstrip()
        if len(text) > _MAX_OUTPUT_CHARS:
            text = text[:_MAX_OUTPUT_CHARS].rstrip() + "\n[...]"
        if text.strip():
            builder.block(text, SpanKind.CODE)


def _output(output: dict[str, Any]) -> str:
    """An output's text: what was printed, a value, or an error."""
    kind = output.get("output_type")
    if kind == "stream":
        return _joined(output.get("text"))
    if kind in {"error", "pyerr"}:
        return f"{_joined(output.get('ename'))}: {_joined(output.get('evalue'))}"
    data = output.get("data")
    if isinstance(data, dict):
        return _joined(data.get("text/markdown") or data.get("text/plain"))
    return _joined(output.get("text"))


def _joined(lines: Any) -> str:
    """A text that may be written as a list of its lines."""
    if isinstance(lines, list):
        return "".join(line for line in lines if isinstance(line, str))
    return lines if isinstance(lines, str) else ""


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
