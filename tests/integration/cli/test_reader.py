"""The reader at the terminal: what is said when it is broken, and runs that are measured."""

import json
from pathlib import Path

import pytest

from rostra.cli.main import run
from rostra.core import Settings
from tests.fakes import FakeEmbedder
from tests.readers import ship_reader

PAGE = "The vacuum command gives back the space of dead rows. Indexes are cleaned as well."


@pytest.fixture(autouse=True)
def embedder(monkeypatch: pytest.MonkeyPatch) -> FakeEmbedder:
    fake = FakeEmbedder()
    monkeypatch.setattr("rostra.runtime.runtime.load_embedder", lambda _: fake)
    return fake


def test_a_broken_reader_is_told_of_where_it_was_to_work(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = ship_reader(tmp_path / "shipped", monkeypatch)
    (folder / "tokenizer.json").write_text("{}")
    monkeypatch.setenv("ROSTRA_READER", "always")
    page = tmp_path / "vacuum.txt"
    page.write_text(PAGE)
    assert run(["ingest", str(page)]) == 0
    capfd.readouterr()

    assert run(["ask", "What does the vacuum command do?"]) == 0
    said = " ".join(capfd.readouterr().out.split())
    assert "quote mode" in said
    assert "Quoted without the reader" in said
    assert "tokenizer.json is truncated" in said
    assert "Restore it" in said

    assert run(["ask", "What does the vacuum command do?", "--json"]) == 0
    body = json.loads(capfd.readouterr().out)
    assert body["mode"] == "quote"
    assert "tokenizer.json" in body["instead_of_reader"]

    assert run(["agent", "run", "Look around."]) == 1
    told = " ".join(capfd.readouterr().err.split())
    assert "tokenizer.json" in told
    assert "`rostra ask` quotes the documents without it. Restore it" in told

    # Where it is not to answer, nothing is missing.
    monkeypatch.setenv("ROSTRA_READER", "agents")
    assert run(["ask", "What does the vacuum command do?", "--json"]) == 0
    assert "instead_of_reader" not in json.loads(capfd.readouterr().out)


def test_runs_over_pages_are_measured(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    sentences = PAGE.split(". ")
    record = {
        "id": "q1",
        "input": "What does the vacuum command do?",
        "passages": [{"title": "Vacuum", "text": PAGE, "sentences": sentences}],
        "output": [{"answer": sentences[0], "selected_sentences": [sentences[0]]}],
    }
    data = tmp_path / "set"
    data.mkdir()
    (data / "answerable.jsonl").write_text(json.dumps(record) + "\n")
    (data / "unanswerable.jsonl").write_text("")
    steps = [
        {"thought": "look", "action": [{"tool": "search", "args": {"query": "vacuum"}}]},
        "no step at all",
        {"thought": "so", "final": {"claims": [{"text": "It does.", "evidence": [1, 2, 3]}]}},
    ]
    script = tmp_path / "script.jsonl"
    said = [step if isinstance(step, str) else json.dumps(step) for step in steps]
    script.write_text("".join(json.dumps({"text": text}) + "\n" for text in said))
    monkeypatch.setenv("ROSTRA_CHAT_SCRIPT", str(script))
    # Of the three answers one is no step.
    assert run(["eval", "run", "react", "--data", str(data), "--runs", "1", "--json"]) == 1
    body = json.loads(capfd.readouterr().out)
    assert {name: body["react"][name] for name in ("runs", "invalid", "too_long", "failed")} == {
        "runs": 1,
        "invalid": 1,
        "too_long": 0,
        "failed": 0,
    }
    measured = json.dumps(body)
    assert "supported answer" in measured
    assert "right abstention" in measured
