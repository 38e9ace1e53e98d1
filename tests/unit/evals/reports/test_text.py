"""Texts as reports show them: every character seen, none that XML or a terminal stumbles over."""

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from evals.reports.text import cut, shown, visible


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_what_is_visible_can_be_written_as_xml(text: str) -> None:
    written = ElementTree.tostring(_element(visible(text)), encoding="unicode").encode()
    read = ElementTree.fromstring(written)
    # XML itself turns line ends into one kind.
    assert (read.text or "") == visible(text)


@given(st.text(max_size=50), st.integers(1, 60))
def test_a_cut_text_is_a_beginning_and_says_so(text: str, longest: int) -> None:
    kept, is_cut = cut(text, longest)
    assert text.startswith(kept)
    assert is_cut == (kept != text)
    assert is_cut == ("more characters)" in shown(text, longest))


def test_scripts_and_emoji_stay_as_they_are() -> None:
    for text in ("שלום עולם", "مرحبا", "日本語", "👩‍👩‍👧", "naïve\tx\ny"):
        assert visible(text) == text


def _element(text: str) -> ElementTree.Element:
    element = ElementTree.Element("a")
    element.text = text
    return element
