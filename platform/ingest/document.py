"""What a parser makes of a file: one text, and spans that say what its parts are.

What always holds (`check_document`): the text is in the one form of `normalize_text`; spans lie
inside it and are sorted by (start, -end, kind); PAGE spans are disjoint and in order; the title is
one line of 1 to 300 code points. All offsets count code points of `text`.
"""

from dataclasses import dataclass
from enum import StrEnum

from rostra.core import normalize_text

JsonScalar = str | int | float | bool | None
MAX_TITLE_CHARS = 300


class SpanKind(StrEnum):
    """What a part of a document is.

    A TABLE contains ROWs, and a row is one line of a Markdown table. CODE contains its lines.
    HEADING covers the heading's own words, without markup around them.
    """

    HEADING = "heading"
    PAGE = "page"
    TABLE = "table"
    ROW = "row"
    CODE = "code"
    PARAGRAPH = "paragraph"
    LIST_ITEM = "list_item"


@dataclass(frozen=True, slots=True)
class Span:
    """A part `[start, end)` of a document's text.

    Attributes:
        kind: what it is.
        start: first code point.
        end: code point after the last.
        level: 1 to 6 for a heading, the number from 1 for a page, else 0.
    """

    kind: SpanKind
    start: int
    end: int
    level: int = 0

    @property
    def order(self) -> tuple[int, int, str]:
        """Sorts containers before what they contain."""
        return (self.start, -self.end, self.kind.value)


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A document as it is stored and cited."""

    text: str
    title: str
    media_type: str
    spans: tuple[Span, ...]
    metadata: dict[str, JsonScalar]


def check_document(document: ParsedDocument) -> None:
    """Raises ValueError if a document breaks what this module says always holds."""
    text, title = document.text, document.title
    if normalize_text(text) != text:
        raise ValueError("the text is not normalised")
    if not 1 <= len(title) <= MAX_TITLE_CHARS or "\n" in title or normalize_text(title) != title:
        raise ValueError("the title is not one line of 1 to 300 code points")
    previous: Span | None = None
    page_end = 0
    for span in document.spans:
        if not 0 <= span.start <= span.end <= len(text):
            raise ValueError(f"{span} lies outside of the text")
        if previous is not None and previous.order > span.order:
            raise ValueError(f"{span} is out of order")
        if span.kind is SpanKind.PAGE:
            if span.start < page_end:
                raise ValueError(f"{span} overlaps the page before it")
            page_end = span.end
        elif span.kind is SpanKind.HEADING and not 1 <= span.level <= 6:
            raise ValueError(f"{span} has no heading level")
        previous = span
