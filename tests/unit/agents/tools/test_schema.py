"""Schemas of strangers: what a grammar holds, and checks that end."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from rostra.agents.tools import schema as schema_module
from rostra.agents.tools.schema import enforceable, problems, unusable

ROOT = Path(__file__).parents[4]
BFCL = ROOT.parent / "shared" / "data" / "tools" / "bfcl"

Schema = dict[str, Any]


def of(**properties: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": [*properties]}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        of(a={"type": "string", "maxLength": 5, "pattern": "^a(b|c)*$"}),
        of(a={"enum": [1, "x", None]}, b={"type": ["integer", "null"], "multipleOf": 0.01}),
        of(a={"$ref": "#/$defs/n"}) | {"$defs": {"n": of(a={"$ref": "#/$defs/n"})}},
        of(contains={"type": "string"}, oneOf={"const": {"not": 1, "if": 2}}),
        of(a={"uniqueItems": False}, b={"type": "array", "uniqueItems": True, "maxItems": 1}),
    ],
)
def test_what_a_grammar_holds(schema: Schema) -> None:
    assert enforceable(schema) is None


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (of(a={"contains": {"type": "string"}}), "contains at /properties/a"),
        (of(a={"items": {"not": {}}}), "not at /properties/a/items"),
        ({"oneOf": [of(a={}), of(b={})]}, "oneOf at /"),
        ({"allOf": [{"if": {}, "then": False}]}, "if at /allOf/0"),
        (of(a={"uniqueItems": True}), "uniqueItems at /properties/a"),
        (of(a={"multipleOf": 7}), "multipleOf at /properties/a"),
        (of(a={"pattern": r"\bword"}), "pattern at /properties/a"),
        (of(a={"pattern": r"^(?=x)(a)\1$"}), "pattern at /properties/a"),
        ({"$defs": {"x": {"dependentSchemas": {"a": {}}}}}, "dependentSchemas at /$defs/x"),
        ({"unevaluatedProperties": False}, "unevaluatedProperties at /"),
    ],
)
def test_what_a_grammar_cannot_hold_is_still_usable(schema: Schema, why: str) -> None:
    assert (enforceable(schema) or "").startswith(why)
    assert unusable(schema) is None


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ([], "no JSON object"),
        ({"type": "array"}, "of type 'array'"),
        ({"type": "objekt"}, "of type 'objekt'"),
        (of(a={"type": "strin"}), "not valid at /properties/a/type"),
        (of(a={"minLength": -1}), "not valid"),
        (of(a={"$ref": "https://evil.test/schema.json"}), "leaves the schema"),
        (of(a={"default": float}), "no JSON"),
        (of(a={"description": "x" * 300_000}), "larger"),
    ],
)
def test_what_no_call_can_be_checked_against(schema: Any, why: str) -> None:
    assert why in (unusable(schema) or "")
    assert enforceable(schema) == unusable(schema)


def test_depth_is_bounded_without_recursion() -> None:
    schema: Schema = {}
    for _ in range(100_000):
        schema = {"not": schema}
    assert "deeper" in (unusable(schema) or "")
    while schema:
        schema = schema["not"]  # so that the garbage collector need not recurse


def test_problems_name_the_place_and_what_is_wrong() -> None:
    schema = of(city={"type": "string"}, days={"type": "integer", "maximum": 7}) | {
        "additionalProperties": False
    }
    assert problems(schema, {"city": "Rome", "days": 3}) == []
    wrong = problems(schema, {"city": 1, "days": 9, "unit": "c"})
    assert len(wrong) == 3
    assert any(each.startswith("arguments.city: ") and "string" in each for each in wrong)
    assert any(each.startswith("arguments.days: ") and "7" in each for each in wrong)
    assert any("unknown arguments 'unit'; known: 'city', 'days'" in each for each in wrong)
    assert "required" in problems(schema, {"city": "Rome"})[0]
    assert problems({}, "no object")


@pytest.mark.parametrize(
    ("schema", "arguments"),
    [
        (of(a={"type": "string", "pattern": "^(a|a)*$"}), {"a": "a" * 60 + "!"}),
        ({"patternProperties": {"^(a|a)*$": False}}, {"a" * 60 + "!": 1}),
        (
            {"patternProperties": {"^(a|a)*$": {}}, "additionalProperties": False},
            {"a" * 60 + "!": 1},
        ),
        (
            {"$ref": "#/$defs/s0"}
            | {
                "$defs": {
                    f"s{at}": {"allOf": [{"$ref": f"#/$defs/s{at + 1}"}] * 2} for at in range(40)
                }
                | {"s40": {}}
            },
            {},
        ),
        (
            {"properties": {"n": {"allOf": [{"$ref": "#"}] * 3}}},
            json.loads('{"n":' * 30 + "{}" + "}" * 30),
        ),
    ],
)
def test_checks_end_whatever_the_schema_does(schema: Schema, arguments: Any) -> None:
    """Each of these takes longer than a day without a bound; the test's own timeout would tell."""
    assert unusable(schema) is None
    assert any("in time" in each for each in problems(schema, arguments))


@pytest.mark.parametrize(("pauses", "found"), [(1, []), (2, ["in time"])])
def test_a_pause_that_is_not_the_checks_costs_no_call(
    monkeypatch: pytest.MonkeyPatch, pauses: int, found: list[str]
) -> None:
    """A garbage collection of a large process takes longer than a check may."""
    times = iter([0.0, 100.0] * pauses)
    monkeypatch.setattr(schema_module, "thread_time", lambda: next(times, 0.0))
    told = problems({"properties": {"a": {"type": "string"}}}, {"a": "x"})
    assert len(told) == len(found)
    assert all(word in line for word, line in zip(found, told, strict=True))


@pytest.mark.parametrize(
    "schema", [{"$ref": "#"}, {"$ref": "#/$defs/none"}, {"allOf": [{"$ref": "#"}]}]
)
def test_references_that_lead_nowhere_are_said(schema: Schema) -> None:
    assert "cannot be evaluated" in problems(schema, {})[0]


def test_patterns_that_python_cannot_read_are_left_to_the_tool() -> None:
    assert problems(of(a={"pattern": r"\p{Lu}[["}), {"a": "x"}) == []


NAMES = st.sampled_from("abc")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "bb"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
SCHEMAS = st.recursive(
    st.sampled_from(
        [
            *({"type": kind} for kind in ("string", "integer", "null", "array", "object")),
            *({"minimum": 1}, {"maxLength": 1}, {"pattern": "^b"}, {"const": "a"}, {}, True, False),
        ]
    ),
    lambda inner: (
        st.builds(dict, properties=st.dictionaries(NAMES, inner, max_size=2))
        | st.builds(dict, additionalProperties=inner, properties=st.dictionaries(NAMES, inner))
        | st.builds(
            dict,
            patternProperties=st.dictionaries(st.sampled_from(["^a", "b|c"]), inner, max_size=2),
            additionalProperties=inner,
        )
        | st.builds(dict, anyOf=st.lists(inner, min_size=1, max_size=3))
        | st.builds(dict, items=inner)
        | st.builds(lambda each: {"not": each}, inner)
    ),
    max_leaves=8,
)


@given(SCHEMAS.filter(lambda schema: isinstance(schema, dict)), VALUES)
def test_checks_agree_with_jsonschema(schema: Schema, value: Any) -> None:
    if unusable(schema) is not None:
        return
    oracle = Draft202012Validator({"type": "object", **schema})
    assert bool(problems(schema, value)) is not oracle.is_valid(value)


@pytest.mark.skipif(not BFCL.is_dir(), reason=f"no tools in {BFCL}")
def test_schemas_of_a_benchmark_are_read() -> None:
    """Its types are Python's (`dict`, `float`), so most are no schemas: said, not raised."""
    for path in sorted(BFCL.rglob("*.json*"))[:3]:
        for line in path.read_text().splitlines()[:100]:
            for function in json.loads(line).get("function", []) if line.startswith("{") else []:
                why = enforceable(function["parameters"])
                assert why is None or isinstance(why, str)
