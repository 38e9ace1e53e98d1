"""A run on a terminal: each thing is said, and once."""

import io
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
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
from rostra.cli.main import run
from rostra.cli.run_view import RunView
from rostra.core import Settings
from tests.fakes import FakeEmbedder


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


def test_documents_are_cited_by_title_and_address(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("rostra.runtime.runtime.load_embedder", lambda _: FakeEmbedder())
    page = tmp_path / "vacuum.md"
    page.write_text("# Of [bold]space\n\nThe vacuum command gives back the space of dead rows.\n")
    assert run(["ingest", str(page)]) == 0
    script = tmp_path / "script.jsonl"
    steps = [
        {"thought": "look", "action": [{"tool": "search", "args": {"query": "vacuum command"}}]},
        {"thought": "so", "final": {"claims": [{"text": "It frees.", "evidence": [1]}]}},
    ]
    script.write_text("".join(json.dumps({"text": json.dumps(step)}) + "\n" for step in steps))
    monkeypatch.setenv("ROSTRA_CHAT_SCRIPT", str(script))
    capfd.readouterr()
    assert run(["agent", "run", "What does the vacuum command do?"]) == 0
    said = capfd.readouterr().out
    place = rf"\[1\] .*\n    Of \[bold\]space, \S*{re.escape(page.name)} \d+-\d+\n"
    assert re.search(place, said)
    run_id = said.split()[-1]
    assert run(["agent", "show", run_id]) == 0
    assert re.search(place, capfd.readouterr().out)

    # One that is deleted since is told by its id.
    assert run(["document", "list", "--json"]) == 0
    (document,) = json.loads(capfd.readouterr().out)["items"]
    assert run(["document", "delete", document["id"]]) == 0
    capfd.readouterr()
    assert run(["agent", "show", run_id]) == 0
    assert re.search(rf"\[1\] .*  {document['id']} \d+-\d+\n", capfd.readouterr().out)
