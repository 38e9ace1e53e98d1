"""Reranking with a cross-encoder that these tests train themselves."""

from pathlib import Path

import numpy as np
import pytest

from rostra.core import ModelUnavailable, Settings
from rostra.retrieval import Reranker, load_reranker
from tests.fakes import train_cross_encoder


@pytest.fixture(scope="module")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> Reranker:
    folder = train_cross_encoder(tmp_path_factory.getbasetemp() / "cross-encoder")
    loaded = load_reranker(Settings(reranker_model=str(folder), device="cpu"))
    assert loaded is not None
    assert loaded.name == folder
    return loaded


def test_scores_each_passage_by_what_it_says(reranker: Reranker) -> None:
    passages = ["the page of vacuum", "lock in a row", "row vacuum the a", "", "query the page in"]
    scores = reranker.scores("vacuum", passages)
    assert scores.dtype == np.float64
    assert set(np.argsort(-scores)[:2]) == {0, 2}
    # More than one batch, and the same scores in other company.
    many = reranker.scores("vacuum", passages * 10)
    np.testing.assert_allclose(many, np.tile(scores, 10), atol=1e-2)
    assert reranker.scores("vacuum", []).shape == (0,)


def test_none_is_set() -> None:
    assert load_reranker(Settings()) is None


def test_more_than_one_score_a_pair_is_refused(tmp_path: Path) -> None:
    folder = train_cross_encoder(tmp_path, labels=3, steps=0)
    with pytest.raises(ModelUnavailable, match="gives 3 scores a pair"):
        load_reranker(Settings(reranker_model=folder))


@pytest.mark.parametrize("name", ["no-such-org/no-such-model", "/not/here", "not a name at all!"])
def test_a_reranker_that_is_not_there_is_unavailable(name: str) -> None:
    with pytest.raises(ModelUnavailable) as refused:
        load_reranker(Settings(reranker_model=name))
    assert name in refused.value.message
    assert refused.value.hint


def test_a_folder_without_a_model_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        load_reranker(Settings(reranker_model=str(tmp_path)))
