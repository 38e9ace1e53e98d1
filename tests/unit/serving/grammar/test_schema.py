"""Schemas: what is enforced, what is refused and by which name, what is never fetched."""

import json
import time
from typing import Any

import pytest

from rostra.core import JsonSchema
from rostra.serving.errors import InvalidGrammar, UnsupportedSchema
from rostra.serving.grammar.ebnf import write
from rostra.serving.grammar.expr import pruned
from rostra.serving.grammar.formats import UNENFORCED
from rostra.serving.grammar.schema import ENFORCED, REFUSED, schema_grammar
from rostra.serving.grammar.validate import validate_afterwards


def refusal(schema: Any) -> UnsupportedSchema:
    with pytest.raises(UnsupportedSchema) as refused:
        schema_grammar(json.dumps(schema), strict=True)
    return refused.value


@pytest.mark.parametrize(
    ("schema", "keyword", "pointer"),
    [
        ({"type": "array", "uniqueItems": True}, "uniqueItems", "/"),
        ({"properties": {"a": {"type": "array", "contains": {}}}}, "contains", "/properties/a"),
        ({"not": {"required": ["a"]}}, "not", "/"),
        ({"if": {"type": "string"}, "then": {"maxLength": 3}}, "if", "/"),
        ({"type": "number", "multipleOf": 0.3}, "multipleOf", "/"),
        ({"dependentRequired": {"a": ["b"]}}, "dependentRequired", "/"),
        ({"$defs": {"x": {"unevaluatedItems": False, "type": "array"}}, "$ref": "#/$defs/x"},
         "unevaluatedItems", "/$defs/x"),
        ({"oneOf": [{"type": "integer"}, {"minimum": 2}]}, "oneOf", "/"),
        ({"type": "string", "pattern": r"^(a)\1$"}, "pattern", "/"),
        ({"type": "string", "maxLength": 10**9}, "maxLength", "/"),
    ],
)  # fmt: skip
def test_what_cannot_be_enforced_is_refused_by_name(schema, keyword, pointer, compiled) -> None:
    error = refusal(schema)
    assert (error.details["keyword"], error.details["pointer"]) == (keyword, pointer)
    assert keyword in error.message and error.status == 400
    # Not strict: left out of the grammar.
    assert compiled(JsonSchema(json.dumps(schema), strict=False)).shortest >= 1


def test_what_is_left_out_is_found_afterwards() -> None:
    schema = json.dumps({"type": "array", "uniqueItems": True})
    assert validate_afterwards(schema, "[1, 2]") == []
    assert "non-unique" in validate_afterwards(schema, "[1, 1]")[0]
    assert "no JSON" in validate_afterwards(schema, "[1,")[0]


def test_keywords_are_in_one_table_only() -> None:
    assert not ENFORCED.keys() & REFUSED.keys()
    assert all(REFUSED.values())


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ("{", "no JSON"),
        ("[]", "JSON object"),
        ('{"type": "strin"}', "not valid"),
        ('{"minimum": NaN}', "no JSON"),
        ('{"$ref": "https://example.com/schema.json"}', "never fetched|not part"),
        ('{"$ref": "#/$defs/missing"}', "nothing is"),
        ('{"$ref": "#"}', "back to itself"),
        ('{"type": "array", "minItems": 1000000000}', "too long"),
        ('{"type": "string", "minLength": 1000000000}', "too long"),
    ],
)
def test_broken_schemas_are_refused(schema: str, why: str) -> None:
    with pytest.raises(InvalidGrammar) as refused:
        schema_grammar(schema, strict=True)
    assert any(each in f"{refused.value.message} {refused.value.hint}" for each in why.split("|"))


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"type": "string", "enum": [1, 2]},
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"allOf": [{"type": "string"}, {"type": "null"}]},
        {"type": "object", "required": ["a"], "properties": {"a": False}},
        {"type": "array", "minItems": 2, "maxItems": 1},
        {"$defs": {"n": {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}},
                         "required": ["n"]}}, "$ref": "#/$defs/n"},
    ],
)  # fmt: skip
def test_schemas_without_a_bounded_instance_are_refused(schema: Any, vocabulary) -> None:
    from rostra.serving.grammar.worker import compile_constraint

    with pytest.raises(InvalidGrammar, match="bounded"):
        compile_constraint(JsonSchema(json.dumps(schema)), vocabulary)


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        ({"type": "integer", "minimum": -3, "exclusiveMaximum": 11}, [-3, 0, 10], [-4, 11, 2.5]),
        ({"type": "number", "minimum": 0.25, "maximum": 3}, [0.25, 1, 2.999, 3], [0.2, 3.01, -1]),
        ({"type": "number", "multipleOf": 0.01}, [1.25, 3], [0.125]),
        ({"type": "string", "minLength": 2, "maxLength": 3}, ["ab", 'é"\n'], ["a", "abcd", 1]),
        ({"type": "string", "pattern": "b", "maxLength": 2}, ["b", "ab"], ["a", "aab"]),
        ({"type": "string", "pattern": '^[^x"]{0,50}$'}, ["", "a\\é" * 16], ["ax", '"', "a" * 51]),
        ({"type": "string", "format": "date"}, ["2024-02-29"], ["2023-02-29", "2024-13-01"]),
        ({"enum": ["a", 2, None, {"x": [1]}]}, ["a", 2, None, {"x": [1]}], ["b", 3, {"x": []}]),
        ({"type": ["string", "null"]}, ["x", None], [1, []]),
        ({"prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False,
          "minItems": 1, "type": "array"}, [[1], [1, "a"]], [[], ["a"], [1, "a", 2]]),
        ({"type": "object", "properties": {"a": {"type": "integer"}},
          "additionalProperties": {"type": "string"}},
         [{}, {"a": 1}, {"b": "x"}, {"a": 1, "ab": "x", "": "y"}], [{"a": "x"}, {"b": 1}]),
        ({"type": "object", "propertyNames": {"pattern": "^[a-z]+$"}}, [{"a": 1}], [{"A": 1}]),
        ({"type": "object", "minProperties": 2, "properties": {"a": {}, "b": {}, "c": {}},
          "additionalProperties": False}, [{"a": 1, "c": 1}], [{}, {"a": 1}, {"d": 1}]),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}], "enum": [1, "a", True]},
         [1, "a"], [True, 2]),
        ({"type": "integer", "not": {"type": "string"}}, [1], ["a"]),
        ({"$ref": "#/$defs/a", "maximum": 5, "$defs": {"a": {"type": "integer"}}}, [5], [6, "a"]),
    ],
)  # fmt: skip
def test_instances_are_told_apart(schema, valid, invalid, compiled) -> None:
    grammar = compiled(JsonSchema(json.dumps(schema)))
    for value in valid:
        assert grammar.accepts(json.dumps(value, ensure_ascii=False)), value
    for value in invalid:
        assert not grammar.accepts(json.dumps(value, ensure_ascii=False)), value


@pytest.mark.parametrize("schema", [{"maxLength": 300}, {"pattern": '^[^"]{0,300}$'}])
def test_a_long_count_of_characters_is_no_chain_of_states(schema) -> None:
    written = write(pruned(schema_grammar(json.dumps({"type": "string"} | schema), strict=True)))
    assert written.bounds_left
    assert len(written.text) < 1000


def test_a_key_cannot_be_declared_and_given_again_under_another_spelling(compiled) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    grammar = compiled(JsonSchema(json.dumps(schema)))
    assert grammar.accepts('{"a": 1, "b": 2}')
    assert not grammar.accepts('{"a": 1, "a": "x"}')
    assert not grammar.accepts('{"a": 1, "\\u0061": "x"}')


def test_strings_have_no_half_surrogates_and_no_raw_controls(compiled) -> None:
    grammar = compiled(JsonSchema('{"type": "string"}'))
    for text, expected in (
        ('"\\ud83d\\ude00"', True),
        ('"\\ud83d"', False),
        ('"\\ude00"', False),
        ('"a\nb"', False),
        ('"a\\nb"', True),
    ):
        assert grammar.accepts(text) == expected


def test_deep_recursion_has_an_end() -> None:
    nested: Any = {"type": "null"}
    for _ in range(60):
        nested = {"type": "array", "items": nested, "minItems": 1}
    grammar = pruned(schema_grammar(json.dumps(nested), strict=True))
    assert len(grammar.rules) > 60


def test_a_product_of_alternatives_is_refused_in_time() -> None:
    schema = {"allOf": [{"anyOf": [{"minLength": i}, {"maxLength": 99 + i}]} for i in range(30)]}
    begun = time.monotonic()
    with pytest.raises(InvalidGrammar, match=r"combinations|too large|deeply"):
        schema_grammar(json.dumps(schema), strict=True)
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize("name", sorted(UNENFORCED))
def test_a_format_that_cannot_be_kept_is_refused(name: str) -> None:
    refused = refusal({"type": "object", "properties": {"x": {"type": "string", "format": name}}})
    assert refused.details["keyword"] == "format"
    assert name in refused.message


def test_a_loose_format_is_checked_afterwards(compiled: Any) -> None:
    schema = json.dumps({"type": "string", "format": "regex"})
    assert compiled(JsonSchema(schema, strict=False)).accepts('"("')
    assert validate_afterwards(schema, '"("')
    assert not validate_afterwards(schema, '"(a)"')


def test_a_format_of_no_standard_asserts_nothing(compiled: Any) -> None:
    grammar = compiled(JsonSchema(json.dumps({"type": "string", "format": "colour"})))
    assert grammar.accepts('"anything"')
