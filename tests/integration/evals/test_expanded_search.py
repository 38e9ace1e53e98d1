"""Search with query strategies, measured beside the plain modes."""

import json
from pathlib import Path

import pytest

from evals import find_run, read_run
from evals.solvers.expanded import OUTCOMES
from rostra.cli.main import run
from rostra.core import Settings
from tests.fakes import FakeEmbedder

PASSAGES = {
    "pump": "The pump moves water from the well. It needs oil every month.",
    "boiler": "The boiler heats water to ninety degrees. It burns gas.",
}


def test_strategies_are_one_more_system_with_its_cost(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("rostra.runtime.runtime.load_embedder", lambda _: FakeEmbedder())
    folder = tmp_path / "tiny"
    folder.mkdir()
    corpus = [{"_id": key, "title": key, "text": text} for key, text in PASSAGES.items()]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)))
    queries = [{"_id": f"q-{key}", "text": f"what about the {key}"} for key in PASSAGES]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    rows = [f"q-{key}\t{key}\t1" for key in PASSAGES]
    (folder / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]))
    script = tmp_path / "script.jsonl"
    said = [json.dumps({"queries": ["other words"]}), "no json"]
    script.write_text("\n".join(map(json.dumps, said)))
    command = ["eval", "run", "retrieval", "--data", str(folder), "--json"]

    monkeypatch.setenv("ROSTRA_QUERY_STRATEGIES", '["multi"]')
    assert run(command) == 1
    assert "query_strategies" in capsys.readouterr().err

    monkeypatch.setenv("ROSTRA_CHAT_SCRIPT", str(script))
    assert run(command) == 0
    told = json.loads(capsys.readouterr().out)
    modes = [row["mode"] for row in told["results"]]
    assert modes == ["dense", "lexical", "hybrid", "hybrid+multi"]
    assert told["results"][-1]["mrr@10"] == 1.0
    record = read_run(find_run(settings, told["run"]))
    expanded = [one for one in record.outcomes if one.task == 3]
    outcomes = sorted(one.state.data[OUTCOMES]["multi"] for one in expanded)
    assert outcomes == ["nonsense", "used"]
    assert all(one.state.usage.completion_tokens > 0 for one in expanded)
