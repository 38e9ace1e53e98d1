"""A run on a terminal: what is long is bounded, what was removed is named."""

import io
from datetime import UTC, datetime

from rich.console import Console

from rostra.agents import (
    Effect,
    Equipped,
    Noted,
    Paused,
    Record,
    Resumed,
    RunEvent,
    ToolRecord,
)
from rostra.cli.run_view import RunView


def shown(event: RunEvent) -> str:
    out = io.StringIO()
    RunView(Console(file=out, width=10_000)).show(Record(1, datetime.now(UTC), event))
    return out.getvalue()


def test_thousands_of_tools_are_counted() -> None:
    tools = [ToolRecord(f"tool_{n}", "", {}, Effect.READ, "many") for n in range(5000)]
    assert "tool_29 and 4,970 more" in shown(Equipped(tools))
    assert len(shown(Equipped(tools))) < 1000
    assert "tool_29\n" in shown(Equipped(tools[:30]))


def test_why_a_run_stopped_and_with_what_it_goes_on() -> None:
    error = {"code": "model_unavailable", "message": "no \x1b[31mmodel is set"}
    text = shown(Paused("interrupted", [], error))
    assert "paused  interrupted: no" in text
    assert "model is set" in text
    assert "\x1b" not in text
    assert "outcome unknown\n" in shown(Paused("outcome_unknown", ["c1"]))
    assert "resumed  with larger; with other prompts: react, plan" in shown(
        Resumed("me", "larger", ["react", "plan"])
    )


def test_what_the_guard_removed_is_named() -> None:
    found = ["links: image from evil.test", "hidden: \x1b[31m"]
    text = shown(Noted("1!", "guard.removed", data={"found": found}))
    assert "guard.removed links: image from evil.test; hidden: " in text
    assert "\x1b" not in text
    assert "memory.summarised all of it" in shown(Noted("1", "memory.summarised", "all of it"))
