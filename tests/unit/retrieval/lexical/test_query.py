"""Phrases and prefixes: their syntax, and what they find, against brute force."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rostra.retrieval.analysis import EnglishAnalyzer, UnicodeAnalyzer
from rostra.retrieval.lexical import (
    LexicalReader,
    LexicalWriter,
    ParsedQuery,
    analyzed_query,
    parse_query,
    segment,
)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("plain words", ParsedQuery("plain words")),
        ('a "b c" d', ParsedQuery("a b c d", ("b c",))),
        ('"b c"', ParsedQuery("b c", ("b c",))),
        ("“b c” «d»", ParsedQuery("b c d", ("b c", "d"))),
        ("inde* of", ParsedQuery("of", (), ("inde",))),
        ("(pre* x)", ParsedQuery("( x)", (), ("pre",))),
        # Not what it looks like: words.
        ('a "b c', ParsedQuery('a "b c')),
        ('5" and 6" wide', ParsedQuery('5" and 6" wide')),
        ("* a *b c**", ParsedQuery("* a *b c**")),
        ("x* 2*3", ParsedQuery("x* 2*3")),
        ('""', ParsedQuery('""')),
        ("", ParsedQuery("")),
    ],
)
def test_syntax(text: str, parsed: ParsedQuery) -> None:
    assert parse_query(text) == parsed


@given(st.text(alphabet='ab "*“”«»(5', max_size=30))
def test_no_word_is_lost_and_nothing_fails(text: str) -> None:
    parsed = parse_query(text)
    letters = [*parsed.words, *"".join(parsed.prefixes)]
    for letter in "ab5":
        assert letters.count(letter) == text.count(letter)


def test_what_a_query_asks_for_is_bounded() -> None:
    parsed = parse_query('"a b" ' * 50 + "ab* " * 50)
    assert len(parsed.phrases) == 8
    assert len(parsed.prefixes) == 8
    assert parsed.words.split().count("ab") == 42


texts = st.lists(st.lists(st.sampled_from("abc"), max_size=8), min_size=1, max_size=8)


def filled(folder: Path, rows: list[list[str]], flushed: int, ordered: bool) -> LexicalWriter:
    index = LexicalWriter(folder, "unicode-1", ordered=ordered)
    index.add(rows[:flushed])
    index.flush()
    index.add(rows[flushed:])
    return index


@settings(max_examples=40, deadline=None)
@given(texts, st.integers(0, 8), st.lists(st.sampled_from("abcd"), max_size=3), st.integers(0, 7))
def test_a_phrase_is_found_where_its_terms_follow_one_another(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
    flushed: int,
    phrase: list[str],
    removed: int,
) -> None:
    index = filled(tmp_path_factory.mktemp("index"), rows, flushed, True)
    gone = removed % len(rows)
    index.remove(np.array([gone]))
    expected = [
        at
        for at, row in enumerate(rows)
        if at != gone and phrase and "".join(phrase) in "".join(row)
    ]
    reader = index.snapshot()
    assert reader.phrase(phrase).tolist() == expected
    mask = np.arange(len(rows)) % 2 == 0
    assert reader.phrase(phrase, mask).tolist() == [at for at in expected if at % 2 == 0]


@pytest.mark.parametrize("small", [0, 4096])
def test_phrases_without_order_are_all_their_terms(
    tmp_path: Path, small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment, "SMALL", small)
    rows = [["a", "b"], ["b", "x", "a"], ["a"], ["b", "a", "a"]]
    index = filled(tmp_path, rows, 4, False)
    assert index.snapshot().phrase(["a", "b"]).tolist() == [0, 1, 3]
    index.merge(everything=True)
    index.remove(np.array([1]))
    assert index.snapshot().phrase(["a", "b"]).tolist() == [0, 3]


words = st.text(alphabet="aé日", min_size=1, max_size=3)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(words, max_size=5), min_size=1, max_size=8), st.integers(0, 8), words)
def test_a_prefix_stands_for_the_terms_of_most_rows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], flushed: int, prefix: str
) -> None:
    index = filled(tmp_path_factory.mktemp("index"), rows, flushed, True)
    index.remove(np.array([0]))
    counts: dict[str, int] = {}
    for row in rows[1:]:
        for term in {term for term in row if term.startswith(prefix)}:
            counts[term] = counts.get(term, 0) + 1
    expected = sorted(counts, key=lambda term: (-counts[term], term))
    assert index.snapshot().prefix(prefix) == expected
    assert index.snapshot().prefix(prefix, most=1) == expected[:1]
    assert index.snapshot().prefix("") == []


@pytest.fixture
def reader(tmp_path: Path) -> LexicalReader:
    analyzer = EnglishAnalyzer()
    texts = [
        "Creating an index concurrently",
        "The index is created; concurrently, others read",
        "Indices of arrays",
        "A concurrent index build",
    ]
    index = LexicalWriter(tmp_path, analyzer.name)
    index.add([analyzer.terms(text) for text in texts])
    return index.snapshot()


def test_a_query_with_operators(reader: LexicalReader) -> None:
    analyzer = EnglishAnalyzer()
    query = analyzed_query(parse_query('"index concurrently" build'), analyzer, [reader])
    mask = query.mask(reader)
    assert mask is not None
    assert np.flatnonzero(mask).tolist() == [0]
    positions, scores = reader.search(query.terms, 10, mask)
    assert positions.tolist() == [0]
    assert scores.tolist() == reader.scores(query.terms, positions).tolist()
    both = analyzed_query(parse_query('"an index" "concurrently"'), analyzer, [reader])
    narrowed = both.mask(reader, np.array([True, False, True, True]))
    assert narrowed is not None
    assert np.flatnonzero(narrowed).tolist() == [0, 3]
    plain = analyzed_query(parse_query("index"), analyzer, [reader])
    assert plain.mask(reader) is None
    # An analyzer may leave nothing of a phrase; then it asks for nothing.
    assert analyzed_query(parse_query('"of the"'), analyzer, [reader]).phrases == ()


def test_a_prefix_finds_stems_and_longer_words(reader: LexicalReader) -> None:
    analyzer = EnglishAnalyzer()
    for text, found in (("indic*", [2]), ("CONCURR*", [0, 1, 3]), ("creating*", [0, 1])):
        query = analyzed_query(parse_query(text), analyzer, [reader])
        assert sorted(reader.search(query.terms, 10)[0].tolist()) == found, text
    query = analyzed_query(parse_query("zz* ind*"), UnicodeAnalyzer(), [reader, reader])
    assert query.terms == ["zz", "ind", "index", "indic"]
