"""What the tool returns; clients get it as output schema."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class _Result(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class PageLink(_Result):
    """Where a page points to."""

    text: str
    url: str


class Page(_Result):
    """A web page as text, or the part of it that was asked for."""

    url: Annotated[str, Field(description="After redirects.")]
    title: str
    media_type: str
    start: Annotated[int, Field(description="First code point of this part.")]
    end: Annotated[int, Field(description="One past the last; go on from here.")]
    length: Annotated[int, Field(description="Code points of the whole page.")]
    truncated: Annotated[bool, Field(description="Whether the page was too large to read whole.")]
    text: str
    links: Annotated[list[PageLink], Field(description="The first ones of the page.")]
