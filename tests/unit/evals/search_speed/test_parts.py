"""What a benchmark of search is made of: texts, vectors, the peers' arrays, processes."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from rank_bm25 import BM25Okapi

from evals.search_speed.child import BenchmarkFailed, Child, resident
from evals.search_speed.rows import document_of
from evals.search_speed.scores import Postings
from evals.search_speed.texts import VOCABULARY, ZipfTexts, word_numbers
from evals.search_speed.vectors import Nearest, NoisyVectors, passages
from rostra.retrieval.analysis import EnglishAnalyzer


def silent(*_: object) -> None:
    pass


def test_the_analyzer_gives_the_words_back() -> None:
    words = list(word_numbers())
    assert len(words) == len(set(words)) == VOCABULARY
    assert EnglishAnalyzer().terms(" ".join(words)) == words


def test_texts_follow_their_seed_and_the_law() -> None:
    drawn = ZipfTexts(3).draw(2_000)
    np.testing.assert_array_equal(drawn, ZipfTexts(3).draw(2_000))
    counts = np.bincount(drawn.ravel(), minlength=VOCABULARY)
    assert counts[0] / counts[9] == pytest.approx(10, rel=0.15)
    questions = ZipfTexts(3).questions(4)
    assert [len(question.split()) for question in questions] == [5, 4, 5, 4]


def test_the_peers_scores_are_rank_bm25s() -> None:
    random = np.random.default_rng(0)
    texts = np.minimum(random.geometric(0.05, (300, 20)) - 1, 79).astype(np.int32)
    postings = Postings(80)
    for first in range(0, 300, 70):
        postings.add(texts[first : first + 70])
    data, docs, starts = postings.scored(20)
    oracle = BM25Okapi(texts.tolist())
    for question in ([0, 1, 40], [3], [79, 60, 2]):
        scores = np.zeros(300)
        for word in question:
            here = slice(starts[word], starts[word + 1])
            scores[docs[here]] += data[here]
        np.testing.assert_allclose(scores, oracle.get_scores(question), rtol=1e-5, atol=1e-6)
    assert all(np.all(np.diff(docs[a:b]) > 0) for a, b in itertools.pairwise(starts))


def test_the_nearest_are_those_of_a_whole_product() -> None:
    random = np.random.default_rng(0)
    base = random.standard_normal((60, 16), dtype=np.float32)
    base /= np.linalg.norm(base, axis=1, keepdims=True)
    drawn = NoisyVectors(base, questions=5)
    vectors, questions = drawn.draw(500), drawn.questions(7)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    nearest = Nearest(questions, k=10)
    for first in range(0, 500, 130):
        nearest.show(vectors[first : first + 130], first)
    best = np.argsort(-(questions @ vectors.T), axis=1)[:, :10]
    assert [set(row) for row in nearest.found.tolist()] == [set(row) for row in best.tolist()]


def test_questions_are_of_passages_without_copies() -> None:
    drawn = NoisyVectors(np.eye(8, dtype=np.float32), questions=2)
    copied = {int(row.argmax()) for row in np.abs(drawn.draw(400))}
    asked = {int(row.argmax()) for row in np.abs(drawn.questions(2))}
    assert copied.isdisjoint(asked) and len(asked) == 2


def test_passages_are_prose_of_installed_packages() -> None:
    found = passages(40)
    assert len(found) == len(set(found)) == 40
    assert all(len(text.split()) >= 10 for text in found)


def test_chunks_are_slices_of_their_document() -> None:
    document = document_of("bench/1", ["one two", "three", "four five six"], [b"1", b"2", b"3"])
    cut = [document.text[chunk.start : chunk.end] for chunk in document.chunks]
    assert cut == ["one two", "three", "four five six"]


def test_a_part_that_fails_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(BenchmarkFailed, match="nothing was built"),
        Child("evals.search_speed.serve", tmp_path) as child,
    ):
        child.ask("open", silent)
    (tmp_path / "home").mkdir()
    with (
        pytest.raises(BenchmarkFailed, match="ended"),
        Child("no_such_module", tmp_path) as child,
    ):
        child.ask("open", silent)


def test_memory_is_told() -> None:
    told = json.loads(json.dumps(resident()))
    assert told["rss_mb"] > 1
    parts = told["rss_anonymous_mb"] + told["rss_file_mb"]
    assert parts == pytest.approx(told["rss_mb"], rel=0.2)
