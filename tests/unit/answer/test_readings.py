"""How a question is read after another one."""

import pytest

from rostra.answer.answerer import Question, readings
from rostra.core import ChatMessage, Role

HISTORY = (
    ChatMessage(Role.USER, "What is the oldest thing?"),
    ChatMessage(Role.ASSISTANT, "A stone."),
    ChatMessage(Role.USER, "What does vacuum reclaim?"),
    ChatMessage(Role.ASSISTANT, "Storage of dead tuples."),
)
EARLIER = "What does vacuum reclaim?"


def test_a_first_question_is_read_by_itself() -> None:
    assert readings(Question("And why?"), 1000) == ["And why?"]
    told = Question("And why?", history=(ChatMessage(Role.ASSISTANT, "Hello."),))
    assert readings(told, 1000) == ["And why?"]


@pytest.mark.parametrize(
    "text", ["And how often does that happen to tables?", "Why?", "How is it switched off by hand?"]
)
def test_a_question_that_points_back_is_first_read_with_the_one_before(text: str) -> None:
    assert readings(Question(text, history=HISTORY), 1000) == [f"{EARLIER} {text}", text]


def test_a_question_that_stands_alone_is_first_read_by_itself() -> None:
    text = "How can an index be built without blocking writes?"
    assert readings(Question(text, history=HISTORY), 1000) == [text, f"{EARLIER} {text}"]


def test_together_they_are_not_read_when_they_are_too_long() -> None:
    text = "And how often does that happen?"
    length = len(EARLIER) + 1 + len(text)
    assert readings(Question(text, history=HISTORY), length)[0] == f"{EARLIER} {text}"
    assert readings(Question(text, history=HISTORY), length - 1) == [text]
