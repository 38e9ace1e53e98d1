"""Structural tags and tool calls, and parameters that contradict a grammar."""

import json
import random

import pytest

from rostra.core import Choice, StructuralTag
from rostra.serving.errors import InvalidGrammar, InvalidParameter
from rostra.serving.grammar.check import check_against_grammar
from rostra.serving.grammar.tool_tags import tool_call_tag
from rostra.serving.request import SamplingParams
from tests.unit.serving.grammar.conftest import CALLS, run

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "search",
            "parameters": {
                "type": "object",
                "properties": {"query": {"type": "string"}, "top": {"type": "integer"}},
                "required": ["query"],
                "additionalProperties": False,
            },
        },
    },
    {"type": "function", "function": {"name": "now"}},
]


def calls_of(tokens: list[int], vocabulary, form: str) -> list[dict]:
    if form == "mistral":
        assert tokens[0] == CALLS
        tokens = tokens[1:]
    text = b"".join(vocabulary.tokens[each] for each in tokens).decode()
    if form == "hermes":
        parts = [each for each in text.split("<tool_call>\n") if each]
        return [json.loads(each.strip().removesuffix("</tool_call>")) for each in parts]
    if form == "mistral":
        return json.loads(text)
    found, rest = [], text.removeprefix("<|python_tag|>")
    while rest:
        value, end = json.JSONDecoder().raw_decode(rest)
        found.append(value)
        rest = rest[end:].removeprefix("; ")
    return found


@pytest.mark.parametrize("form", ["hermes", "llama3", "mistral"])
@pytest.mark.parametrize("parallel", [False, True])
def test_required_calls_are_calls(form, parallel, compiled, vocabulary) -> None:
    tag = tool_call_tag(form, TOOLS, required=True, parallel=parallel, reasoning=False)
    grammar = compiled(tag)
    most_calls = 0
    for seed in range(25):
        rng = random.Random(seed)
        most = grammar.shortest + rng.choice([0, 2, 5, 40, 120])
        calls = calls_of(run(grammar.start(most), vocabulary, rng, most), vocabulary, form)
        assert calls
        most_calls = max(most_calls, len(calls))
        for call in calls:
            arguments = call["parameters" if form == "llama3" else "arguments"]
            if call["name"] == "search":
                assert isinstance(arguments["query"], str)
                assert set(arguments) <= {"query", "top"}
            else:
                assert call["name"] == "now" and isinstance(arguments, dict)
    if not parallel:
        assert most_calls == 1


def test_calls_are_optional_unless_required(compiled) -> None:
    for form in ("hermes", "llama3"):
        grammar = compiled(
            tool_call_tag(form, TOOLS, required=False, parallel=True, reasoning=True)
        )
        assert grammar.accepts("")
        assert grammar.accepts("Just text.")
        assert grammar.accepts("let me see</think>\n\nJust text.")
    assert not compiled(
        tool_call_tag("hermes", TOOLS, required=False, parallel=True, reasoning=False)
    ).accepts("<tool_call>broken")


def test_text_around_triggered_tags(compiled) -> None:
    tag = {
        "type": "structural_tag",
        "format": {
            "type": "triggered_tags",
            "triggers": ["<f="],
            "tags": [
                {"type": "tag", "begin": "<f=a>", "content": {"type": "any_text"}, "end": "</f>"},
                {
                    "type": "tag",
                    "begin": "<f=b>",
                    "content": {"type": "json_schema", "json_schema": {"type": "integer"}},
                    "end": "</f>",
                },
            ],
        },
    }
    grammar = compiled(StructuralTag(json.dumps(tag)))
    for text, expected in (
        ("plain <f", True),
        ("x<f=a>anything < /f</f>y<f=b>12</f>", True),
        ("x<f=b>no</f>", False),
        ("x<f=c>", False),
        ("x<f=a>open", False),
    ):
        assert grammar.accepts(text) == expected, text


@pytest.mark.parametrize(
    "tag",
    ["{", "{}", '{"type": "structural_tag"}', '{"type": "structural_tag", "format": {}}',
     '{"type": "structural_tag", "format": {"type": "dance"}}',
     '{"type": "structural_tag", "format": {"type": "tag", "begin": "a"}}',
     '{"type": "structural_tag", "format": {"type": "token", "token": 5}}'],
)  # fmt: skip
def test_broken_tags_are_refused(tag: str, vocabulary) -> None:
    from rostra.serving.grammar.structural import structural_grammar

    with pytest.raises(InvalidGrammar):
        structural_grammar(tag, vocabulary.named)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_tokens", 1),
        ("ignore_eos", True),
        ("stop", ("x",)),
        ("stop_token_ids", (3,)),
        ("logit_bias", {1: 2.0}),
    ],
)
def test_parameters_that_contradict_a_grammar(name: str, value: object) -> None:
    check_against_grammar(SamplingParams(**{name: value}))
    with pytest.raises(InvalidParameter) as refused:
        check_against_grammar(SamplingParams(**{name: value}, constraint=Choice(("a",))))
    assert refused.value.details["field"] == name
