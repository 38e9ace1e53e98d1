"""Many texts analysed at once have the terms that each has by itself."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rostra.retrieval.analysis import (
    BatchAnalysis,
    CodeAnalyzer,
    EnglishAnalyzer,
    TermRows,
    UnicodeAnalyzer,
    batches,
)

ENGLISH = EnglishAnalyzer()
# Separators of ASCII and others, letters whose folding is of another length or in ASCII, marks that
# compose, words that are dropped, and planes beyond the first.
HOSTILE = st.lists(
    st.one_of(
        st.sampled_from(" _-'.\t\n\0\x1c\x7faAzZ09"),
        st.sampled_from(["the", "THE", "running", "Straße", "ß", "ſ", "\u212a", "İ", "i\u0307"]),
        st.sampled_from(["ﬁ", "ŉ", "\u0301", "\u2019", "\u00a0", "\u3000", "漢字", "ͅ", "Σς"]),
        st.sampled_from(["\u00b2", "½", "Ⅷ", "٣", "\U0001d400", "\U0001f600", "\u200d", "_a_"]),
    ),
    max_size=12,
).map("".join)


@pytest.fixture(autouse=True)
def by_machine_code(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(batches, "_MANY", 0)
    yield


def check(analysis: BatchAnalysis, texts: Sequence[str]) -> TermRows:
    rows = analysis.rows(texts)
    assert list(rows) == [ENGLISH.terms(text) for text in texts]
    assert len(rows) == len(texts)
    assert len(set(rows.terms)) == len(rows.terms)
    assert set(rows.terms) == {term for row in rows for term in row}
    return rows


@given(st.lists(st.lists(st.one_of(HOSTILE, st.text(max_size=30)), max_size=6), max_size=4))
@example([["", "the", "\u2019"], []])
def test_terms_are_those_of_single_texts(of_batches: list[list[str]]) -> None:
    analysis = BatchAnalysis(ENGLISH)
    for texts in of_batches:
        check(analysis, texts)


def test_every_character_beside_every_kind() -> None:
    everything = [chr(at) for at in range(0x11000) if not 0xD800 <= at < 0xE000]
    joined = "".join(f"a{one}b {one}A{one} " for one in everything)
    check(BatchAnalysis(ENGLISH), [joined, joined.swapcase(), "".join(everything)])


def test_there_is_room_for_any_number_and_what_is_remembered_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    analysis = BatchAnalysis(ENGLISH)
    long = "x" * 3_000_000
    for first in (0, 20_000, 90_000):
        words = [f"Word{at}s" for at in range(first, first + 70_000)]
        check(analysis, [" ".join(words), " ".join(reversed(words)), long])
    before = analysis._known
    monkeypatch.setattr(batches, "_MOST_PIECES", 1000)
    check(analysis, ["one", "two"])
    assert analysis._known is not before
    monkeypatch.setattr(batches, "_MANY", 100)
    check(analysis, ["a small batch"])
    assert analysis._known is None


def test_a_batch_that_failed_loses_nothing_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    analysis = BatchAnalysis(ENGLISH)
    check(analysis, ["one"])
    with monkeypatch.context() as patch:
        patch.setattr(EnglishAnalyzer, "terms_of_pieces", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            analysis.rows(["two of three"])
    check(analysis, ["one two", "three four"])


@pytest.mark.parametrize("analyzer", [UnicodeAnalyzer(), CodeAnalyzer()])
def test_others_are_asked_text_by_text(analyzer: UnicodeAnalyzer | CodeAnalyzer) -> None:
    texts = ["getHTTPResponse2 e\u0301", "", "= \u0338 =\u0338"]
    rows = BatchAnalysis(analyzer).rows(texts)
    assert list(rows) == [analyzer.terms(text) for text in texts]
