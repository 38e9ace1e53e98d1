"""Constrained texts under tight budgets: they parse, are valid, and end in time, always."""

import json
import random
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rostra.core import (
    AnyJson,
    Choice,
    Constraint,
    Ebnf,
    Evidence,
    JsonSchema,
    Quotes,
    Regex,
)
from rostra.serving.errors import InvalidGrammar
from tests.unit.serving.grammar.conftest import EOS, allowed, run, spell

SCHEMAS: list[Any] = [
    {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer", "minimum": -5, "maximum": 300},
            "tags": {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 5},
        },
        "required": ["name", "age"],
        "additionalProperties": False,
    },
    {
        "type": "object",
        "properties": {
            "a": {"type": "string", "minLength": 2, "maxLength": 6},
            "n": {"type": "number", "exclusiveMinimum": 0.5, "maximum": 2.25},
        },
        "required": ["n"],
    },
    {
        "$defs": {
            "tree": {
                "type": "object",
                "properties": {
                    "value": {"type": "integer"},
                    "kids": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
                },
                "required": ["value", "kids"],
                "additionalProperties": False,
            }
        },
        "$ref": "#/$defs/tree",
    },
    {
        "anyOf": [
            {"type": "string", "pattern": "^[a-z]{3}-\\d+$"},
            {"const": {"x": [1, "é\n"]}},
            {"type": "string", "format": "date-time"},
        ]
    },
    {"type": "string", "maxLength": 60},
    {"type": "array", "items": {"type": "string", "pattern": '^[^"]{0,40}$'}, "minItems": 2},
    {"type": "array", "items": {"enum": ["red", "green", 3, None]}, "minItems": 1},
    {
        "oneOf": [
            {
                "type": "object",
                "properties": {"kind": {"const": "a"}, "x": {"type": "integer"}},
                "required": ["kind"],
            },
            {"type": "object", "properties": {"kind": {"const": "b"}}, "required": ["kind"]},
        ]
    },
    {
        "type": "object",
        "patternProperties": {"^x": {"type": "integer"}},
        "additionalProperties": {"type": "string"},
        "minProperties": 1,
        "maxProperties": 3,
    },
    {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]},
            {"properties": {"a": {"minimum": 0}, "b": {"type": "null"}}, "required": ["b"]},
        ]
    },
    {},
]  # fmt: skip


@pytest.mark.parametrize("index", range(len(SCHEMAS)))
def test_fifty_texts_of_each_schema_are_valid_and_fit(compiled, vocabulary, index) -> None:
    schema = SCHEMAS[index]
    grammar = compiled(JsonSchema(json.dumps(schema)))
    validator = Draft202012Validator(schema)
    for seed in range(50):
        rng = random.Random(seed)
        most = grammar.shortest + rng.choice([0, 0, 1, 2, 3, 5, 8, 20, 60])
        taken = run(grammar.start(most, jump_forward=seed % 2 == 0), vocabulary, rng)
        assert len(taken) <= most
        assert EOS not in taken
        validator.validate(json.loads(spell(vocabulary, taken)))


def test_a_budget_below_the_shortest_text_is_refused_before_it_starts(compiled) -> None:
    grammar = compiled(JsonSchema(json.dumps(SCHEMAS[0])))
    with pytest.raises(InvalidGrammar, match="max_tokens") as refused:
        grammar.start(grammar.shortest - 1)
    assert refused.value.details["field"] == "max_tokens"


@pytest.mark.parametrize(
    ("constraint", "is_right"),
    [
        (Regex(r"[a-c]+(x|y){2,40}z?"), lambda t: re.fullmatch(r"[a-c]+(x|y){2,40}z?", t)),
        (Choice(("yes", "no", "maybe so")), lambda t: t in ("yes", "no", "maybe so")),
        (Ebnf('root ::= "(" root ")" | [0-9]+'), lambda t: re.fullmatch(r"\(*\d+\)*", t)),
        (Ebnf('root ::= root "+" [a-c] | [a-c]'), lambda t: re.fullmatch(r"[abc](\+[abc])*", t)),
        (AnyJson(), lambda t: isinstance(json.loads(t), dict)),
        (Evidence(sentences=120, most=4),
         lambda t: len(set_ := json.loads(t)) <= 4 and all(1 <= each <= 120 for each in set_)),
        (Evidence(sentences=0), lambda t: t == "[]"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_other_constraints_hold_too(compiled, vocabulary, constraint: Constraint, is_right) -> None:
    grammar = compiled(constraint)
    for seed in range(20):
        rng = random.Random(seed)
        most = grammar.shortest + rng.choice([0, 1, 2, 5, 30])
        text = spell(vocabulary, run(grammar.start(most), vocabulary, rng, most))
        assert is_right(text), text


def test_every_quote_is_a_substring_of_a_passage(compiled, vocabulary) -> None:
    passages = ('The quick "brown" fox.\nIt jumps\\', "Éa 日本 lazy dog 😀", "aaaaaab")
    grammar = compiled(Quotes(passages, most=3))
    seen: set[str] = set()
    for seed in range(60):
        rng = random.Random(seed)
        most = grammar.shortest + rng.choice([0, 2, 3, 10, 40, 80])
        quotes = json.loads(spell(vocabulary, run(grammar.start(most), vocabulary, rng, most)))
        assert len(quotes) <= 3
        for quote in quotes:
            assert quote and any(quote in passage for passage in passages)
        seen.update(quotes)
    assert len(seen) > 10


def test_no_passages_leave_the_empty_list(compiled, vocabulary) -> None:
    grammar = compiled(Quotes(("", ""), most=3))
    assert spell(vocabulary, run(grammar.start(10), vocabulary, random.Random(0))) == "[]"


@pytest.mark.parametrize("index", [0, 2, 3, 7])
def test_the_mask_is_what_the_grammar_says(compiled, vocabulary, index) -> None:
    """The guard's network is an independent reading of the grammar: an oracle for masks."""
    from rostra.serving.grammar.follower import Follower, NoWay, Tables

    grammar = compiled(JsonSchema(json.dumps(SCHEMAS[index])))
    for seed in range(4):
        rng = random.Random(seed)
        matcher = grammar.start(1000, jump_forward=False)
        follower = Follower.start(Tables(grammar.automaton))
        for _ in range(25):
            if matcher.finished:
                break
            mask = set(allowed(matcher, vocabulary))
            for token, spelled in enumerate(vocabulary.tokens):
                if not spelled:
                    continue
                try:
                    follower.after(spelled)
                    possible = True
                except NoWay:
                    possible = False
                assert possible == (token in mask), (token, spelled)
            assert follower.complete == (EOS in mask)
            token = rng.choice(sorted(mask - {EOS}) or [EOS])
            for each in matcher.take(token):
                follower = follower.after(vocabulary.tokens[each])


def test_forced_text_is_appended_without_sampling(compiled, vocabulary) -> None:
    schema = {
        "type": "object",
        "properties": {"arguments": {"const": "hello world"}, "b": {"type": "boolean"}},
        "required": ["arguments", "b"],
        "additionalProperties": False,
    }
    grammar = compiled(JsonSchema(json.dumps(schema)))
    matcher = grammar.start(100)
    first = allowed(matcher, vocabulary)
    taken = matcher.take(first[0])
    assert len(taken) > 5
    alone = grammar.start(100, jump_forward=False)
    assert alone.take(first[0]) == [first[0]]


def test_what_is_not_allowed_is_refused_and_changes_nothing(compiled, vocabulary) -> None:
    matcher = compiled(Choice(("yes", "no"))).start(5)
    before = allowed(matcher, vocabulary)
    with pytest.raises(ValueError, match="not allowed"):
        matcher.take(ord("q"))
    with pytest.raises(ValueError, match="before the text is complete"):
        matcher.take(EOS)
    assert allowed(matcher, vocabulary) == before


def test_a_text_that_may_end_or_go_on_leaves_it_to_the_model(compiled, vocabulary) -> None:
    grammar = compiled(Regex("a+"))
    matcher = grammar.start(3, jump_forward=False)
    assert matcher.take(ord("a")) == [ord("a")]
    assert EOS in allowed(matcher, vocabulary)
    assert matcher.take(EOS) == []
    assert matcher.finished
    full = grammar.start(1)
    full.take(ord("a"))
    assert full.finished
