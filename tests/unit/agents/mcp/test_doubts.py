"""Schemas that are valid and still hold nothing, or hold everything off."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.agents.mcp.doubts import doubt
from rostra.agents.mcp.listing import ServerTool
from rostra.agents.mcp.pins import ToolState
from rostra.agents.tools.schema import problems, unusable
from rostra.agents.tools.tool import Effect, ToolInfo


def of(a: Any, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": a}, **more}


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (of({"type": "string", "pattern": "("}), "pattern at /properties/a: '(' cannot be read"),
        (of({"pattern": "(" * 50_000}), "cannot be read"),
        (
            {"type": "object", "patternProperties": {"[": {}}},
            "patternProperties at /: '[' cannot be read",
        ),
        (of({"minLength": 5, "maxLength": 2}), "/properties/a: minLength 5, maxLength 2"),
        (of({"items": {"minItems": 3, "maxItems": 0}}), "/properties/a/items: minItems 3"),
        (of({"minimum": 2, "maximum": 1}), "minimum 2, maximum 1"),
        (of({"exclusiveMinimum": 1, "maximum": 1}), "exclusiveMinimum 1, maximum 1"),
        (of({"minimum": 1, "exclusiveMaximum": 1}), "minimum 1, exclusiveMaximum 1"),
        (of({"enum": []}), "/properties/a: enum is empty"),
        (of({"type": "string", "enum": [1, 2]}), "no value of enum is of type string"),
        (of({"type": ["null", "integer"], "const": "x"}), "const is not of type null or integer"),
        (of({}, minProperties=2, maxProperties=1), "at /: minProperties 2, maxProperties 1"),
        (of(False, required=["a"]), "at /: 'a' is required and never allowed"),
        (
            {"type": "object", "required": ["b"], "additionalProperties": False},
            "at /: 'b' is required and never allowed",
        ),
        (of({"anyOf": [{"type": "string"}, {"enum": []}]}), "/properties/a/anyOf/1: enum"),
    ],
)
def test_what_cannot_hold_is_said(schema: dict[str, Any], why: str) -> None:
    assert unusable(schema) is None
    said = doubt(schema)
    assert said is not None
    assert why in said
    info = ToolInfo("t", "", schema, Effect.READ, "peer")
    assert ServerTool(info, "t", "", ToolState.NEW).unenforced is not None


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        of({"type": "string", "pattern": "^[a-z]+$", "minLength": 2, "maxLength": 2}),
        of({"type": "string", "pattern": r"(?<year>\d{4})"}),
        of({"type": "number", "minimum": 1, "maximum": 1}),
        of({"type": "number", "enum": [1]}),
        of({"type": ["string", "null"], "enum": ["x", None, 5]}),
        of({"default": {"pattern": "("}, "examples": [{"enum": []}]}),
        {"type": "object", "properties": {"enum": {}, "pattern": {}, "required": {}}},
        of(False),
        of({}, required=["a", "other"]),
        {
            "type": "object",
            "required": ["x1"],
            "patternProperties": {"^x": {}},
            "additionalProperties": False,
        },
    ],
)
def test_of_others_nothing_is_said(schema: dict[str, Any]) -> None:
    assert doubt(schema) is None


COUNT = st.integers(0, 3)
PART = st.fixed_dictionaries(
    {"type": st.sampled_from(["string", "integer", "boolean"])},
    optional={
        "minLength": COUNT,
        "maxLength": COUNT,
        "minimum": COUNT,
        "maximum": COUNT,
        "exclusiveMinimum": COUNT,
        "exclusiveMaximum": COUNT,
        "enum": st.lists(st.sampled_from(["", "a", 1, 2, True]), max_size=2),
    },
)


@given(PART, st.sampled_from(["", "a", "ab", "abc", 0, 1, 2, 3, True]))
def test_what_some_value_satisfies_is_not_doubted(part: dict[str, Any], value: Any) -> None:
    schema = of(part, required=["a"])
    # Bounds of another type than the value's hold nothing off; they are doubted all the same.
    bounds = {"minLength", "maxLength"} if not isinstance(value, str) else set()
    if isinstance(value, str | bool):
        bounds |= {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
    if not bounds & set(part) and not problems(schema, {"a": value}):
        assert doubt(schema) is None
