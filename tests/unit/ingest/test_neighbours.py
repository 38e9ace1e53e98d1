"""Vectors that know of the chunks before and after: by plain arithmetic, whatever else is read."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rostra.core import Settings
from rostra.ingest.builder import make_document
from rostra.ingest.chunking import (
    Beside,
    Content,
    chunk_inputs,
    chunking_facts,
    content_key,
    embed_contents,
)
from rostra.ingest.chunking.neighbours import blended, with_neighbours
from rostra.retrieval import searchable_text
from tests.fakes import FakeEmbedder

TEXTS = st.lists(st.sampled_from(["cats eat", "stars shine", "pumps leak", "a row"]), max_size=8)


@given(TEXTS)
def test_each_text_has_those_beside_it(texts: list[str]) -> None:
    found = with_neighbours(texts)
    if len(texts) < 2:
        assert found == texts
        return
    padded = ["", *texts, ""]
    for at, content in enumerate(found):
        assert isinstance(content, Beside)
        assert content.text == texts[at]
        assert [one for one in (padded[at], padded[at + 2]) if one] == list(content.neighbours)


@settings(deadline=None)
@given(TEXTS, st.data())
def test_vectors_are_weighted_means_and_depend_on_nothing_else(
    texts: list[str], data: st.DataObject
) -> None:
    embedder = FakeEmbedder()
    contents: list[Content] = [*with_neighbours(texts), "alone", "cats eat"]
    vectors = embed_contents(contents, embedder, None)
    own = {text: embedder.embed_documents([text])[0] for text in {*texts, "alone"}}
    for content, vector in zip(contents, vectors, strict=True):
        if isinstance(content, Beside):
            beside = np.mean([own[text] for text in content.neighbours], axis=0)
            mixed = 0.7 * own[content.text] + 0.3 * beside
            np.testing.assert_allclose(vector, mixed / np.linalg.norm(mixed), atol=1e-6)
    np.testing.assert_array_equal(vectors[-2], embedder.embed_documents(["alone"])[0])
    chosen = data.draw(st.lists(st.integers(0, len(contents) - 1), min_size=1, unique=True))
    again = embed_contents([contents[at] for at in chosen], embedder, None)
    np.testing.assert_array_equal(again, vectors[chosen])


def test_no_text_is_read_twice_and_each_content_is_told_of_once() -> None:
    embedder = FakeEmbedder()
    texts = [f"text {number}" for number in range(40)]
    told: list[int] = []
    embed_contents([*with_neighbours(texts)], embedder, None, told.append)
    assert sorted(embedder.embedded) == sorted(texts)
    assert sum(told) == 40
    one: list[int] = []
    embed_contents(with_neighbours(texts)[20:21], embedder, None, one.append)
    assert one == [1]
    assert sorted(embedder.embedded[40:]) == ["text 19", "text 20", "text 21"]


@pytest.mark.parametrize(
    "other",
    [
        Beside("one", ("two",)),
        Beside("one", ("three", "two")),
        Beside("one", ("two", "three", "")),
        Beside("two", ("one", "three")),
        "one",
        "one\ntwo\nthree",
    ],
)
def test_keys_tell_contents_apart(other: Content) -> None:
    assert content_key(Beside("one", ("two", "three"))) != content_key(other)


def test_the_setting_says_whether_neighbours_count() -> None:
    embedder = FakeEmbedder()
    document = make_document("Some words are here. " * 30, "t", "text/plain", [])
    asked = Settings(chunker="structure", chunk_tokens=32, chunk_neighbours=True)
    plain = asked.model_copy(update={"chunk_neighbours": False})
    mixed = chunk_inputs(document, asked, embedder)
    alone = chunk_inputs(document, plain, embedder)
    assert len(mixed) > 2
    assert [one.chunk for one in mixed] == [one.chunk for one in alone]
    texts = [
        searchable_text(one.chunk.context, document.text[one.chunk.start : one.chunk.end])
        for one in alone
    ]
    assert [one.content for one in alone] == texts
    assert [one.content for one in mixed] == with_neighbours(texts)
    assert chunking_facts(asked, embedder) != chunking_facts(plain, embedder)


def test_a_text_without_a_direction_gets_none_from_its_neighbours() -> None:
    own = np.array([[0.0, 0.0], [1.0, 0.0]], np.float32)
    beside = np.array([[1.0, 0.0], [0.0, 0.0]], np.float32)
    assert not blended(own, beside, beside)[0].any()
    assert blended(own, beside, beside)[1].tolist() == [1.0, 0.0]
