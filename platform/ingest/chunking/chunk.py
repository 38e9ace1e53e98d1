"""What a chunker gives and what it is asked for.

What always holds for every `Chunker`: chunks are ordered and not empty; a chunk's text begins and
ends with a character that is no whitespace; together chunks hold every character that is none; a
chunk has at most as many tokens as asked for, except a row of a table or a line of code that is
kept whole and fits the embedder's window. The same document gives the same chunks.
"""

from dataclasses import dataclass
from typing import Protocol

from rostra.ingest.document import ParsedDocument

CONTEXT_TOKENS = 40


@dataclass(frozen=True, slots=True)
class Chunk:
    """A slice `[start, end)` of a document's text.

    Attributes:
        start: first code point.
        end: code point after the last.
        page: number of the page on which it begins; None without pages.
        context: title and headings above it that are not in it; may be empty. Of at most 40
            tokens; it helps the embedder and is never cited.
        header: the first row of the table in which it begins, where it begins after that. It and
            the chunk's text have no more tokens together than were asked for, with the exceptions
            that the text alone has.
        parent: `[start, end)` of the passage around it that a generator is shown; None for itself.
    """

    start: int
    end: int
    page: int | None
    context: str
    parent: tuple[int, int] | None = None
    header: str = ""


class Chunker(Protocol):
    """See this module. Calls block, some embed: use a thread."""

    def chunk(self, document: ParsedDocument) -> list[Chunk]:
        """Cuts a document; one without text has no chunks."""
        ...
