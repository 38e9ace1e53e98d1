"""Answers put together from chunks."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.core import Finish, FinishReason, ToolCall
from rostra.models.gather import MAX_CALLS, Garbled, Gathering
from rostra.models.wire import error_words, read_chunk, told_error


def gather(*deltas: dict[str, Any], finish: str | None = "stop", **more: Any) -> list[Any]:
    """The events of an answer, its text as one."""
    gathering = Gathering(5)
    text = ""
    for delta in deltas:
        chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        text += gathering.take(read_chunk(json.dumps(chunk).encode()))
    last = {"choices": [{"delta": {}, "finish_reason": finish}]} | more
    gathering.take(read_chunk(json.dumps(last).encode()))
    return [text, *gathering.end()]


def call(arguments: Any = None, **more: Any) -> dict[str, Any]:
    function = {"arguments": arguments}
    if "name" in more:
        function["name"] = more.pop("name")
    return {"tool_calls": [{"function": function, **more}]}


CALLS = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.dictionaries(st.text(max_size=3), st.integers())),
    max_size=4,
)


@given(CALLS, st.data())
def test_calls_are_whole_however_they_are_cut(
    calls: list[tuple[str, dict[str, int]]], data: st.DataObject
) -> None:
    written = [json.dumps(arguments) for _, arguments in calls]
    queues = []
    for index, (name, _) in enumerate(calls):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(written[index])), max_size=3)))
        edges = [0, *cuts, len(written[index])]
        pieces = [written[index][a:b] for a, b in pairwise(edges)]
        head = call(pieces[0], index=index, id=f"id{index}", name=name)
        queues.append([head, *(call(piece, index=index) for piece in pieces[1:])])
    # Pieces of different calls may come in any order, but calls begin in order.
    deltas = [queue.pop(0) for queue in queues]
    while any(queues):
        chosen = data.draw(st.sampled_from([queue for queue in queues if queue]))
        deltas.append(chosen.pop(0))
    text, *made, end = gather(*deltas, finish="tool_calls" if calls else "stop")
    assert text == ""
    assert made == [
        ToolCall(f"id{index}", name, written[index]) for index, (name, _) in enumerate(calls)
    ]
    assert end.reason is (FinishReason.TOOL_CALLS if calls else FinishReason.STOP)


def test_calls_without_numbers_and_ids() -> None:
    made = gather(
        call('{"x":', name="a"),
        call("1}"),
        call({"y": 2}, name="b"),
        call(None, name="c", id=""),
        finish="stop",
    )
    assert made[1:-1] == [
        ToolCall("call_0", "a", '{"x":1}'),
        ToolCall("call_1", "b", '{"y": 2}'),
        ToolCall("call_2", "c", "{}"),
    ]
    assert made[-1].reason is FinishReason.TOOL_CALLS


def test_calls_that_are_all_numbered_zero() -> None:
    made = gather(
        call('{"x": 1}', name="a", index=0, id="i"),
        call('{"x"', name="a", index=0, id="j"),
        call(": 2}", index=0),
    )
    assert made[1:-1] == [ToolCall("i", "a", '{"x": 1}'), ToolCall("j", "a", '{"x": 2}')]


def test_content_in_parts_and_refusals() -> None:
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "b"}]
    text, _ = gather({"content": None}, {"content": "a"}, {"content": parts}, {"refusal": "c"})
    assert text == "abc"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("tool_calls", FinishReason.STOP),  # of none
        ("something_new", FinishReason.STOP),
        (None, FinishReason.STOP),
    ],
)
def test_reasons(told: str | None, reason: FinishReason) -> None:
    _, end = gather({"content": "a"}, finish=told)
    assert end.reason is reason


def test_an_answer_that_ends_with_an_error() -> None:
    with pytest.raises(Garbled):
        gather({"content": "a"}, finish="error")


def test_other_choices_are_left_out() -> None:
    gathering = Gathering(0)
    chunk = {"choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": "stop"}]}
    assert gathering.take(read_chunk(json.dumps(chunk).encode())) == ""
    assert not gathering.has_ended


def test_calls_are_bounded() -> None:
    with pytest.raises(Garbled, match="calls"):
        gather(*(call("{}", name="a", index=n) for n in range(MAX_CALLS + 1)))


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 2}, (3, 2, 0)),
        ({"prompt_tokens": -3, "completion_tokens": 2}, (0, 2, 0)),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 9},
            },
            (3, 2, 3),
        ),
        ({"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": None}, (3, 2, 0)),
    ],
)
def test_usage(usage: dict[str, Any], counts: tuple[int, int, int]) -> None:
    _, end = gather(usage=usage)
    assert isinstance(end, Finish)
    assert tuple(end.usage.values()) == counts


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"error": {"message": "m", "code": "c"}}, ("m", "c")),
        ({"error": {"message": "m", "type": "t", "code": None}}, ("m", "t")),
        ({"error": "m"}, ("m", "")),
        ([{"error": {"message": "m", "code": 400}}], ("m", "400")),
        ({"title": "t", "detail": "d", "code": "c"}, ("d", "c")),
        ({"message": "m"}, ("m", "")),
        ("m", ("m", "")),
        ({}, ("{}", "")),
    ],
)
def test_what_failures_say(body: Any, told: tuple[str, str]) -> None:
    assert error_words(body) == told
    assert told_error(json.dumps(body).encode()) == told


def test_failures_that_say_nothing_readable() -> None:
    assert told_error(b"<h1>\xff\x1b[31m\n  Bad</h1>") == ("<h1>\ufffd [31m Bad</h1>", "")
    assert told_error(b"") == ("", "")
    assert len(told_error(b"x" * 10_000)[0]) == 500
