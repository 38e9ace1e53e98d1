"""The stored form of text: one line end, nothing that cannot be encoded, offsets that hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.core import collapse_whitespace, normalize_text

# Surrogates too, which `st.text()` leaves out by default.
ANY_CHARACTER = st.characters(codec=None, exclude_categories=())
ANY_TEXT = st.text(ANY_CHARACTER) | st.text(
    st.sampled_from("a\r\n\x00\x0b\x0c\x85\u2028\u2029\ud800\udc00\U0001f600\ufffd ")
)


@given(ANY_TEXT)
def test_normalized_text_can_be_stored(text: str) -> None:
    stored = normalize_text(text)
    assert stored.encode("utf-8").decode("utf-8") == stored
    assert not set(stored) & set("\x00\r\x0b\x0c\x85\u2028\u2029")
    assert not [c for c in stored if "\ud800" <= c <= "\udfff"]


@given(ANY_TEXT)
def test_normalizing_twice_changes_nothing(text: str) -> None:
    assert normalize_text(normalize_text(text)) == normalize_text(text)


@given(ANY_TEXT)
def test_lines_stay_lines(text: str) -> None:
    assert len(normalize_text(text)) == len(text) - text.count("\r\n")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00\r\x0b\x0c\x85\u2028\u2029")))
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert normalize_text(text) == text


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("a\r\nb\rc\nd", "a\nb\nc\nd"),
        ("\r\r\n\n", "\n\n\n"),
        ("a\x00b", "a\ufffdb"),
        ("\ud83d\ude00", "\ufffd\ufffd"),
        ("\U0001f600", "\U0001f600"),
        ("a\u2028b\x85c", "a\nb\nc"),
    ],
)
def test_known_forms(text: str, stored: str) -> None:
    assert normalize_text(text) == stored


@given(ANY_TEXT)
def test_collapsed_text_is_one_single_spaced_line(text: str) -> None:
    line = collapse_whitespace(text)
    assert line.split() == text.split()
    assert line == " ".join(line.split())
