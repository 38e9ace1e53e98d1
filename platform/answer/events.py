"""What an answer is, and the events it arrives as.

What always holds: a citation's `quote` is its document's `text[start:end]`, and the answer's
`[answer_start:answer_end]` is the statement it backs; a stream ends with exactly one `Done`, or
raises; the deltas of a stream joined are the final answer.
"""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from rostra.retrieval import ExpansionReport, Hit

NOT_FOUND = "Not found in these documents."


class AnswerMode(StrEnum):
    """How an answer was made."""

    QUOTE = "quote"
    GENERATE = "generate"
    AGENT = "agent"


class Stage(StrEnum):
    """What is being done, for people who wait."""

    SEARCHING = "searching"
    READING = "reading"
    WRITING = "writing"


@dataclass(frozen=True, slots=True)
class Citation:
    """A span of a stored document. All offsets count code points."""

    document_id: UUID
    uri: str
    title: str
    start: int
    end: int
    page: int | None
    quote: str
    answer_start: int
    answer_end: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer; without citations when nothing was found.

    Attributes:
        expansion: what query strategies added to the search; None for a plain one.
        picked_by: who chose the evidence; None where it was written with the answer.
        best: place among the citations of the most telling one; None without any.
    """

    answer: str
    mode: AnswerMode
    found: bool
    citations: list[Citation]
    timings_ms: dict[str, float] = field(default_factory=dict)
    expansion: ExpansionReport | None = None
    picked_by: str | None = None
    best: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As the CLI's `--json` and the API print it."""
        body = asdict(self)
        for name in ("expansion", "picked_by", "best"):
            if body[name] is None:
                del body[name]
        return body


@dataclass(frozen=True, slots=True)
class Status:
    """A new stage has begun."""

    stage: Stage


@dataclass(frozen=True, slots=True)
class Passages:
    """What the answer will be made from, best first."""

    hits: list[Hit]


@dataclass(frozen=True, slots=True)
class TextDelta:
    """To be appended to the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Cited:
    """A statement already streamed is backed by this."""

    citation: Citation


@dataclass(frozen=True, slots=True)
class Done:
    """The whole answer again, final."""

    answer: Answer


AnswerEvent = Status | Passages | TextDelta | Cited | Done
