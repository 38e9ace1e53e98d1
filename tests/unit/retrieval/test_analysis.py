"""Analyzers: their terms, their names, and what always holds of them."""

import pytest
import Stemmer
from hypothesis import given
from hypothesis import strategies as st

from rostra.core import ConfigError
from rostra.retrieval.analysis import (
    CjkAnalyzer,
    CodeAnalyzer,
    EnglishAnalyzer,
    SnowballAnalyzer,
    UnicodeAnalyzer,
    analyzer_kinds,
    make_analyzer,
)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("the of and", []),
        ("Indexes, INDEXED; indexing!", ["index", "index", "index"]),
        ("snake_case-and-kebab", ["snake", "case", "kebab"]),
        ("Straße 42", ["strass", "42"]),
        ("日本語 текст", ["日本", "本語", "текст"]),
    ],
)
def test_english(text: str, terms: list[str]) -> None:
    assert EnglishAnalyzer().terms(text) == terms


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("The INDEX, indexes", ["the", "index", "indexes"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("ﬁne Ｆｕｌｌ STRASSE straße", ["fine", "full", "strasse", "strasse"]),
        ("e\u0301tat état", ["état", "état"]),
        ("snake_case", ["snake", "case"]),
        ("", []),
    ],
)
def test_words_of_any_script_are_folded(text: str, terms: list[str]) -> None:
    assert UnicodeAnalyzer().terms(text) == terms


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("東京タワー", ["東京", "京タ", "タワ", "ワー"]),
        ("日", ["日"]),
        ("서울시 Seoul 2024年", ["서울", "울시", "seoul", "2024", "年"]),
        ("ｱｲｳ", ["アイ", "イウ"]),
        ("人々は", ["人々", "々は"]),
    ],
)
def test_cjk_is_bigrams(text: str, terms: list[str]) -> None:
    assert CjkAnalyzer().terms(text) == terms


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("getHTTPResponse2()", ["gethttpresponse2", "get", "http", "response", "2"]),
        ("snake_case", ["snake_case", "snake", "case"]),
        ("MAX_LEN", ["max_len", "max", "len"]),
        ("word Word", ["word", "word"]),
        ("_private", ["_private", "private"]),
        ("self.переменнаяИмя", ["self", "переменнаяимя", "переменная", "имя"]),
        ("a->b[i1]", ["a", "b", "i1", "i", "1"]),
        ("__", ["__"]),
    ],
)
def test_code_has_identifiers_whole_and_in_parts(text: str, terms: list[str]) -> None:
    assert CodeAnalyzer().terms(text) == terms


@pytest.mark.parametrize(
    ("language", "text", "terms"),
    [
        ("german", "Die Häuser und das Haus", ["haus", "haus"]),
        ("french", "les chevaux et le cheval", ["cheval", "cheval"]),
        ("russian", "книги и книга", ["книг", "книг"]),
        ("spanish", "las niñas", ["niñ"]),
    ],
)
def test_stems_without_stop_words(language: str, text: str, terms: list[str]) -> None:
    assert SnowballAnalyzer(language).terms(text) == terms


@pytest.mark.parametrize("kind", analyzer_kinds())
def test_an_analyzer_is_found_again_by_its_name(kind: str) -> None:
    made = make_analyzer(kind)
    assert type(make_analyzer(made.name)) is type(made)
    assert make_analyzer(made.name).name == made.name


def test_names_are_unique_and_languages_are_snowballs() -> None:
    names = [make_analyzer(kind).name for kind in analyzer_kinds()]
    assert len(names) == len(set(names))
    assert "german" in Stemmer.algorithms()


@pytest.mark.parametrize("kind", ["", "klingon", "english-0", "german-2"])
def test_unknown_ones_are_refused(kind: str) -> None:
    with pytest.raises(ConfigError, match="no analyzer"):
        make_analyzer(kind)


@given(st.text(max_size=40), st.sampled_from(["english", "unicode", "cjk", "code", "german"]))
def test_terms_are_never_empty_and_case_does_not_matter_but_in_code(text: str, kind: str) -> None:
    analyzer = make_analyzer(kind)
    terms = analyzer.terms(text)
    assert all(terms)
    assert terms == analyzer.terms(text)
    if kind == "unicode":
        assert analyzer.terms(" ".join(terms)) == terms
