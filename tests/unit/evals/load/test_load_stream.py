"""Streamed answers: bytes, however cut, to times and counts."""

import json
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.load import stream
from evals.load.records import BROKEN, EMPTY, GARBLED, TOLD_ERROR
from evals.load.stream import AnswerTally, BadStream, EventReader, error_words


def event(value: object, end: str = "\n") -> bytes:
    data = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"data: {data}{end}{end}".encode()


def delta(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


USAGE = {
    "choices": [],
    "usage": {
        "prompt_tokens": 11,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 8},
    },
}


def tally(*values: object) -> AnswerTally:
    """The events at the times 1, 2, 3 ..."""
    found = AnswerTally(max_tokens=5)
    for at, value in enumerate(values, start=1):
        data = value if isinstance(value, str) else json.dumps(value)
        found.take(data.encode(), float(at))
    return found


@given(st.lists(st.integers(0, 400), max_size=30), st.sampled_from(["\n", "\r\n"]))
def test_events_do_not_depend_on_how_bytes_are_cut(cuts: list[int], end: str) -> None:
    whole = b": hello" + end.encode() + event({"a": "\u2028 \x85 ü"}, end)
    whole += b"event: x" + end.encode() + event("two", end) + b"data:tight" + end.encode() * 2
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    reader = EventReader()
    found = [data for start, stop in pairwise(places) for data in reader.feed(whole[start:stop])]
    assert json.loads(found[0]) == {"a": "\u2028 \x85 ü"}
    assert found[1:] == [b"two", b"tight"]


def test_data_of_several_lines_is_one_event() -> None:
    assert EventReader().feed(b"data: a\ndata: b\n\n") == [b"a\nb"]


def test_an_event_that_is_not_ended_is_none() -> None:
    assert EventReader().feed(b"data: a\n") == []


@pytest.mark.parametrize("piece", [b"x" * 100, b"data: x\n" * 40, b"data: " + b"x" * 100 + b"\n"])
def test_an_event_without_end_is_refused(piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_EVENT_BYTES", 30)
    reader = EventReader()
    with pytest.raises(BadStream) as caught:
        for byte in piece:
            reader.feed(bytes([byte]))
    assert caught.value.reason == GARBLED


def test_only_text_counts_as_a_token() -> None:
    found = tally(
        delta(role="assistant", content=""),
        delta(content="a"),
        delta(),
        delta(reasoning_content="b"),
        delta(reasoning="c"),
        delta(tool_calls=[{"index": 0}]),
        delta(refusal="d"),
        delta("stop"),
        USAGE,
        "[DONE]",
    )
    found.end()
    assert found.is_over
    assert list(found.pieces) == [2, 4, 5, 6, 7]


def test_counts_are_those_told() -> None:
    found = tally(delta(content="a"), delta("stop", content="b"), USAGE, "[DONE]")
    assert (found.prompt(400).tokens, found.prompt(400).estimated) == (11, False)
    assert (found.output().tokens, found.output().estimated) == (5, False)
    assert found.cached_tokens == 8


def test_counts_that_nobody_told_are_marked() -> None:
    found = tally(delta(content="a"), delta("stop", content="b"), {"choices": [], "usage": None})
    assert (found.prompt(401).tokens, found.prompt(401).estimated) == (101, True)
    assert (found.output().tokens, found.output().estimated) == (2, True)
    assert found.cached_tokens is None


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([], BROKEN),
        ([delta(content="a")], BROKEN),
        ([delta("stop")], EMPTY),
        (["[DONE]"], EMPTY),
    ],
)
def test_an_answer_that_is_not_whole_is_a_failure(events: list[Any], reason: str) -> None:
    found = tally(*events)
    with pytest.raises(BadStream) as caught:
        found.end()
    assert caught.value.reason == reason


@pytest.mark.parametrize("events", [[delta("stop", content="a")], [delta(content="a"), "[DONE]"]])
def test_either_sign_of_the_end_is_enough(events: list[Any]) -> None:
    tally(*events).end()


@pytest.mark.parametrize("data", ["{", "7", '"x"', '{"choices": 3}', '{"choices": [{"delta": 1}]}'])
def test_what_is_no_chunk_is_a_failure(data: str) -> None:
    with pytest.raises(BadStream) as caught:
        tally(data)
    assert caught.value.reason == GARBLED


def test_an_error_within_the_stream_is_a_failure() -> None:
    with pytest.raises(BadStream) as caught:
        tally(delta(content="a"), {"error": {"message": "engine\ndied", "code": "x"}})
    assert caught.value.reason == TOLD_ERROR
    assert caught.value.words == "engine died"


def test_an_answer_without_end_is_refused() -> None:
    found = AnswerTally(max_tokens=10)
    with pytest.raises(BadStream, match="more events than tokens"):
        for number in count():
            assert number < 10_000
            found.take(json.dumps(delta(content="a")).encode(), float(number))
    assert len(found.pieces) >= 10


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": {"message": "no room"}}', "no room"),
        (b'{"error": "plain"}', "plain"),
        (b'{"message": "flat"}', "flat"),
        (b"<html>busy</html>", "<html>busy</html>"),
        (b"\xff", "\ufffd"),
        (b"", ""),
        (b"x" * 10_000, "x" * 200),
    ],
)
def test_words_of_a_refusal(body: bytes, words: str) -> None:
    assert error_words(body) == words
