"""Scores of all rows with torch equal the reader's, and so do the rows found."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rostra.retrieval.lexical import Bm25, LexicalReader, LexicalWriter, Variant, accelerated
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
