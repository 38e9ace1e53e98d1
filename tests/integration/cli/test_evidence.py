"""Who picks evidence, as a user meets it: a scorer of one's own, a broken one, and the table."""

import json
from pathlib import Path

import pytest
import torch

from rostra.answer import Calibration, new_net, save_scorer, scorer_encoder
from rostra.cli.main import run
from rostra.core import Settings
from tests.fakes import packaged_embedder

PAGE = """# Pumps

The main pump moves water from the well to the tank. It stops by itself when the tank is full.

## Service

Change the oil of the main pump every 500 hours. Use mineral oil only.
"""
QUESTION = "How often must the oil of the pump be changed?"


@pytest.fixture(autouse=True)
def quick(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROSTRA_EVIDENCE_PICKER", "auto")
    monkeypatch.setattr("rostra.runtime.runtime.load_embedder", lambda _: packaged_embedder("auto"))


@pytest.fixture
def page(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pumps.md").write_text(PAGE)
    assert run(["ingest", "pumps.md"]) == 0
    capfd.readouterr()


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("body", [None, b"", b"\x08\0\0\0\0\0\0\0{broken}"])
def test_a_broken_scorer_leaves_the_answer_to_similarity(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    body: bytes | None,
) -> None:
    monkeypatch.setenv("ROSTRA_EVIDENCE_MODEL", str(tmp_path))
    if body is not None:
        (tmp_path / "model.safetensors").write_bytes(body)
    assert run(["ask", QUESTION, "--json"]) == 0
    out, err = capfd.readouterr()
    answer = json.loads(out)
    assert (answer["found"], answer["picked_by"]) == (True, "similarity")
    assert "every 500 hours" in answer["answer"]
    assert "similarity picks evidence instead of the scorer" in err
    assert "model.safetensors" in err
    assert "Traceback" not in err
    assert "model.safetensors" in answer["instead_of_scorer"]
    assert run(["ask", QUESTION]) == 0
    said = " ".join(capfd.readouterr().out.split())
    assert "Quoted by similarity, without the evidence scorer:" in said
    assert "model.safetensors" in said
    # Where similarity is to pick, nothing is missing.
    monkeypatch.setenv("ROSTRA_EVIDENCE_PICKER", "similarity")
    assert run(["ask", QUESTION, "--json"]) == 0
    assert "instead_of_scorer" not in json.loads(capfd.readouterr().out)


@pytest.mark.usefixtures("page")
def test_a_scorer_of_ones_own_picks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_scorer(new_net(scorer_encoder()), tmp_path / "own", Calibration(threshold=-1e3))
    monkeypatch.setenv("ROSTRA_EVIDENCE_MODEL", str(tmp_path / "own"))
    assert run(["ask", QUESTION, "--json"]) == 0
    answer = json.loads(capfd.readouterr().out)
    assert (answer["found"], answer["picked_by"]) == (True, "scorer")
    assert 0 <= answer["best"] < len(answer["citations"])
    assert all(PAGE.count(cited["quote"]) for cited in answer["citations"])


def test_the_table_of_ways_to_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second = "The main pump moves water to the tank.", "Change its oil every 500 hours."
    record = {
        "id": "1",
        "input": QUESTION,
        "passages": [{"title": "Pumps", "text": f"{first} {second}", "sentences": [first, second]}],
        "output": [{"answer": "Every 500 hours.", "selected_sentences": [second]}],
    }
    other = record | {"id": "2", "input": "Who painted the Mona Lisa?", "output": [{}]}
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "answerable.jsonl").write_text(json.dumps(record) + "\n")
    (tmp_path / "set" / "unanswerable.jsonl").write_text(json.dumps(other) + "\n")
    monkeypatch.setenv("ROSTRA_EVIDENCE_PICKER", "similarity")
    monkeypatch.setenv("ROSTRA_READER", "never")
    arguments = ["eval", "run", "evidence", "--data", "set"]
    assert run([*arguments, "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    (row,) = told["results"]
    assert row["system"] == "quote-similarity"
    assert set(told["left_out"]) == {"quote-scorer", "reader-point", "reader-copy"}
    assert row["measures"]["answer sentence"] == 1.0
    assert row["measures"]["abstention accuracy"] == 1.0
    assert row["measures"]["tokens/s"] is None

    script = tmp_path / "script.jsonl"
    # Twice point, twice copy: the samples of a system take turns, one after the other.
    lines = ["[2]", "[]", json.dumps([second]), "[]"]
    script.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    monkeypatch.setenv("ROSTRA_CHAT_SCRIPT", str(script))
    assert run([*arguments, "--json", "--parallel", "1"]) == 0
    told = json.loads(capfd.readouterr().out)
    rows = {row["system"]: row for row in told["results"]}
    assert set(rows) == {"quote-similarity", "reader-point", "reader-copy"}
    for system in ("reader-point", "reader-copy"):
        measures = rows[system]["measures"]
        assert measures["generated"] == 1.0
        assert measures["tokens/s"] > 0
        assert measures["answer sentence"] == 1.0
        assert measures["citation precision"] == 1.0
    assert list(told["left_out"]) == ["quote-scorer"]
    assert run([*arguments, "--system", "quote-scorer"]) == 1
    assert "no evidence scorer ships" in capfd.readouterr().err
