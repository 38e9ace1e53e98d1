"""What endpoints send, read."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.models.wire import read_chunk

any_text = st.text(st.sampled_from('a\\"\n\u00e9\ud83d\ude00\udfff\U0001f600'), max_size=12)


def chunk_of(text: str) -> bytes:
    """With everything beyond ASCII as JSON's escapes, halves of surrogate pairs among it."""
    return json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode()


def content(data: bytes) -> str:
    chunk = read_chunk(data)
    assert chunk.choices is not None
    (choice,) = chunk.choices
    assert choice.delta is not None
    return choice.delta.text


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("a\ud83d", "a\ufffd"),
        ("\ude00b", "\ufffdb"),
        ("\ud83d!\ude00", "\ufffd!\ufffd"),
        ("\U0001f600", "\U0001f600"),
        ("\U0001f600\udfff\U0001f600", "\U0001f600\ufffd\U0001f600"),
        ("\\ud83d", "\\ud83d"),
    ],
)
def test_half_a_character_becomes_a_mark(sent: str, read: str) -> None:
    assert content(chunk_of(sent)) == read


def test_wherever_it_stands() -> None:
    call = {"index": 0, "id": "c\ud800", "function": {"name": "f", "arguments": {"\udc00": "x"}}}
    data = json.dumps({"choices": [{"delta": {"tool_calls": [call]}}], "id": "\ud800"}).encode()
    chunk = read_chunk(data)
    assert chunk.choices is not None
    (choice,) = chunk.choices
    assert choice.delta is not None
    assert choice.delta.tool_calls is not None
    (part,) = choice.delta.tool_calls
    assert part.id == "c\ufffd"
    assert part.function is not None
    assert part.function.arguments == {"\ufffd": "x"}


@given(any_text)
def test_every_text_can_be_read_and_written(text: str) -> None:
    found = content(chunk_of(text))
    found.encode()
    assert len(found) == len(json.loads(json.dumps(text)))


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"nonsense", b'{"choices": "\\ud83d"}', b'{"choices": [{"index": "\\ud83d"}]}',
     b'{"choices": "\\ud83d', b'"\\ud83d"' + b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_chunk_stays_none(data: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError, RecursionError)):
        read_chunk(data)
