"""`rostra bench search`, whole, at a tiny size."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from rostra.cli.main import run
from rostra.core import Settings

KEYS = [
    "lexical_p50_ms", "dense_p50_ms", "hybrid_p50_ms", "add_one_ms", "cold_start_s", "rss_mb",
    "recall@10", "peers",
]  # fmt: skip


def bench(capsys: pytest.CaptureFixture[str], folder: Path, *more: str) -> dict[str, Any]:
    sizes = ("--chunks", "500", "--queries", "12", "--keep", str(folder))
    assert run(["bench", "search", *sizes, "--json", *more]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.timeout(300)  # five processes that import all of search
def test_it_prints_every_figure_and_uses_kept_rows_again(
    settings: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "kept"
    # As after a run of other numbers: passages are not embedded again.
    folder.mkdir()
    (folder / "bench.json").touch()
    base = np.random.default_rng(0).standard_normal((60, 384), dtype=np.float32)
    np.save(folder / "passages.npy", base / np.linalg.norm(base, axis=1, keepdims=True))
    # Without bm25s, whose kernels are compiled by every process anew.
    told = bench(capsys, folder, "--compare", "faiss")
    assert list(told)[: len(KEYS)] == KEYS
    assert (told["chunks"], told["queries"], told["dimensions"]) == (500, 12, 384)
    assert told["recall@10"] == 1.0
    assert told["lexical"]["rank_bm25_difference"] < 1e-9
    assert "synchronous=FULL" in told["durability"]
    assert set(told["peers"]) >= {"faiss", "rss_mb"}
    assert not settings.home.exists(), "the user's data directory is left alone"

    # Recall is counted: of these, no question's nearest are found.
    plan = json.loads((folder / "bench.json").read_bytes())
    plan["nearest"] = [[["bench/none", 0]] * 10 for _ in plan["nearest"]]
    plan["nearest"][0][0] = ["bench/none", 1]
    (folder / "bench.json").write_bytes(msgspec.json.encode(plan))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    again = bench(capsys, folder)
    assert again["recall@10"] == 0.0
    assert again["peers"] == {"skipped": {"bm25s": "not installed", "faiss": "not installed"}}
    assert again["build"] == told["build"]


def test_what_cannot_be_is_refused(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_text("keep me")
    assert run(["bench", "search", "--keep", str(tmp_path)]) != 0
    assert "something else" in capsys.readouterr().err
    assert (tmp_path / "mine").read_text() == "keep me"
    assert run(["bench", "search", "--compare", "lucene"]) != 0
    assert "lucene" in capsys.readouterr().err
