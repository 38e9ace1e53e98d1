"""What servers say: effects, pins, results and names, whatever they contain."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.types import CallToolResult, TextContent, ToolAnnotations

from rostra.agents.events import Effect, Origin
from rostra.agents.mcp import MemoryPins, ToolState, effect_of, pin_digest, pin_text
from rostra.agents.mcp.content import result_of
from rostra.agents.mcp.effects import outbound
from rostra.agents.mcp.http import began_of
from rostra.agents.mcp.pins import judge
from rostra.agents.mcp.text import bounded, one_line, reason_of

HINT = st.sampled_from([None, True, False])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def hints(
    read_only: bool | None = None, destructive: bool | None = None, idempotent: bool | None = None
) -> ToolAnnotations:
    return ToolAnnotations(
        read_only_hint=read_only, destructive_hint=destructive, idempotent_hint=idempotent
    )


@pytest.mark.parametrize(
    ("annotations", "effect"),
    [
        (None, Effect.UNKNOWN),
        (hints(), Effect.UNKNOWN),
        (hints(read_only=True), Effect.READ),
        (hints(read_only=True, destructive=False), Effect.READ),
        (hints(read_only=True, destructive=True), Effect.WRITE),
        (hints(read_only=False), Effect.WRITE),
        (hints(destructive=False), Effect.WRITE),
        (hints(read_only=False, idempotent=True), Effect.IDEMPOTENT),
    ],
)
def test_effects_that_annotations_claim(
    annotations: ToolAnnotations | None, effect: Effect
) -> None:
    assert effect_of(annotations, "annotations") is effect
    assert effect_of(annotations, "none") is Effect.UNKNOWN


def test_a_tool_is_of_the_open_world_unless_it_says_otherwise() -> None:
    for said in (None, True, False):
        annotations = ToolAnnotations(read_only_hint=True, open_world_hint=said)
        assert outbound(annotations, "annotations") is (said is not False)
        assert outbound(annotations, "none")
    assert outbound(None, "annotations")


def test_who_comes_to_deny_the_open_world_is_another() -> None:
    texts = [
        pin_text("a", "b", {}, ToolAnnotations(read_only_hint=True, open_world_hint=said))
        for said in (None, True, False)
    ]
    assert texts[0] == texts[1] != texts[2]


@given(HINT, HINT, HINT)
def test_nothing_is_read_only_that_does_not_say_so(
    read_only: bool | None, destructive: bool | None, idempotent: bool | None
) -> None:
    effect = effect_of(hints(read_only, destructive, idempotent), "annotations")
    if effect is Effect.READ:
        assert read_only and not destructive


@given(
    st.lists(
        st.tuples(st.text(), st.text(), st.dictionaries(st.text(), JSON), HINT),
        min_size=2,
        max_size=2,
    )
)
def test_a_digest_is_of_all_that_is_told(
    told: list[tuple[str, str, dict[str, Any], bool | None]],
) -> None:
    one, other = ((n, d, json.dumps(p, sort_keys=True), h) for n, d, p, h in told)
    first, second = (pin_digest(pin_text(n, d, p, hints(read_only=h))) for n, d, p, h in told)
    assert (first == second) == (one == other)


async def test_pins_in_memory() -> None:
    pins = MemoryPins()
    assert await pins.get("one") == {}
    await pins.approve("one", {"a": "1", "b": "2"}, "ann")
    await pins.approve("one", {"b": "3"}, "ann")
    await pins.approve("two", {"a": "9"}, "ann")
    assert await pins.told("one") == {"a": "1", "b": "3"}
    assert await pins.get("one") == {"a": pin_digest("1"), "b": pin_digest("3")}
    assert judge("1", "1") is ToolState.APPROVED
    assert judge("2", "1") is ToolState.CHANGED
    assert judge("2", None) is ToolState.NEW


def passages(value: Any) -> list[tuple[str, int, int, str]]:
    """Parts of documents that a value names, found the slow way."""
    found = []
    if isinstance(value, dict):
        words = value.get("text")
        if isinstance(words, str) and "document_id" in value:
            found.append((value["document_id"], value["start"], value["end"], words))
        for inner in value.values():
            found += passages(inner)
    if isinstance(value, list):
        for inner in value:
            found += passages(inner)
    return found


@st.composite
def cited(draw: st.DrawFn) -> Any:
    """JSON with parts of documents in it, all as long as the places they name."""

    def part(words: str, start: int) -> dict[str, Any]:
        return {"document_id": "d", "start": start, "end": start + len(words), "text": words}

    parts = st.builds(part, st.text(min_size=1), st.integers(0, 10**6))
    inner = st.lists(st.one_of(parts, JSON.filter(lambda v: passages(v) == [])), max_size=5)
    return draw(st.dictionaries(st.text(min_size=1), inner, min_size=1, max_size=3))


@given(cited())
def test_every_part_of_a_document_stands_where_its_span_says(value: Any) -> None:
    answer = CallToolResult(content=[TextContent(text="{}")], structured_content=value)
    result = result_of(answer, cites=True)
    there = [
        (s.document_id, s.start, s.end, result.text[s.at : s.at + s.end - s.start])
        for s in result.documents
    ]
    assert sorted(there) == sorted(passages(value))
    assert (result.origin is Origin.DOCUMENT) == bool(there)
    assert result.structured == value
    # A server that may not name documents names none, whatever it says.
    assert result_of(answer, cites=False).documents == ()
    assert result_of(answer, cites=False).origin is Origin.TOOL


@pytest.mark.parametrize(
    "part",
    [
        {"document_id": "d", "start": 0, "end": 2, "text": "three"},
        {"document_id": "d", "start": -5, "end": 0, "text": "three"},
        {"document_id": 7, "start": 0, "end": 5, "text": "three"},
        {"document_id": "d", "start": False, "end": 5, "text": "three"},
        {"document_id": "d", "start": 0.0, "end": 5, "text": "three"},
        {"document_id": "d", "start": 0, "end": 0, "text": ""},
        {"start": 0, "end": 5, "text": "three"},
    ],
)
def test_what_only_looks_like_a_part_is_text_of_a_tool(part: dict[str, Any]) -> None:
    answer = CallToolResult(content=[TextContent(text="as told")], structured_content=part)
    result = result_of(answer, cites=True)
    assert (result.text, result.documents, result.origin) == ("as told", (), Origin.TOOL)


@given(st.lists(st.text()), st.booleans(), JSON)
def test_any_answer_becomes_a_result(texts: list[str], failed: bool, structured: Any) -> None:
    content = [TextContent(text=text) for text in texts]
    result = result_of(
        CallToolResult(content=content, is_error=failed, structured_content=structured), cites=True
    )
    assert result.is_error == failed
    assert result.size == len(result.text.encode(errors="replace")) - max(len(texts) - 1, 0)


def test_a_deep_answer_is_no_trouble() -> None:
    value: Any = "bottom"
    for _ in range(200):
        value = {"down": value}
    part = {"document_id": "d", "start": 0, "end": 1, "text": "x"}
    answer = CallToolResult(content=[], structured_content={"a": part, "b": value})
    assert "bottom" in result_of(answer, cites=True).text


@given(st.text(), st.integers(1, 50))
def test_words_are_bounded_and_cannot_steer_a_terminal(text: str, limit: int) -> None:
    for shown in (bounded(text, limit), one_line(text, limit)):
        assert len(shown) <= limit
        assert not any((ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 for c in shown)
    assert "\n" not in one_line(text, limit)


def test_reasons_are_those_within_groups() -> None:
    group = ExceptionGroup("outer", [ExceptionGroup("inner", [OSError(2, "gone\nnow")])])
    assert reason_of(group) == "FileNotFoundError: [Errno 2] gone now"
    assert reason_of(TimeoutError()) == "TimeoutError"


@pytest.mark.parametrize("data", [None, [], "x", {}, {"rostra.began": 1}, {"other": True}])
def test_a_servers_own_error_says_nothing_of_the_connection(data: Any) -> None:
    assert began_of(data) is None
    assert began_of({"rostra.began": False}) is False
