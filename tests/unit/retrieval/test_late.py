"""Vectors of parts: by the model's own token vectors, whatever else is in the call."""

from typing import Any

import numpy as np
import pytest

from rostra.core import ModelUnavailable, Part, Settings
from rostra.retrieval import LateEmbedder, SentenceEmbedder, late_embedder, load_embedder

LONG = "The company was founded in 1998. It grew quickly. In the end it was sold."


@pytest.fixture(scope="module")
def embedder() -> SentenceEmbedder:
    return load_embedder(Settings(embedding_dtype="float32"))


@pytest.fixture
def late(settings: Settings, embedder: SentenceEmbedder) -> LateEmbedder:
    return late_embedder(settings, embedder)


def test_a_part_is_the_mean_of_the_vectors_of_its_tokens(
    late: LateEmbedder, embedder: SentenceEmbedder
) -> None:
    start, end = 33, 49
    assert LONG[start:end] == "It grew quickly."
    (vector,) = late.embed_parts([Part(LONG, start, end)])
    tokens = embedder.model.encode([LONG], output_value="token_embeddings")[0].numpy()[1:-1]
    inside = [at for at, (first, _) in enumerate(embedder.tokenizer.offsets(LONG))
              if start <= first < end]  # fmt: skip
    expected = tokens[inside].mean(axis=0)
    assert len(inside) == 4
    np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-5)


def test_the_rest_of_the_text_matters(late: LateEmbedder) -> None:
    other = LONG.replace("company", "garden")
    one, two = late.embed_parts([Part(LONG, 33, 49), Part(other, 32, 48)])
    assert other[32:48] == "It grew quickly."
    assert 0.3 < float(one @ two) < 0.999


def test_vectors_do_not_depend_on_the_rest_of_the_call(late: LateEmbedder) -> None:
    parts = [Part(LONG, 0, 32), Part("Something short.", 0, 16), Part(LONG, 33, 49)]
    together = late.embed_parts(parts)
    np.testing.assert_array_equal(together[2], late.embed_parts([parts[2]])[0])
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_a_part_that_the_model_does_not_reach_is_embedded_alone(
    late: LateEmbedder, embedder: SentenceEmbedder
) -> None:
    text = "word " * 400 + "The end is here."
    (vector,) = late.embed_parts([Part(text, len(text) - 16, len(text))])
    np.testing.assert_array_equal(vector, embedder.embed_documents(["The end is here."])[0])


def test_the_model_is_used_by_one_thread_at_a_time(
    late: LateEmbedder, embedder: SentenceEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bool] = []
    encode = embedder.model.encode

    def watched(*given: Any, **named: Any) -> Any:
        held.append(embedder.turn.locked())
        return encode(*given, **named)

    monkeypatch.setattr(embedder.model, "encode", watched)
    late.embed_parts([Part(LONG, 33, 49), Part("word " * 400, 1990, 2000)])
    embedder.embed_query("query")
    embedder.token_vectors(["text"])
    assert len(held) >= 4
    assert all(held)


def test_other_embedders_are_refused(settings: Settings) -> None:
    with pytest.raises(ModelUnavailable, match="late chunking"):
        late_embedder(settings, object())
