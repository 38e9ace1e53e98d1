"""The step format: what the grammar admits is a step, and no words of a model raise."""

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.agents.events import Decided, Effect, encode_event
from rostra.agents.scope import Reply, Sentence, Step
from rostra.agents.strategies.schemas import fitted
from rostra.agents.strategies.steps import (
    MOST_EVIDENCE,
    LaidOut,
    parse_step,
    read_marked,
    read_native,
    read_step,
    step_constraint,
)
from rostra.agents.tools.tool import ToolInfo
from rostra.core import JsonSchema, ToolCall
from rostra.serving.grammar.schema import schema_grammar
from tests.unit.agents.strategies.lab import act, final, info
from tests.unit.serving.grammar.conftest import Compiled, make_vocabulary, run, spell

SENTENCES = [Sentence(number, f"Sentence {number}.", "c") for number in range(1, 13)]
TREE = {
    "type": "object",
    "properties": {"node": {"$ref": "#/$defs/node"}},
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
}
ODD: list[Any] = [
    {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 9}}},
    {"type": "object", "properties": {"when": {"type": "string", "format": "date"}}},
    {"type": "object", "properties": {"kind": {"enum": ["a", "b"]}}, "required": ["kind"]},
    {"type": "object", "properties": {"x": {"type": ["string", "null"]}}, "required": ["x"]},
    {"type": "object", "properties": {"x": {"anyOf": [{"type": "integer"}, {"const": "all"}]}}},
    {"type": "object", "properties": {"ids": {"type": "array", "items": {"type": "integer"}}}},
    {"type": "object", "properties": {"code": {"type": "string", "pattern": "^[A-Z]{2}$"}}},
    {"type": "object"},
    {},
    TREE,
]
UNENFORCEABLE: list[Any] = [
    {"type": "object", "properties": {"x": {"type": "array", "contains": {"const": 1}}}},
    {"type": "object", "properties": {"x": {"not": {"type": "string"}}}},
    {"type": "object", "properties": {"x": {"type": "string", "pattern": "(?=a)b"}}},
    {"type": "object", "properties": {"x": {"type": "number", "multipleOf": 7}}},
    {"type": "object", "if": {"required": ["a"]}, "then": {"required": ["b"]}},
    {"type": "object", "properties": {"x": {"$ref": "https://example.org/x.json"}}},
    {"type": "object", "allOf": [{"required": ["a"]}, {"required": ["b"]}]},
    {"type": "object", "required": ["undeclared"]},
    {"type": "object", "properties": {"x": {"type": "string", "minLength": 5, "maxLength": 2}}},
    {"type": "object", "properties": {"x": {"type": "integer", "minimum": 5, "maximum": 2}}},
    {"type": "object", "properties": {"x": {"type": "nonsense"}}},
    {"type": "array"},
    "no schema",
    None,
]


KEYWORDS = (
    *("type", "properties", "items", "required", "enum", "const", "anyOf", "oneOf", "allOf", "not"),
    *("pattern", "format", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"),
    *("prefixItems", "additionalProperties", "$ref"),
)
ODD_WORDS = (
    *("object", "array", "string", "integer", "number", "boolean", "null"),
    *("a", "^a$", "#/properties/a", "#", "date"),
)


def tool(schema: Any, number: int = 0) -> ToolInfo:
    return ToolInfo(f"tool_{number}", "d", schema, Effect.READ)


TOOLS = [tool(schema, number) for number, schema in enumerate(ODD)]


@pytest.mark.parametrize("schema", [*ODD, *UNENFORCEABLE])
def test_every_tool_fits_a_grammar(schema: Any) -> None:
    grammar = schema_grammar(step_constraint([tool(schema)], SENTENCES).schema, strict=True)
    assert grammar.rules


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        (r"^\(?[0-9]\)?$", True),
        (r"^\++\*+$", True),
        (r"^a{2}\+$", True),
        (r"^(?:a|b)+?$", True),
        (r"^(?=a)b$", False),
        (r"^(?P<x>a)$", False),
        (r"^a++$", False),
        (r"^a{2}+$", False),
        (r"^\\(?=a)$", False),
        (r"^\ba$", False),
        (r"^a\\\b$", False),
    ],
)
def test_regular_patterns_are_kept(pattern: str, kept: bool) -> None:
    schema = {"type": "object", "properties": {"x": {"type": "string", "pattern": pattern}}}
    assert ("pattern" in fitted(schema)["properties"]["x"]) == kept
    assert schema_grammar(step_constraint([tool(schema)], SENTENCES).schema, strict=True).rules


@given(st.data())
def test_any_json_at_all_as_a_schema_fits_a_grammar(data: st.DataObject) -> None:
    words = [*KEYWORDS, *ODD_WORDS]
    scalar = st.none() | st.booleans() | st.integers(-3, 9) | st.floats() | st.sampled_from(words)
    value = st.recursive(
        scalar,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(words), inner, max_size=4)
        ),
        max_leaves=12,
    )
    schema = data.draw(st.dictionaries(st.sampled_from(words), value, max_size=5))
    try:
        text = json.dumps(fitted(schema), allow_nan=False)
    except ValueError:
        return  # NaN in a constant: no JSON to begin with.
    schema_grammar(text, strict=True)


def test_whatever_the_grammar_admits_is_a_step() -> None:
    vocabulary = make_vocabulary()
    rng = random.Random(5)
    ended: set[str] = set()
    for sentences in ([], SENTENCES, SENTENCES[::3]):
        for tools in ([], TOOLS[:6]):
            compiled = Compiled(step_constraint(tools, sentences), vocabulary)
            for most in (60, 200, 200, 500):
                text = spell(vocabulary, run(compiled.start(most), vocabulary, rng))
                step = parse_step(text, tools, sentences, key="1")
                assert step.error is None, text
                ended.add("calls" if step.calls else "claims" if _claims(step) else "none")
    assert {"calls", "none"} <= ended


def _claims(step: Step) -> bool:
    return step.final is not None and bool(step.final.claims)


def test_an_answer_that_is_laid_out_has_all_that_was_found_or_nothing() -> None:
    laid_out = LaidOut(quoted="Found:", computed="Computed:")
    some = SENTENCES[: MOST_EVIDENCE + 1 : 2]
    numbers = [sentence.number for sentence in some]
    compiled = Compiled(step_constraint(TOOLS, some, laid_out=laid_out), make_vocabulary())
    assert compiled.accepts(act(("tool_0", {"n": 3})))
    assert compiled.accepts(final(("Computed:", numbers)))
    for wrong in (
        final(),
        final(("Computed:", numbers[1:])),
        final(("Computed:", [])),
        final(("Found:", numbers)),
        final(("Of my own:", numbers)),
        final(("Computed:", numbers), ("Computed:", numbers)),
    ):
        assert not compiled.accepts(wrong), wrong
    nothing = Compiled(step_constraint(TOOLS, [], laid_out=laid_out), make_vocabulary())
    assert nothing.accepts(final())
    assert not nothing.accepts(final(("Computed:", [])))
    stored = [replace(one, document_id="d", start=0, end=1) for one in SENTENCES]
    many = Compiled(step_constraint([], stored, laid_out=laid_out), make_vocabulary())
    first = [sentence.number for sentence in SENTENCES[:MOST_EVIDENCE]]
    assert many.accepts(final(("Found:", first)))
    assert not many.accepts(final(("Computed:", first)))


@pytest.mark.parametrize(
    "text",
    [
        act(("tool_0", {"n": 3})),
        act(("tool_1", {"when": "2024-02-29"}), ("tool_7", {"any": [1, {"x": None}]})),
        final(("It is so.", [1, 12]), ("And so.", [])),
        final(),
    ],
)
def test_good_steps_are_admitted_and_read(text: str) -> None:
    compiled = Compiled(step_constraint(TOOLS, SENTENCES), make_vocabulary())
    assert compiled.accepts(text)
    assert parse_step(text, TOOLS, SENTENCES).error is None


@pytest.mark.parametrize(
    "text",
    [
        act(("tool_0", {"n": 10})),
        act(("tool_99", {})),
        act(*[("tool_0", {})] * 5),
        act(),
        final(("So.", [13])),
        final(("So.", [0])),
        '{"thought": "both", "action": [{"tool": "tool_0", "args": {}}], "final": {"claims": []}}',
        '{"thought": "none"}',
    ],
)
def test_bad_steps_are_neither_admitted_nor_read(text: str) -> None:
    compiled = Compiled(step_constraint(TOOLS, SENTENCES), make_vocabulary())
    assert not compiled.accepts(text)
    step = parse_step(text, TOOLS, SENTENCES)
    assert step.error
    assert not step.calls
    assert step.final is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["thought", "action", "final", "claims", "text", "evidence", "tool", "args"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(st.text() | JSON.map(json.dumps))
def test_no_words_raise_and_all_can_be_written_to_a_log(text: str) -> None:
    reply = Reply(text, finish="length")
    for native in (False, True):
        step = read_step(reply, TOOLS, SENTENCES, key="1", native=native)
        assert (bool(step.calls) + (step.final is not None) + (step.error is not None)) == 1
        encode_event(Decided("1", step.thought, list(step.calls), step.final, step.error))


@given(st.text(), st.text() | JSON.map(json.dumps))
def test_no_native_call_raises(name: str, arguments: str) -> None:
    calls = (ToolCall("1.0", "tool_0", arguments), ToolCall("1.1", name, arguments))
    for asked in (calls, calls[:1]):
        step = read_native(Reply("", asked), TOOLS, SENTENCES)
        assert step.error or [call.id for call in step.calls] == [call.id for call in asked]


def test_a_fence_around_a_step_is_forgiven() -> None:
    assert parse_step(f"```json\n{final()}\n```", [], []).error is None


def test_arguments_are_checked_against_the_whole_schema() -> None:
    strict = info("weigh", schema={"type": "object", "properties": {"x": {"multipleOf": 7}}})
    assert parse_step(act(("weigh", {"x": 14})), [strict], []).error is None
    error = parse_step(act(("weigh", {"x": 15})), [strict], []).error
    assert error is not None
    assert "weigh" in error


def test_marks_become_evidence_wherever_they_stand() -> None:
    answer = read_marked("One [1]. Two. [2, 3] Three[4], four [5]! Five [99].", SENTENCES)
    assert [(claim.text, [one.number for one in claim.evidence]) for claim in answer.claims] == [
        ("One.", [1]),
        ("Two.", [2, 3]),
        ("Three, four!", [4, 5]),
        ("Five [99].", []),
    ]


def test_a_constraint_is_the_same_for_the_same_question() -> None:
    first, second = (step_constraint(TOOLS, SENTENCES) for _ in range(2))
    assert isinstance(first, JsonSchema)
    assert first == second
    assert first.strict


@pytest.mark.parametrize("written", [[], {}, 7, None])
def test_a_format_that_is_no_name_is_none(written: object) -> None:
    assert fitted({"type": "string", "format": written}) == fitted({"type": "string"})
