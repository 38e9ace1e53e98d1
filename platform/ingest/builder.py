"""Puts a document together block by block, so that offsets are right by construction.

What always holds: text is normalised before an offset into it is taken, blocks are separated by as
many newlines as the larger wish of both, and a text over the limit is refused while it grows.
"""

import re

from rostra.core import collapse_whitespace, normalize_text
from rostra.ingest.document import MAX_TITLE_CHARS, JsonScalar, ParsedDocument, Span, SpanKind
from rostra.ingest.errors import TooLarge

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")


class DocumentBuilder:
    """Collects text and spans of one document.

    Args:
        max_chars: most code points of text.
    """

    def __init__(self, max_chars: int) -> None:
        self._max_chars = max_chars
        self._parts: list[str] = []
        self._spans: list[Span] = []
        self.length = 0

    def add(self, text: str, newlines: int = 2) -> tuple[int, int]:
        """Appends text after this many newlines (none at the beginning); returns its range.

        Raises:
            TooLarge: when the document's text gets longer than the limit.
        """
        text = normalize_text(text)
        if self.length and newlines:
            self._parts.append("\n" * newlines)
            self.length += newlines
        start = self.length
        self._parts.append(text)
        self.length += len(text)
        if self.length > self._max_chars:
            raise text_too_large(self._max_chars)
        return start, self.length

    def check(self, pending: int) -> None:
        """Refuses text that would be too long before it is put together.

        Raises:
            TooLarge: when this many code points more would be over the limit.
        """
        if self.length + pending > self._max_chars:
            raise text_too_large(self._max_chars)

    def block(self, text: str, kind: SpanKind, level: int = 0, newlines: int = 2) -> None:
        """Appends a block and marks it."""
        start, end = self.add(text, newlines)
        self.mark(kind, start, end, level)

    def mark(self, kind: SpanKind, start: int, end: int, level: int = 0) -> None:
        """Says what a range of the text so far is."""
        self._spans.append(Span(kind, start, end, level))

    def table(self, rows: list[str]) -> None:
        """Appends rows, each one line of a Markdown table."""
        table_start = -1
        for number, row in enumerate(rows):
            start, end = self.add(row, newlines=1 if number else 2)
            self.mark(SpanKind.ROW, start, end)
            table_start = start if table_start < 0 else table_start
        if rows:
            self.mark(SpanKind.TABLE, table_start, self.length)

    def build(
        self, title: str, media_type: str, metadata: dict[str, JsonScalar] | None = None
    ) -> ParsedDocument:
        """The finished document."""
        return make_document("".join(self._parts), title, media_type, self._spans, metadata)


def make_document(
    text: str,
    title: str,
    media_type: str,
    spans: list[Span],
    metadata: dict[str, JsonScalar] | None = None,
) -> ParsedDocument:
    """A document of a text that is normalised already; sorts the spans and trims the title."""
    return ParsedDocument(
        text=text,
        title=clean_title(title) or "untitled",
        media_type=media_type,
        spans=tuple(sorted(spans, key=lambda span: span.order)),
        metadata=metadata or {},
    )


def clean_title(title: str) -> str:
    """The title as one line of at most 300 code points, with `…` where it is cut; may be empty.

    Control characters, which would act on a terminal that shows it, are left out.
    """
    line = collapse_whitespace(_CONTROLS.sub(" ", normalize_text(title)))
    if len(line) <= MAX_TITLE_CHARS:
        return line
    return line[: MAX_TITLE_CHARS - 1].rstrip() + "…"


def text_too_large(max_chars: int) -> TooLarge:
    """The error for a text over its limit."""
    return TooLarge(
        f"the text is longer than {max_chars:,} characters",
        hint="Split the file, or raise max_text_chars.",
    )


def too_many_columns(most: int) -> TooLarge:
    """The error for a table that is wider than any that is read."""
    return TooLarge(f"a row has more than {most:,} columns", hint="Split or turn the table.")


def markdown_row(cells: list[str]) -> str:
    """One line of a Markdown table; a cell's whitespace collapses, `|` is escaped."""
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
