"""Truncated and two-stage search on a judged set, by the command and by its parts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rostra.runtime.runtime as runtime_module
from evals.core import Sample, State
from evals.dimensions import DimensionSolver, retained
from rostra.cli.main import run
from rostra.core import Settings
from rostra.retrieval import truncate
from tests.fakes import FakeEmbedder

WORDS = [
    "pump",
    "boiler",
    "moon",
    "train",
    "river",
    "stone",
    "glass",
    "wheel",
    "tower",
    "garden",
    "mirror",
    "harbour",
]


@pytest.fixture
def judged(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Forty documents of three words, and queries of two words that one document has."""
    embedder = FakeEmbedder(16)
    monkeypatch.setattr(runtime_module, "load_embedder", lambda settings: embedder)
    folder = tmp_path / "words"
    folder.mkdir()
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, 3, replace=False)) for _ in range(40)]
    lines = [json.dumps({"_id": str(at), "text": text}) for at, text in enumerate(texts)]
    (folder / "corpus.jsonl").write_text("\n".join(lines))
    asked = {f"q{at}": " ".join(texts[at].split()[:2]) for at in range(0, 40, 5)}
    lines = [json.dumps({"_id": query, "text": text}) for query, text in asked.items()]
    (folder / "queries.jsonl").write_text("\n".join(lines))
    rows = [f"q{at}\t{at}\t1" for at in range(0, 40, 5)]
    (folder / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]))
    return folder


def test_the_table_by_dimension(judged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["eval", "run", "dimensions", "--data", str(judged), "--dimension", "4"]
    assert run([*command, "--dimension", "8", "--shortlist", "40", "--fit", "--json"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    rows = {(row["vectors"], row["way"], row["dimensions"]): row for row in told["results"]}
    ways = {(way, width) for way in ("truncated", "two-stage") for width in (4, 8)}
    assert set(rows) == {
        ("plain", "full", 16),
        *((kind, way, width) for kind in ("plain", "fitted") for way, width in ways),
    }
    full = rows["plain", "full", 16]["ndcg@10"]
    for (_, way, _), row in rows.items():
        low, high = row["intervals"]["ndcg@10"]
        assert low <= row["ndcg@10"] <= high
        assert row["retained"] == pytest.approx(row["ndcg@10"] / full, abs=2e-4)
        # Every chunk is on the shortlist.
        assert way != "two-stage" or row["ndcg@10"] == full
    assert rows["fitted", "truncated", 8]["retained"] > rows["plain", "truncated", 4]["retained"]

    assert run([*command, "--shortlist", "3", "--fit"]) == 0
    table = capsys.readouterr().out
    assert "two-stage" in table and "fitted" in table and "kept" in table

    assert run(["eval", "run", "dimensions", "--data", str(judged), "--dimension", "16"]) != 0
    assert "below full width" in capsys.readouterr().err


def test_vectors_that_are_truncated_already_are_refused(
    judged: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROSTRA_EMBEDDING_DIMENSIONS", "8")
    assert run(["eval", "run", "dimensions", "--data", str(judged)]) != 0
    assert "already" in capsys.readouterr().err


async def test_two_stages_rescore_the_shortlist_and_no_more() -> None:
    random = np.random.default_rng(1)
    vectors = truncate(random.standard_normal((50, 8), dtype=np.float32), 8)
    query = truncate(random.standard_normal((1, 8), dtype=np.float32), 8)[0]
    documents = [f"d{row // 2}" for row in range(50)]
    short = truncate(vectors, 3)
    facts = {"vectors": "plain"}
    solver = DimensionSolver(
        "two-stage", vectors, short, documents, {"it": query}, facts, shortlist=12
    )
    state = await solver(State(sample=Sample(id="1", input="it")), 0)
    best = np.argsort(-(short @ truncate(query[None, :], 3)[0]))[:12]
    by_document: dict[str, float] = {}
    for row in best.tolist():
        score = float(vectors[row] @ query)
        by_document[documents[row]] = max(score, by_document.get(documents[row], -2))
    expected = sorted(by_document, key=by_document.__getitem__, reverse=True)
    assert [passage.document for passage in state.passages] == expected
    assert [passage.score for passage in state.passages] == pytest.approx(
        [by_document[document] for document in expected], abs=1e-6
    )


def test_what_is_kept_is_a_share_of_the_same_queries() -> None:
    full = {"a": 1.0, "b": 0.5, "c": 0.0}
    share, interval = retained({"a": 0.5, "b": 0.5, "c": 0.0, "more": 1.0}, full)
    assert share == pytest.approx(2 / 3, abs=1e-4)
    assert interval is not None and interval[0] <= share <= interval[1]
    assert retained(full, full) == (1.0, [1.0, 1.0])
    assert retained({"a": 1.0}, {"a": 0.0}) == (None, None)
    assert retained({}, full) == (None, None)
