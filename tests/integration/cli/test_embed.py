"""Rotations and moves to another embedding space, by the command line with the real model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from rostra.cli.main import run
from rostra.core import Settings
from rostra.retrieval import load_embedder

_WORDS = """
water pump valve tank boiler pressure oil filter motor gauge pipe heat steam fuel engine belt wheel
brake light wire fuse switch battery sensor cable screw bolt spring
"""


@pytest.fixture
def home(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROSTRA_EMBEDDING_DTYPE", "float32")
    words = np.random.default_rng(0)
    rows = [
        json.dumps({"_id": str(n), "title": "", "text": " ".join(words.choice(_WORDS.split(), 9))})
        for n in range(800)
    ]
    (tmp_path / "corpus.jsonl").write_text("\n".join(rows))
    assert run(["ingest", "--beir", str(tmp_path)]) == 0
    return settings.home


def test_fit_apply_and_export(
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    capsys.readouterr()
    assert run(["embed", "fit", "--json"]) == 0
    fitted = json.loads(capsys.readouterr().out)
    assert Path(fitted["rotation"]).is_file()
    by_width = {row["dimensions"]: row for row in fitted["retention"]}
    assert by_width[384]["rotated"] > 0.98
    assert by_width[96]["rotated"] > by_width[96]["plain"]

    monkeypatch.setenv("ROSTRA_EMBEDDING_ROTATION", fitted["rotation"])
    monkeypatch.setenv("ROSTRA_EMBEDDING_DIMENSIONS", "96")
    # Vectors of two spaces are never compared.
    assert run(["search", "water pump", "--json"]) == 2
    refused = json.loads(capsys.readouterr().out)["error"]
    assert refused["code"] == "embedding_space_mismatch"
    assert "rostra embed apply" in refused["hint"]
    assert run(["ingest", "--beir", str(tmp_path), "--json"]) == 2
    capsys.readouterr()

    assert run(["embed", "apply", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["embedded"] > 0
    assert run(["search", "water pump", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hits"]
    assert run(["embed", "apply", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["embedded"] == 0

    exported = tmp_path / "exported"
    assert run(["embed", "export", str(exported), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"saved": str(exported)}
    assert "Writing" not in printed.err
    theirs = SentenceTransformer(str(exported), truncate_dim=96, device="cpu")
    ours = load_embedder(Settings()).embed_query("the water pump is hot")
    other = theirs.encode("the water pump is hot", normalize_embeddings=True)
    np.testing.assert_allclose(ours, other, atol=1e-5)


def test_a_collection_from_before_goes_on_without_the_rotation_that_ships(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROSTRA_EMBEDDING_DTYPE", "float32")
    monkeypatch.setenv("ROSTRA_EMBEDDING_DIMENSIONS", "128")
    for name in ("pump", "boiler", "train"):
        (tmp_path / f"{name}.txt").write_text(f"The {name} was repaired.")

    def told(*command: str) -> dict[str, Any]:
        capsys.readouterr()
        assert run([*command, "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    monkeypatch.setenv("ROSTRA_EMBEDDING_ROTATION", "off")
    told("ingest", "-c", "old", "pump.txt")
    before = told("search", "-c", "old", "--mode", "dense", "a pump")["hits"]
    monkeypatch.delenv("ROSTRA_EMBEDDING_ROTATION")

    # It is searched and added to as it is; what is new is rotated.
    found = told("search", "-c", "old", "--mode", "dense", "a pump")["hits"]
    assert [hit["scores"] for hit in found] == [hit["scores"] for hit in before]
    assert told("ingest", "-c", "old", "pump.txt")["unchanged"] == 1
    told("ingest", "-c", "old", "boiler.txt")
    told("ingest", "-c", "new", "train.txt")
    # Truncated vectors of two spaces do not compare.
    assert run(["search", "-c", "old", "-c", "new", "a pump", "--json"]) == 2
    assert "rostra embed apply --collection old" in capsys.readouterr().out

    assert told("embed", "apply", "-c", "old")["embedded"] == 2
    both = told("search", "-c", "old", "-c", "new", "--mode", "dense", "a pump")["hits"]
    assert len(both) == 3
    # Who wants none gets none: the collection is another one's by now.
    monkeypatch.setenv("ROSTRA_EMBEDDING_ROTATION", "off")
    assert run(["search", "-c", "old", "a pump", "--json"]) == 2
    refused = json.loads(capsys.readouterr().out)["error"]
    assert "rostra embed apply --collection old" in refused["hint"]


def test_too_few_passages_for_a_rotation(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.txt").write_text("One sentence about a pump.")
    assert run(["ingest", "one.txt"]) == 0
    capsys.readouterr()
    assert run(["embed", "fit", "--json"]) == 2
    assert "at least" in json.loads(capsys.readouterr().out)["error"]["message"]
