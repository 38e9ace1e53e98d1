"""Reranking with a cross-encoder that these tests train themselves."""

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from rostra.core import ModelUnavailable, Settings
from rostra.retrieval import Reranker, load_reranker

KEYS = ("vacuum", "index", "lock", "query")
FILLERS = ("the", "a", "of", "in", "page", "row")
_VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *KEYS, *FILLERS]


def train_cross_encoder(folder: Path, labels: int = 1, steps: int = 150) -> str:
    """Writes a tiny BERT for which a passage is relevant that has the query's key word."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    tokenizer: Any = BertTokenizerFast(vocab={word: at for at, word in enumerate(_VOCABULARY)})
    config = BertConfig(
        vocab_size=len(_VOCABULARY),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.3,  # larger than usual: so small a model learns nothing else
        num_labels=labels,
    )
    random = Random(1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a model only waits for a second one
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model: Any = BertForSequenceClassification(config)
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.0)
        for _ in range(steps):
            asked = random.choices(KEYS, k=64)
            told = [key if random.random() < 0.5 else random.choice(KEYS) for key in asked]
            passages = [
                " ".join(random.sample([key, *random.sample(FILLERS, 3)], 4)) for key in told
            ]
            batch = tokenizer(asked, passages, padding=True, return_tensors="pt")
            right = torch.tensor([float(a == b) for a, b in zip(asked, told, strict=True)])
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                model(**batch).logits[:, 0], right
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    torch.set_num_threads(threads)
    model.eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> Reranker:
    folder = train_cross_encoder(tmp_path_factory.mktemp("reranker"))
    loaded = load_reranker(Settings(reranker_model=folder, device="cpu"))
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
