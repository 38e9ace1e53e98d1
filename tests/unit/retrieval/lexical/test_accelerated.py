"""Scores of all rows with torch equal the reader's, and so do the rows found."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rostra.retrieval.lexical import (
    Bm25,
    DamagedIndex,
    LexicalReader,
    LexicalWriter,
    TermSearch,
    Variant,
    accelerated,
)
from rostra.retrieval.lexical.accelerated import TorchScorer
from tests.unit.retrieval.lexical.test_search import TERMS, queries, zipf_rows

ROWS = 700
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture(scope="module", params=list(Variant))
def reader(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> LexicalReader:
    random = np.random.default_rng(5)
    rows = zipf_rows(random, ROWS)
    index = LexicalWriter(tmp_path_factory.mktemp("index"), "test-1")
    index.add(rows[:400])
    index.flush()
    index.add(rows[400:600])
    index.flush()
    index.add(rows[600:])
    index.remove(random.choice(ROWS, 90, replace=False))
    return index.snapshot(Bm25(request.param))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_scores_and_rows_are_the_readers(
    reader: LexicalReader, device: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    random = np.random.default_rng(6)
    asked = [*queries(random), [], ["nothing"]]
    scorer = TorchScorer(reader, device, dtype)
    scores = scorer.scores(asked).cpu().double().numpy()
    exact = 1e-9 if dtype == torch.float64 else 1e-3
    for query, found in zip(asked, scores, strict=True):
        np.testing.assert_allclose(found, reader.scores(query), rtol=0, atol=exact)
    # In several batches.
    monkeypatch.setattr(accelerated, "_MOST_SUMS", 4 * ROWS)
    tie = random.integers(0, 9, ROWS).astype(np.uint64)
    for mask in (None, random.random(ROWS) < 0.3, np.zeros(ROWS, np.bool_)):
        for k in (1, 10, 2000):
            results = scorer.search(asked, k, mask, tie)
            for query, (positions, found) in zip(asked, results, strict=True):
                expected = reader.search(query, k, mask, tie)
                assert positions.tolist() == expected[0].tolist()
                assert found.tolist() == expected[1].tolist()


def test_an_empty_index(tmp_path: Path) -> None:
    scorer = TorchScorer(LexicalWriter(tmp_path, "test-1").snapshot())
    assert scorer.scores([["a"]]).shape == (1, 0)
    assert [len(part) for part in scorer.search([[TERMS[0]]], 5)[0]] == [0, 0]


@pytest.mark.parametrize("device", ["", *DEVICES, "nowhere"])
def test_searches_find_the_same_wherever_they_are_made(reader: LexicalReader, device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    random = np.random.default_rng(7)
    terms = TermSearch(device)
    tie = random.integers(0, 9, ROWS).astype(np.uint64)
    for query in [*queries(random)[:20], [], ["nothing"]]:
        for mask in (None, random.random(ROWS) < 0.3):
            for k in (0, 10):
                found = terms.search(reader, query, k, mask, tie)
                expected = reader.search(query, k, mask, tie)
                assert found[0].tolist() == expected[0].tolist()
                assert found[1].tolist() == expected[1].tolist()
    left = "" if device == "nowhere" else device
    assert terms.device == left
    with pytest.raises(ValueError, match="positions"):
        terms.search(reader, TERMS[:2], 5, np.ones(3, np.bool_))
    assert terms.device == left


def test_a_segment_is_moved_once_and_changes_are_followed(tmp_path: Path) -> None:
    rows = zipf_rows(np.random.default_rng(8), 300)
    index, terms = LexicalWriter(tmp_path, "test-1"), TermSearch("cpu")
    index.add(rows[:200])
    index.flush()
    moved = index.snapshot().parts[0].segment.on_device(torch.device("cpu"))
    for step in range(3):
        reader = index.snapshot()
        found = terms.search(reader, TERMS[:3], 50)
        expected = reader.search(TERMS[:3], 50)
        assert found[0].tolist() == expected[0].tolist()
        assert found[1].tolist() == expected[1].tolist()
        assert reader.parts[0].segment.on_device(torch.device("cpu")) is moved
        index.add(rows[200 + 20 * step : 220 + 20 * step])
        index.remove(found[0][:5])


def test_rows_that_there_are_not_are_told_before_a_device_sees_them(tmp_path: Path) -> None:
    index = LexicalWriter(tmp_path, "test-1")
    index.add(zipf_rows(np.random.default_rng(9), 50))
    index.flush()
    reader = index.snapshot()
    docs = reader.parts[0].segment.docs.copy()
    docs[3] = 50
    object.__setattr__(reader.parts[0].segment, "docs", docs)
    terms = TermSearch("cpu")
    with pytest.raises(DamagedIndex):
        terms.search(reader, TERMS[:2], 5)
    assert terms.device == "cpu"
