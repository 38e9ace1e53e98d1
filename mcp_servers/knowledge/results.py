"""What the tools return; clients get these as output schemas.

What always holds: `start` and `end` are Unicode code points of the stored document, so a hit's
`text` and a citation's `quote` are what `read` gives for the same `start` and `end`. A result with
`document_id`, `start` and `end` names a verbatim part of a stored document.
"""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Start = Annotated[int, Field(description="First code point in the document's text.")]
End = Annotated[int, Field(description="One past the last code point.")]
Page = Annotated[int | None, Field(description="Page it begins on; null where there are no pages.")]
Total = Annotated[int, Field(description="How many there are in all.")]
StartLine = Annotated[int, Field(description="Line it begins on, from 1.")]
EndLine = Annotated[int, Field(description="Line it ends on.")]
Length = Annotated[int, Field(description="Code points of the whole document.")]


class _Result(BaseModel):
    # No aliases: clients check results against schemas that would have the other name.
    model_config = ConfigDict(frozen=True, from_attributes=True)


class Hit(_Result):
    """A passage that was found."""

    document_id: UUID
    uri: str
    title: str
    page: Page
    start: Start
    end: End
    text: str
    score: Annotated[float, Field(description="Compares with the other hits of this search only.")]


class Hits(_Result):
    """Passages, best first."""

    hits: list[Hit]


class Text(_Result):
    """A slice of a document's text; `end` is less than asked for where the slice was cut."""

    document_id: UUID
    uri: str
    title: str
    start: Start
    end: End
    length: Length
    start_line: Annotated[int | None, Field(description="Null where code points were asked.")]
    end_line: Annotated[int | None, Field(description="Line that the slice ends on.")]
    text: str


class Quote(_Result):
    """A verbatim part of a document, and where it stands."""

    document_id: UUID
    uri: str
    title: str
    page: Page
    start: Start
    end: End
    start_line: StartLine
    end_line: EndLine
    quote: str


class Document(_Result):
    """A stored document."""

    document_id: UUID
    uri: str
    title: str
    media_type: str
    length: Length


class Documents(_Result):
    """One page of documents, by uri."""

    documents: list[Document]
    total: Total


class Citation(_Result):
    """Where a statement of the answer comes from."""

    document_id: UUID
    uri: str
    title: str
    page: Page
    start: Start
    end: End
    quote: str
    answer_start: Annotated[int, Field(description="First code point of the statement backed.")]
    answer_end: Annotated[int, Field(description="One past its last code point.")]


class Answer(_Result):
    """An answer; without citations when nothing was found."""

    answer: str
    found: Annotated[bool, Field(description="Whether the documents hold an answer.")]
    mode: Annotated[str, Field(description="quote: sentences word for word; generate: written.")]
    citations: list[Citation]
