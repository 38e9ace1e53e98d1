"""`rostra graph`, `rostra search --graph` and `rostra eval run graph` as a user meets them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rostra.cli.main import run
from rostra.core import Settings
from tests.fakes import packaged_embedder

Invoke = Callable[..., tuple[int, Any, str]]

PAGES = {
    "reindexer": "<h1>reindexer</h1><p>reindexer is a wrapper around the command REBUILD TABLE, "
    "which it runs for every table of a database.</p>",
    "rebuild": "<h1>REBUILD TABLE</h1><p>REBUILD TABLE takes an Exclusive Lock on the table "
    "until it is done, whatever its size.</p>",
    "locks": "<h1>Locks</h1><p>An Exclusive Lock keeps readers and writers out of a table.</p>",
}


@pytest.fixture
def invoke(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Invoke:
    """Runs a command line in a fresh home; returns status, parsed or raw stdout, and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rostra.runtime.runtime.load_embedder", lambda _: packaged_embedder("auto"))

    def call(*arguments: str | Path) -> tuple[int, Any, str]:
        status = run([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        text = out.decode()
        assert "Traceback" not in text + err.decode()
        return status, json.loads(text) if "--json" in arguments and text else text, err.decode()

    return call


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    folder = tmp_path / "pages"
    folder.mkdir()
    for name, body in PAGES.items():
        (folder / f"{name}.html").write_text(f"<title>{name}</title><body>{body}</body>")
    return folder


def test_a_graph_is_built_shown_searched_and_dropped(invoke: Invoke, pages: Path) -> None:
    assert invoke("ingest", pages)[0] == 0
    status, told, _ = invoke("search", "lock", "--graph", "--json")
    assert (status, told["error"]["code"]) == (2, "graph_not_built")
    status, shown, _ = invoke("graph", "show")
    assert status == 0
    assert "no graph" in shown
    status, built, _ = invoke("graph", "build", "--json")
    assert status == 0
    assert built["read"] == built["chunks"] == 3
    assert built["entities"] > 0
    assert invoke("graph", "build", "--json")[1]["read"] == 0
    status, shown, _ = invoke("graph", "show", "rebuild table", "--json")
    assert [one["name"] for one in shown["entities"]] == ["REBUILD TABLE"]
    assert shown["behind"] == 0
    assert "REBUILD TABLE" in invoke("graph", "show")[1]
    assert invoke("graph", "show", "--communities")[0] == 0
    status, found, _ = invoke("search", "what does reindexer run", "--graph", "--json")
    assert status == 0
    assert len({hit["uri"] for hit in found["hits"]}) == 3
    assert "graph" in found["timings_ms"]
    assert invoke("graph", "drop", "--json")[1] == {"dropped": True}
    assert invoke("graph", "drop", "--json")[1] == {"dropped": False}


def test_what_cannot_be_done_is_told(invoke: Invoke, pages: Path) -> None:
    assert invoke("ingest", pages)[0] == 0
    status, told, _ = invoke("graph", "build", "--ask-model", "5", "--json")
    assert (status, told["error"]["code"]) != (0, None)
    assert "generator" in told["error"]["message"]
    status, told, _ = invoke("graph", "build", "-c", "none", "--json")
    assert (status, told["error"]["code"]) == (2, "collection_not_found")
    status, told, _ = invoke("graph", "show", "x", "--communities", "--json")
    assert (status, told["error"]["code"]) == (2, "invalid_request")


def test_two_hop_questions_are_asked_with_and_without_it(
    invoke: Invoke, pages: Path, tmp_path: Path
) -> None:
    questions = tmp_path / "questions.jsonl"
    evidence = [
        {"page": "pages/reindexer.html", "quote": "a wrapper around the command REBUILD TABLE"},
        {"page": "pages/rebuild.html", "quote": "takes an Exclusive Lock on the table"},
    ]
    lines = [
        {"id": f"q{number}", "question": "Which lock does reindexer need?", "evidence": evidence}
        for number in range(2)
    ]
    questions.write_text("\n".join(json.dumps(line) for line in lines))
    given = ("eval", "run", "graph", "--docs", pages, "--questions", questions)
    status, told, _ = invoke(*given, "--json")
    assert status == 0
    by_system = {row["system"]: row for row in told["results"]}
    assert set(by_system) == {"plain", "graph"}
    assert by_system["plain"]["both@5"] == by_system["graph"]["both@5"] == 1
    assert by_system["graph"]["config"]["entities"] > 0
    assert {one["measure"] for one in told["comparisons"]} >= {"both@10", "recall@20"}
    status, told, _ = invoke(*given, "--distractors", "0")
    assert status == 0
    assert "plain" in told
    status, told, _ = invoke("eval", "run", "graph", "--docs", tmp_path / "none", "--json")
    assert status == 2
    assert "postgresql-doc-15" in told["error"]["hint"]
