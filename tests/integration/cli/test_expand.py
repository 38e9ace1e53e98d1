"""`--expand` on the command line, with a script for a model."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rostra.cli.main import run
from rostra.core import Settings
from tests.fakes import FakeEmbedder

Invoke = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def invoke(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Invoke:
    """Runs a command line over two documents; returns status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    embedder = FakeEmbedder()
    monkeypatch.setattr("rostra.runtime.runtime.load_embedder", lambda _: embedder)

    def call(*arguments: str, script: list[Any] | None = None) -> tuple[int, Any, str]:
        monkeypatch.delenv("ROSTRA_CHAT_SCRIPT", raising=False)
        if script is not None:
            lines = [
                json.dumps(said if isinstance(said, str) else json.dumps(said)) for said in script
            ]
            (tmp_path / "script.jsonl").write_text("\n".join(lines), encoding="utf-8")
            monkeypatch.setenv("ROSTRA_CHAT_SCRIPT", str(tmp_path / "script.jsonl"))
        status = run(list(arguments))
        out, err = capfdbinary.readouterr()
        text = out.decode()
        return status, json.loads(text) if "--json" in arguments else text, err.decode()

    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "pumps.md").write_text("# Pumps\n\nChange the oil of the pump every month.\n")
    (docs / "valves.md").write_text("# Valves\n\nA valve opens above three bar.\n")
    assert call("ingest", str(docs))[0] == 0
    return call


def test_search_says_what_was_added_and_what_it_cost(invoke: Invoke) -> None:
    said = [
        {"passage": "A valve opens when the pressure is high."},
        {"queries": ["pressure valve"]},
    ]
    status, found, _ = invoke(
        "search", "when to oil", "--expand", "hyde, multi", "--json", script=said
    )
    assert status == 0
    hyde, multi = found["expansion"]["strategies"]
    assert (hyde["name"], hyde["outcome"]) == ("hyde", "used")
    assert hyde["queries"] == ["A valve opens when the pressure is high."]
    assert multi["queries"] == ["pressure valve"]
    assert multi["spent"]["completion_tokens"] == 3
    assert found["hits"][0]["title"] == "Pumps"

    status, shown, _ = invoke("search", "when to oil", "--expand", "multi", script=[said[1]])
    assert "multi: used\n    pressure valve" in shown
    assert "tokens" in shown


def test_settings_choose_and_none_turns_off(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROSTRA_QUERY_STRATEGIES", '["step_back"]')
    said = [{"question": "What is maintenance?"}]
    _, found, _ = invoke("search", "when to oil", "--json", script=said)
    assert found["expansion"]["strategies"][0]["queries"] == ["What is maintenance?"]
    _, found, _ = invoke("search", "when to oil", "--expand", "none", "--json", script=[])
    assert "expansion" not in found
    status, refused, _ = invoke("search", "when to oil", "--json")
    assert status == 1
    assert refused["error"]["code"] == "invalid_setting"
    assert refused["error"]["message"].startswith("query_strategies:")
    assert "ROSTRA_MODEL" in refused["error"]["hint"]


def test_a_follow_up_is_rewritten(invoke: Invoke) -> None:
    _, first, _ = invoke(
        "ask", "--new-chat", "When to oil the pump?", "--json", script=["Soon [1]."]
    )
    assert "expansion" not in first
    script = [{"question": "Why oil the pump?"}, "It wears [1]."]
    status, second, _ = invoke(
        "ask", "--last", "And why?", "--expand", "rewrite", "--json", script=script
    )
    assert status == 0
    assert second["answer"] == "It wears [1]."
    assert second["expansion"]["strategies"][0]["queries"] == ["Why oil the pump?"]
    assert second["chat_id"] == first["chat_id"]
    status, shown, _ = invoke("ask", "Why?", "--expand", "step-back", script=["no json", "So [1]."])
    assert status == 0
    assert "step_back: nonsense" in shown


@pytest.mark.parametrize("verb", ["search", "ask"])
def test_without_a_generator_and_with_wrong_names_it_is_refused(invoke: Invoke, verb: str) -> None:
    status, refused, told = invoke(verb, "oil", "--expand", "hyde", "--json")
    assert status == 1
    assert refused["error"]["code"] == "model_unavailable"
    assert "ROSTRA_CHAT_URL" in told
    status, refused, told = invoke(verb, "oil", "--expand", "hyde,magic", "--json")
    assert status == 2
    assert "'magic' is none of rewrite, filters" in refused["error"]["message"]
