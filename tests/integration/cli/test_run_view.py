"""A run on a terminal: each thing is said, and once."""

import io
from datetime import UTC, datetime

from rich.console import Console

from rostra.agents import (
    Decided,
    ModelAnswered,
    ModelAsked,
    Record,
    RunEnded,
    RunEvent,
    Spent,
    Status,
    Usage,
)
from rostra.cli.run_view import RunView


def shown(*events: RunEvent) -> str:
    out = io.StringIO()
    view = RunView(Console(file=out, width=100))
    for seq, event in enumerate(events, 1):
        view.show(Record(seq, datetime.now(UTC), event))
    return out.getvalue()


def test_the_error_of_a_model_is_printed_once() -> None:
    error = {"code": "remote_unavailable", "message": "the endpoint is gone"}
    asked = ModelAsked("1", "step", "m", "d")
    answered = ModelAnswered("1", "", Usage(), finish="error", error=error)
    text = shown(asked, answered, RunEnded(Status.FAILED, Spent(), error=error))
    assert text.count("the endpoint is gone") == 1
    other = {"code": "budget_spent", "message": "no steps are left"}
    text = shown(asked, answered, RunEnded(Status.EXHAUSTED, Spent(), error=other))
    assert text.count("the endpoint is gone") == text.count("no steps are left") == 1


def test_a_plan_that_was_refused_is_a_mistake_and_the_end_says_why() -> None:
    end = {"code": "nothing_usable", "message": "nothing could be used: a circle"}
    text = shown(
        Decided("2", error="These steps wait for each other in a circle: E1, E2."),
        RunEnded(Status.ABSTAINED, Spent(), error=end),
    )
    assert "mistake" in text
    assert "nothing could be used: a circle" in text
