"""The pieces that a model's text is told apart into.

What always holds: a tool call's first delta carries its id and name, later ones only more of its
arguments; calls are numbered from 0 in the order they were made.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ContentDelta:
    """More of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of what was thought before the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A call of a tool, or more of one.

    Attributes:
        index: which of the calls.
        arguments: JSON text, a piece of it.
        id: made here; with a call's first delta only.
        name: likewise.
    """

    index: int
    arguments: str = ""
    id: str | None = None
    name: str | None = None


ParsedDelta = ContentDelta | ReasoningDelta | ToolCallDelta
