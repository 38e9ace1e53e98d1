"""The evidence scorer: what it reads, that scores stand by themselves, and its file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from rostra.answer import (
    Calibration,
    EvidenceScorer,
    Passage,
    load_scorer_net,
    make_batch,
    new_net,
    save_scorer,
    scorer_encoder,
)
from rostra.answer.scorer.features import QUESTION_TOKENS, ROW_TOKENS
from rostra.answer.scorer.scorer import ABSENT
from rostra.core import ModelUnavailable, sentence_spans
from tests.unit.answer.scorer_parts import featuriser, small_net, small_scorer

words = st.sampled_from(["vacuum", "storage", "Größe", "日本語", "3.5", "🙂", "x" * 40, "tuples"])
sentences = st.lists(words, min_size=1, max_size=30).map(lambda some: " ".join(some) + ".")
texts = st.lists(sentences, max_size=20).map("\n\n".join)


def passage(text: str, context: str = "") -> Passage:
    return Passage(context, text, sentence_spans(text))


@given(sentences, sentences, texts)
@hypothesis_settings(max_examples=30, deadline=None)
def test_each_sentence_is_read_in_one_row_that_fits(question: str, context: str, text: str) -> None:
    given_ = passage(text, context)
    rows = [row for _, row in featuriser().rows(question, [given_])]
    assert rows
    homes = [0] * len(given_.spans)
    for row in rows:
        assert len(row.ids) <= ROW_TOKENS
        assert row.second <= QUESTION_TOKENS + 2
        assert len(row.sentences) == len(given_.spans)
        taken = [at for members in row.sentences for at in members]
        assert taken == sorted(set(taken))
        assert all(row.second <= at < len(row.ids) - 1 for at in taken)
        for number, members in enumerate(row.sentences):
            homes[number] += bool(members)
    assert all(count == 1 for count in homes)


def test_the_tokens_of_a_sentence_are_its_words() -> None:
    text = "Vacuum reclaims storage. Readers go on."
    row = featuriser().row("why?", passage(text, "Upkeep"))
    tokenizer = featuriser()._tokenizer
    read = [tokenizer.decode([row.ids[at] for at in members]) for members in row.sentences]
    assert read == ["vacuum reclaims storage.", "readers go on."]
    assert tokenizer.decode(row.ids, skip_special_tokens=False) == (
        "[CLS] why? [SEP] upkeep vacuum reclaims storage. readers go on. [SEP]"
    )
    batch = make_batch([row])
    assert batch.types[0].tolist() == [int(at >= row.second) for at in range(len(row.ids))]
    assert torch.allclose(batch.pool.sum(-1), torch.ones(1, 2))


def test_a_sentence_longer_than_a_row_is_cut() -> None:
    long = " ".join(["storage"] * 1000) + "."
    given_ = passage(f"First comes this one. {long} Last comes that one.")
    rows = [row for _, row in featuriser().rows("why?", [given_])]
    counts = [max(len(row.sentences[at]) for row in rows) for at in range(3)]
    assert counts[0] == 5
    assert counts[1] == ROW_TOKENS - 1 - rows[0].second
    assert counts[2] == 5


def test_scores_do_not_depend_on_company() -> None:
    lengths = (1, 2, 9, 9, 80)
    passages = [
        passage(" ".join(f"Vacuum {at} reclaims {length}." for at in range(length)))
        for length in lengths
    ]
    passages.append(passage(""))
    together = small_scorer().score("Who does it?", passages)
    for one, found in zip(passages, together, strict=True):
        assert len(found.sentences) == len(one.spans)
        (alone,) = small_scorer().score("Who does it?", [one])
        assert found.sentences == pytest.approx(alone.sentences, abs=1e-5)
        assert found.best == max(found.sentences, default=ABSENT)
        assert (found.sentences > ABSENT).all()


def test_a_score_is_the_sentences_logit_less_that_of_nothing() -> None:
    given_ = passage("Vacuum reclaims storage. Readers go on.")
    (found,) = small_scorer().score("why?", [given_])
    with torch.no_grad():
        logits, nothing = small_net()(make_batch([featuriser().row("why?", given_)]))
    assert found.sentences == pytest.approx((logits - nothing[:, None])[0].numpy(), abs=1e-4)


CALIBRATION = Calibration(sentence=0.1, evidence=0.2, threshold=0.4)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = new_net(scorer_encoder())
    folder = tmp_path_factory.mktemp("scorer")
    return save_scorer(net, folder, CALIBRATION)


def test_a_file_holds_the_net_without_the_encoders_embeddings(saved: Path) -> None:
    weights = load_file(saved)
    assert not any("embeddings" in name for name in weights)
    assert {weight.dtype for weight in weights.values()} == {torch.float16}
    assert saved.stat().st_size < 23_000_000
    net, calibration = load_scorer_net(saved)
    assert calibration == CALIBRATION
    assert not net.training
    kept = net.own_state()
    assert all(torch.equal(kept[name], weight.float()) for name, weight in weights.items())
    assert torch.equal(
        net.trunk.embeddings.word_embeddings.weight,
        new_net(scorer_encoder()).trunk.embeddings.word_embeddings.weight,
    )


def test_a_scorer_from_its_file_scores(saved: Path) -> None:
    scorer = EvidenceScorer.load(saved, "cpu")
    given_ = passage("Vacuum reclaims storage. Readers go on.", "Upkeep")
    (found,) = scorer.score("What reclaims storage?", [given_])
    assert np.isfinite(found.sentences).all()
    assert (found.sentences > ABSENT).all()
    assert len(scorer.revision) == 64


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({"format": "another"}, "format"),
        ({"format": "rostra-evidence-1", "encoder": "0" * 64}, "another encoder"),
    ],
)
def test_a_file_of_another_kind_is_refused(
    tmp_path: Path, metadata: dict[str, str], told: str
) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata)
    with pytest.raises(ModelUnavailable, match=told):
        load_scorer_net(path)


def test_a_file_with_other_layers_is_refused(saved: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    with safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
    weights = load_file(saved)
    del weights["out.bias"]
    path = tmp_path / "model.safetensors"
    save_file(weights, path, metadata)
    with pytest.raises(ModelUnavailable, match="other layers"):
        load_scorer_net(path)


@pytest.mark.parametrize("kept", [0, 7, 100_000])
def test_a_truncated_file_is_refused(saved: Path, tmp_path: Path, kept: int) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(saved.read_bytes()[:kept])
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        load_scorer_net(path)
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        load_scorer_net(tmp_path / "missing.safetensors")
