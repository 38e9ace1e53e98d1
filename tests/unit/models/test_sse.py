"""Server-sent events out of bytes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.models.sse import MAX_EVENT_BYTES, EventDecoder, EventTooLong

LINES = st.one_of(
    st.sampled_from([b"", b"data", b"data:", b"data: a", b"data:  b", b"event: x", b": c", b"id"]),
    st.binary(max_size=8).map(lambda raw: b"data:" + raw.translate(None, b"\r\n")),
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


def oracle(lines: list[bytes]) -> list[bytes]:
    """The specification's algorithm over lines that are already told apart."""
    events: list[bytes] = []
    data: list[bytes] = []
    for line in lines:
        if not line:
            if data:
                events.append(b"\n".join(data))
            data = []
        elif line.split(b":", 1)[0] == b"data":
            data.append(line[5:].removeprefix(b" "))
    return events


def decode(pieces: list[bytes]) -> list[bytes]:
    decoder = EventDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


@given(st.lists(st.tuples(LINES, ENDS), max_size=12), st.data())
def test_events_do_not_depend_on_how_bytes_are_cut(
    written: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    text = b"".join(line + end for line, end in written)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in pairwise([0, *cuts, len(text)])]
    assert decode(pieces) == decode([text]) == decode([text[n : n + 1] for n in range(len(text))])
    lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1]
    assert decode([text]) == oracle(lines)


def test_other_separators_are_text() -> None:
    data = '"a\u2028b\x0bc\x85d"'.encode()
    assert decode([b"data: " + data + b"\n\n"]) == [data]


def test_a_byte_order_mark_is_no_text() -> None:
    assert decode([b"\xef\xbb", b"\xbfdata: a\n\n"]) == [b"a"]


def test_an_event_without_its_blank_line_is_not_given() -> None:
    assert decode([b"data: a\n\ndata: b\n"]) == [b"a"]


@pytest.mark.parametrize("piece", [b"x" * 2**20, b"data: " + b"x" * 2**20 + b"\n"])
def test_memory_is_bounded(piece: bytes) -> None:
    decoder = EventDecoder()
    with pytest.raises(EventTooLong):
        for _ in range(MAX_EVENT_BYTES // 2**20 + 1):
            decoder.feed(piece)


def test_comments_may_go_on() -> None:
    decoder = EventDecoder()
    for _ in range(2 * MAX_EVENT_BYTES // 2**20):
        assert decoder.feed(b":" + b"x" * 2**20 + b"\n") == []
    assert decoder.feed(b"data: a\n\n") == [b"a"]
