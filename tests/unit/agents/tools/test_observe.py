"""Observations: whatever a tool gave, a model reads a bounded text that says what was left out."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.agents.events import DocumentSpan
from rostra.agents.tools.observe import observed
from rostra.agents.tools.tool import ToolResult

SENTENCE = "Sentence number {} says that autovacuum runs in the background. "
LONG = "".join(SENTENCE.format(number) for number in range(200_000))
MARK = re.compile(r"\n\n⟨([\d,]+) characters left out⟩\n\n")


def observe(result: ToolResult, limit: int) -> tuple[str, bool, int]:
    """Text, whether something was left out, and bytes of the whole."""
    bounded = observed(result, limit)
    return bounded.text, bounded.truncated, bounded.bytes


def test_what_is_short_is_whole() -> None:
    assert observe(ToolResult("All of it.\n\tYes."), 100) == ("All of it.\n\tYes.", False, 16)
    assert observe(ToolResult(""), 100) == ("", False, 0)
    assert observe(ToolResult("größe"), 100) == ("größe", False, 7)


def test_ten_megabytes_become_head_and_tail_of_whole_sentences() -> None:
    assert len(LONG) > 10_000_000
    text, truncated, size = observe(ToolResult(LONG), 6000)
    assert (truncated, size) == (True, len(LONG))
    assert 5000 < len(text) <= 6000
    head, left_out, tail = MARK.split(text)
    assert LONG.startswith(head)
    assert LONG.endswith(tail)
    assert int(left_out.replace(",", "")) == len(LONG) - len(head) - len(tail)
    assert head.endswith("background.")
    assert tail.startswith("Sentence number ")


@pytest.mark.parametrize(
    "text",
    ["x" * 10_000_000, "\n" * 10_000_000, "a " * 5_000_000, "\x1b[0m" * 2_000_000, "𝄞" * 10**6],
)
def test_text_without_sentences_is_cut_too(text: str) -> None:
    shown, truncated, _ = observe(ToolResult(text), 1000)
    assert truncated
    assert len(shown) <= 1000


@pytest.mark.parametrize(
    "data", [bytes(range(256)) * 40_000, b"\x89PNG\r\n\x1a\n" + b"\x00\x01\x02" * 10**6]
)
@pytest.mark.parametrize("coding", ["latin-1", "utf-8"])
def test_binary_text_is_described(data: bytes, coding: str) -> None:
    text = data.decode(coding, errors="replace")
    shown, truncated, size = observe(ToolResult(text), 500)
    assert shown == f"Binary data, {size:,} bytes; not shown."
    assert truncated
    assert observe(ToolResult("an image", size=77), 500) == ("an image", False, 77)


def test_control_characters_and_terminal_codes_are_removed() -> None:
    text = "a\x1b[31mred\x1b[0m\x07 b\r\nc\rd\u2028e\x00f\tg and some more plain words to read"
    assert observe(ToolResult(text), 500)[0] == (
        "ared b\nc\nd\ne" + "f\tg and some more plain words to read"
    )


def test_structured_results_without_text_are_shown_as_json() -> None:
    assert observe(ToolResult("", structured={"b": [1, "ä"]}), 100)[0] == '{"b": [1, "ä"]}'
    assert observe(ToolResult("said", structured={"b": 1}), 100)[0] == "said"


TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=300) | st.lists(
    st.sampled_from(
        ["A short sentence. ", "\n\n", "word ", "\x00", "\r\n", "é", "\x1b[1m", "- x\n"]
    ),
    max_size=80,
).map("".join)


@given(TEXTS, st.integers(0, 400))
def test_every_text_fits_and_is_clean(text: str, limit: int) -> None:
    shown, truncated, size = observe(ToolResult(text), limit)
    assert len(shown) <= limit
    assert size == len(text.encode("utf-8", "surrogatepass"))
    assert truncated or len(text) <= limit
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", shown)
    shown.encode()


@given(TEXTS, st.integers(0, 300), st.integers(1, 300), st.integers(0, 400))
def test_spans_of_documents_stay_verbatim(text: str, at: int, length: int, limit: int) -> None:
    end = min(len(text), at + length)
    if at >= end:
        return
    span = DocumentSpan(at, "d", 1000, 1000 + end - at)
    result = observed(ToolResult(text, documents=(span,)), limit)
    for moved in result.documents:
        stored = text[at + moved.start - 1000 : at + moved.end - 1000]
        assert result.text[moved.at : moved.at + moved.end - moved.start] == stored
    if result.text == text:
        assert result.documents == (span,)


def test_spans_at_head_and_tail_survive_the_cut() -> None:
    last = len(LONG) - 50
    spans = (
        DocumentSpan(0, "a", 5, 105),
        DocumentSpan(5_000_000, "b", 0, 10),
        DocumentSpan(last, "c", 0, 50),
    )
    result = observed(ToolResult(LONG, documents=spans), 2000)
    assert [span.document_id for span in result.documents] == ["a", "c"]
    assert result.text[result.documents[1].at :] == LONG[last:]
