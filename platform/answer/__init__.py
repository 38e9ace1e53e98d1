"""Answer: a question in, an answer with citations out; quoted or generated."""

from rostra.answer.answerer import Answerer, Question
from rostra.answer.conversation import Conversations, Stored, read_turns
from rostra.answer.events import (
    NOT_FOUND,
    Answer,
    AnswerEvent,
    AnswerMode,
    Citation,
    Cited,
    Done,
    Passages,
    Stage,
    Status,
    TextDelta,
)

__all__ = [
    "NOT_FOUND",
    "Answer",
    "AnswerEvent",
    "AnswerMode",
    "Answerer",
    "Citation",
    "Cited",
    "Conversations",
    "Done",
    "Passages",
    "Question",
    "Stage",
    "Status",
    "Stored",
    "TextDelta",
    "read_turns",
]
