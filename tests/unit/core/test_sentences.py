"""Sentence boundaries: what always holds, and what a sentence is in real text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.core import sentence_spans


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@given(st.text(alphabet="aB. !?\n\t|-#(\"'😀1今。\x00\u2028\xa0", max_size=200), st.data())
def test_what_always_holds(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    reached = start
    for left, right in sentence_spans(text, start, end):
        assert start <= left < right <= end
        assert not text[reached:left].strip()
        assert text[left:right] == text[left:right].strip()
        reached = right
    assert not text[reached:end].strip()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n ", []),
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        (
            "Dr. Smith saw 3.5 km, e.g. a mile. He left.",
            ["Dr. Smith saw 3.5 km, e.g. a mile.", "He left."],
        ),
        (
            "See Sect. 3 and approx. 5 more. Then go.",
            ["See Sect. 3 and approx. 5 more.", "Then go."],
        ),
        ("😀 first. 😀 second.", ["😀 first.", "😀 second."]),
        ("今日は。元気ですか。", ["今日は。", "元気ですか。"]),
        ("No end\n\nnew block", ["No end", "new block"]),
        ("- one item\n- two items", ["- one item", "- two items"]),
        ("| a | b |\n| 1 | 2 |", ["| a | b |", "| 1 | 2 |"]),
        ("1. First item\n2. Second item", ["1. First item", "2. Second item"]),
        ("x = 1;\ny = 2;", ["x = 1;", "y = 2;"]),
        ("import os\nimport sys", ["import os", "import sys"]),
        (
            "shared_buffers (integer)\nSets it. It is in kB.",
            ["shared_buffers (integer)", "Sets it.", "It is in kB."],
        ),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_wrapped_paragraph_is_joined() -> None:
    text = (
        "This paragraph has been wrapped by hand at some width, so a\n"
        "sentence goes on in the next line. Another one starts in the\n"
        "middle of it and ends.\n"
        "\n"
        "A new one."
    )
    assert [one.replace("\n", " ") for one in sentences(text)] == [
        "This paragraph has been wrapped by hand at some width, so a sentence goes on in the next "
        "line.",
        "Another one starts in the middle of it and ends.",
        "A new one.",
    ]


def test_a_ragged_paragraph_is_joined_before_words_in_marks() -> None:
    text = (
        "The program keeps all of its data in one directory, or wherever\n"
        "`SOME_HOME` says. The other line is much longer than that one, since a person edited it.\n"
        "`SOME_HOME` may be relative."
    )
    assert [one.replace("\n", " ") for one in sentences(text)] == [
        "The program keeps all of its data in one directory, or wherever `SOME_HOME` says.",
        "The other line is much longer than that one, since a person edited it.",
        "`SOME_HOME` may be relative.",
    ]


def test_offsets_are_those_of_the_whole_text() -> None:
    text = "Skip this. 😀 Take this. And this."
    assert [text[a:b] for a, b in sentence_spans(text, 11, 24)] == ["😀 Take this."]
