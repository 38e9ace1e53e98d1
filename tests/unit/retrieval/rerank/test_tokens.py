"""MaxSim against its definition, and codes that depend on the text alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.core import FloatMatrix, Settings
from rostra.retrieval import SentenceEmbedder, load_embedder
from rostra.retrieval.rerank.tokens import (
    TokenCache,
    TokenCodec,
    TokenCodes,
    fit_directions,
    max_sim,
)

WIDTH = 12


def vectors(seed: int, tokens: int) -> FloatMatrix:
    return np.random.default_rng(seed).normal(size=(tokens, WIDTH)).astype(np.float32)


def decoded(codes: TokenCodes) -> FloatMatrix:
    return codes.codes.astype(np.float64) * codes.scales[:, None].astype(np.float64)


@given(st.integers(0, 1000), st.integers(1, 5), st.lists(st.integers(0, 7), max_size=6))
def test_max_sim_is_the_sum_of_the_closest_cosines(
    seed: int, asked: int, lengths: list[int]
) -> None:
    codec = TokenCodec()
    query = codec.encode(vectors(seed, asked))
    passages = [codec.encode(vectors(seed + 1 + at, n)) for at, n in enumerate(lengths)]
    scores = max_sim(query, passages)
    assert scores.shape == (len(lengths),)
    for score, passage in zip(scores, passages, strict=True):
        if not len(passage):
            assert np.isnan(score)
            continue
        brute = sum(max(float(q @ p) for p in decoded(passage)) for q in decoded(query))
        assert score == pytest.approx(brute, abs=1e-5)


@given(st.integers(0, 1000), st.lists(st.integers(1, 9), min_size=2, max_size=8), st.data())
def test_a_score_does_not_depend_on_what_else_is_scored(
    seed: int, lengths: list[int], data: st.DataObject
) -> None:
    codec = TokenCodec(fit_directions(vectors(seed, 40), 7))
    query = codec.encode(vectors(seed, 3))
    passages = [codec.encode(vectors(seed + 1 + at, n)) for at, n in enumerate(lengths)]
    together = max_sim(query, passages)
    order = data.draw(st.permutations(range(len(passages))))
    shuffled = max_sim(query, [passages[at] for at in order])
    assert [together[at] for at in order] == shuffled.tolist()
    assert together.tolist() == [max_sim(query, [one])[0] for one in passages]


def test_codes_keep_directions_nearly() -> None:
    given_vectors = vectors(3, 200)
    codes = TokenCodec().encode(given_vectors)
    assert codes.codes.dtype == np.int8
    units = given_vectors / np.linalg.norm(given_vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(decoded(codes), units, atol=0.006)
    nothing = TokenCodec().encode(np.zeros((2, WIDTH), np.float32))
    assert not nothing.codes.any() and np.isfinite(nothing.scales).all()


def test_directions_are_orthonormal_and_the_most_telling() -> None:
    spread = vectors(1, 300) * np.linspace(3, 0.1, WIDTH, dtype=np.float32)
    directions = fit_directions(spread, 5)
    np.testing.assert_allclose(directions @ directions.T, np.eye(5), atol=1e-5)
    np.testing.assert_array_equal(directions, fit_directions(spread, 5))
    kept = np.linalg.norm(spread @ directions.T) / np.linalg.norm(spread)
    other = np.linalg.norm(spread[:, -5:]) / np.linalg.norm(spread)
    assert kept > other + 0.5


def test_the_cache_keeps_what_was_asked_for_last_and_no_more() -> None:
    codes = TokenCodec().encode(vectors(0, 10))
    cache = TokenCache(3 * codes.nbytes)
    for key in "abc":
        cache.put(key, codes)
    assert cache.get("a") is codes
    cache.put("d", codes)
    assert cache.get("b") is None
    assert all(cache.get(key) is codes for key in "acd")
    cache.put("d", codes)
    assert cache.held == 3 * codes.nbytes
    cache.put("large", TokenCodec().encode(vectors(0, 100)))
    assert cache.held == 0


@pytest.fixture(scope="module")
def embedder() -> SentenceEmbedder:
    return load_embedder(Settings(device="cpu"))


def test_token_vectors_do_not_depend_on_the_rest_of_the_call(embedder: SentenceEmbedder) -> None:
    texts = ["A short text.", "word " * 60, "", "Another short text, and yet another one.", "word"]
    together = embedder.token_vectors(texts)
    for text, tokens in zip(texts, together, strict=True):
        assert len(tokens) == len(embedder.tokenizer.offsets(text))
        np.testing.assert_array_equal(tokens, embedder.token_vectors([text])[0])
        np.testing.assert_allclose(np.linalg.norm(tokens, axis=1), 1, atol=1e-3)
