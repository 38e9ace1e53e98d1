"""The Milvus backend against brute force, over milvus-lite."""

from pathlib import Path

import numpy as np
import pytest

from rostra.core import FloatMatrix
from rostra.retrieval.dense import DenseOptions, DenseReader, DenseWriter, FinderFailed, live

pytest.importorskip("pymilvus", reason="needs the extra `milvus`")
pytest.importorskip("milvus_lite", reason="needs milvus-lite, a Milvus in one file")

WIDTH = 16


def vectors(count: int, seed: int) -> FloatMatrix:
    rows = np.random.default_rng(seed).normal(size=(count, WIDTH))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def options(tmp_path: Path, name: str = "chunks") -> DenseOptions:
    return DenseOptions(
        "milvus",
        shortlist=30,
        train_at=10,
        milvus_uri=str(tmp_path / "milvus.db"),
        milvus_collection=name,
    )


def check(reader: DenseReader, rows: FloatMatrix, dead: set[int]) -> None:
    random = np.random.default_rng(len(rows))
    for mask in (None, random.random(len(rows)) < 0.05, random.random(len(rows)) < 0.6):
        for query in vectors(3, 99):
            scores = np.einsum("ij,j->i", rows, query)
            allowed = [
                at for at in range(len(rows)) if at not in dead and (mask is None or mask[at])
            ]
            expected = sorted(allowed, key=lambda at: (-scores[at], at))[:6]
            assert reader.search(query, 6, mask)[0].tolist() == expected


def test_a_history_with_filters_and_removals_is_brute_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "GATHER", 0)
    rows, dead = vectors(400, 1), set(range(40, 60))
    writer = DenseWriter(tmp_path / "index", WIDTH, options(tmp_path))
    writer.add(rows[:250])
    writer.remove(np.arange(40, 50))
    writer.train()
    check(writer.snapshot(), rows[:250], set(range(40, 50)))
    before = writer.snapshot()
    writer.add(rows[250:300])
    writer.remove(np.arange(50, 60))
    check(writer.snapshot(), rows[:300], dead)
    assert (before.search(rows[299], 5)[0] < 250).all()
    writer.flush("here")

    # What came after the flush is in Milvus, and nowhere else once the process is gone.
    writer.add(vectors(30, 7))
    writer = DenseWriter(tmp_path / "index", WIDTH, options(tmp_path))
    assert writer.snapshot().finder is not None
    check(writer.snapshot(), rows[:300], dead)
    writer.add(rows[300:])
    check(writer.snapshot(), rows, dead)


def test_without_its_collection_every_vector_is_looked_at(tmp_path: Path) -> None:
    rows = vectors(50, 1)
    writer = DenseWriter(tmp_path / "index", WIDTH, options(tmp_path))
    writer.add(rows)
    writer.train()
    writer.flush()
    finder = writer.snapshot().finder
    assert finder is not None
    finder._client.drop_collection(finder._collection)  # type: ignore[attr-defined]
    with pytest.raises(FinderFailed):
        finder.find(rows[0], 5, live.Allowed(50, None, 50))
    writer = DenseWriter(tmp_path / "index", WIDTH, options(tmp_path))
    assert writer.snapshot().finder is None
    assert writer.due == "train"
    check(writer.snapshot(), rows, set())


def test_the_older_generation_is_searched_until_the_newer_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "GATHER", 0)
    rows = vectors(120, 1)
    old = DenseWriter(tmp_path / "1", WIDTH, options(tmp_path))
    old.add(rows)
    old.train()
    old.remove(np.arange(40))
    old.flush()
    kept = old.compact(tmp_path / "2")
    check(old.snapshot(), rows, set(range(40)))
    new = DenseWriter(tmp_path / "2", WIDTH, options(tmp_path))
    check(new.snapshot(), rows[kept], set())
    check(old.snapshot(), rows, set(range(40)))  # without Milvus now
    finder = new.snapshot().finder
    assert finder is not None
    assert len(finder._client.list_collections()) == 1  # type: ignore[attr-defined]
