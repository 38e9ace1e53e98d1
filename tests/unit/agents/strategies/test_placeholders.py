"""Placeholders: which steps a plan's strings name, and what is put in their place."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it ships no types

from rostra.agents.events import Outcome, PlannedCall
from rostra.agents.scope import Observation, Sentence
from rostra.agents.strategies.placeholders import (
    MOST_CHARS,
    NoField,
    admitting,
    filled_in,
    needed,
    slot_of,
)
from rostra.agents.strategies.schemas import fitted


def gave(text: str) -> Observation:
    call = PlannedCall("1", "tool", {})
    return Observation(call, Outcome.OK, f"[1] {text}", sentences=(Sentence(1, text, "1"),))


NUMBER = "value: 12800; exact: true; fraction: null"
DAYS = json.dumps({"days": -395, "start": {"weekday": "Monday"}, "parts": ["a", {"b": 2.5}]})


@pytest.mark.parametrize(
    ("text", "argument", "filled"),
    [
        (NUMBER, "#E1.value + 1", "12800 + 1"),
        (NUMBER, "#E1.value", "12800"),
        (NUMBER, "#E1 + 1", "12800 + 1"),
        (NUMBER, "(#E1)/2 is #E1.exact.", "(12800)/2 is true."),
        (NUMBER, "#E1", NUMBER),
        (DAYS, "#E1.days * 24", "-395 * 24"),
        (DAYS, "on a #E1.start.weekday", "on a Monday"),
        (DAYS, "#E1.parts.1.b and #E1.parts.0", "2.5 and a"),
        (DAYS, "#E1.start", '{"weekday":"Monday"}'),
        (DAYS, "it is #E1", f"it is {DAYS}"),
        ('{"result": 5}', "#E1 + 1", "5 + 1"),
        ("It weighs 12 kg. So it is said.", "about #E1", "about It weighs 12 kg. So it is said."),
        ("It weighs 12 kg.", "#E1. And #E11", "It weighs 12 kg.. And eleven"),
        ("say #E1 and #E11.value", "#E1!", "say #E1 and #E11.value!"),
    ],
)
def test_what_is_filled_in(text: str, argument: str, filled: str) -> None:
    results = {"E1": gave(text), "E11": gave("eleven")}
    assert filled_in({"a": [argument, 3]}, results) == {"a": [filled, 3]}


@pytest.mark.parametrize(
    ("text", "argument", "told"),
    [
        (NUMBER, "#E1.price + 1", "Fields: value, exact, fraction"),
        ("The price is 12.", "#E1.price", "text without fields"),
        ("note: a; value: 1; value: 2", "#E1.value", "text without fields"),
        ('{"value": 1', "#E1.value", "text without fields"),
        ("[1, 2]", "#E1.2", "a list of 2"),
        ("{}", "#E1.a.b", "no such field"),
    ],
)
def test_a_field_that_is_not_there_is_told(text: str, argument: str, told: str) -> None:
    with pytest.raises(NoField, match=told):
        filled_in(argument, {"E1": gave(text)})


def test_the_steps_that_are_named() -> None:
    assert needed({"a": "#E2.value #E1", "b": [{"c": "#E2"}], "d": 4}) == ["E2", "E1"]
    assert needed("#E0 #E1234 # E1 E1 #e1") == []


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_whatever_stands_there_is_filled_or_told(argument: Any) -> None:
    results = {name: gave("x") for name in needed(argument)}
    try:
        filled_in(argument, results)
    except NoField:
        assert results


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,8}", fullmatch=True),
        st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text("ab ", min_size=1),
        min_size=1,
    )
)
def test_fields_come_back_as_structured_content_is_written(content: dict[str, Any]) -> None:
    from mcp.types import CallToolResult

    from rostra.agents.mcp.content import result_of

    answer = CallToolResult(content=[], structured_content=content)
    results = {"E1": gave(result_of(answer, cites=False).text)}
    for name, value in content.items():
        written = value if isinstance(value, str) else json.dumps(value)
        assert filled_in(f"<#E1.{name}>", results) == f"<{written}>"


def test_long_results_are_cut() -> None:
    assert len(filled_in("#E1", {"E1": gave("x" * 9000)})) == MOST_CHARS


TYPED = fitted(
    {
        "type": "object",
        "properties": {
            "count": {"type": "integer", "minimum": 1},
            "sure": {"type": ["boolean", "null"]},
            "day": {"type": "string", "format": "date"},
            "note": {"type": "string", "minLength": 1},
            "either": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            "sizes": {"type": "array", "items": {"$ref": "#/$defs/size"}},
        },
        "$defs": {"size": {"type": "object", "properties": {"of": {"type": "number"}}}},
    }
)


@pytest.mark.parametrize(
    ("given_", "arguments", "filled"),
    [
        (NUMBER, {"count": "#E1.value"}, {"count": 12800}),
        (NUMBER, {"count": "#E1"}, {"count": 12800}),
        (NUMBER, {"sure": "#E1.exact"}, {"sure": True}),
        (NUMBER, {"sure": "#E1.fraction"}, {"sure": None}),
        (NUMBER, {"note": "#E1"}, {"note": NUMBER}),
        (NUMBER, {"note": "#E1.value"}, {"note": "12800"}),
        (NUMBER, {"either": "#E1.value"}, {"either": "12800"}),
        (
            DAYS,
            {"sizes": [{"of": "#E1.parts.1.b"}, {"of": 1}]},
            {"sizes": [{"of": 2.5}, {"of": 1}]},
        ),
        ('{"value": "2026-01-05"}', {"day": "#E1"}, {"day": "2026-01-05"}),
        # A sentence stays what it is: the schema refuses it.
        ("About 12 of them.", {"count": "#E1"}, {"count": "About 12 of them."}),
        (NUMBER, {"count": 3, "unknown": "#E1.value"}, {"count": 3, "unknown": "12800"}),
    ],
)
def test_a_placeholder_becomes_what_the_schema_wants(
    given_: str, arguments: dict[str, Any], filled: dict[str, Any]
) -> None:
    assert filled_in(arguments, {"E1": gave(given_)}, TYPED) == filled


ADMITTING = admitting(TYPED, slot_of(["E1", "E12"]))


def test_a_schema_that_admits_placeholders_takes_all_that_it_took() -> None:
    whole = Draft202012Validator(ADMITTING)
    strict = Draft202012Validator(TYPED)
    for good in (
        {"count": 3, "sure": None, "day": "2026-01-05", "note": "x", "either": 1},
        {"sizes": [{"of": 2.5}]},
    ):
        assert strict.is_valid(good)
        assert whole.is_valid(good)
    for slots in ({"count": "#E1"}, {"sure": "#E12.exact"}, {"sizes": [{"of": "#E1.parts.1.b"}]}):
        assert whole.is_valid(slots)
        assert not strict.is_valid(slots)
    for bad in (
        {"count": "#E2"},
        {"count": "#E121"},
        {"count": "#E"},
        {"count": "12"},
        {"count": "#E1 + 1"},
        {"sizes": "#E1"},
    ):
        assert not whole.is_valid(bad)
    # Text of a form is checked by grammars alone.
    assert len(ADMITTING["properties"]["day"]["anyOf"]) == 2
    assert ADMITTING["properties"]["note"] == TYPED["properties"]["note"]
