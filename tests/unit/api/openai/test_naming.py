"""An error names what the caller sent: the field by its own name, the tool, the place of a text."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from rostra.serving import GrammarCompiler, Vocabulary
from tests.openai_schema import check_body
from tests.scripted_engine import VOCAB_SIZE, ScriptedEngine

CHAT, COMPLETIONS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
ASK = [{"role": "user", "content": "hi"}]
NEVER = {"type": "object", "properties": {"a": False}, "required": ["a"]}
NO_SCHEMA = {"type": "object", "properties": {"a": {"type": "wizard"}}}
UNIQUE = {
    "type": "object",
    "properties": {"a": {"type": "array", "uniqueItems": True}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def compiler() -> Iterator[GrammarCompiler]:
    tokens = [bytes([byte]) for byte in range(VOCAB_SIZE)]
    vocabulary = Vocabulary([*tokens, b"<end>"], (VOCAB_SIZE,), named={})
    made = GrammarCompiler(vocabulary, deadline=20.0, workers=1)
    yield made
    made.close_now()


@pytest.fixture
def engine(compiler: GrammarCompiler) -> ScriptedEngine:
    """Says nothing of note; its compiler is a real one."""
    return ScriptedEngine(compiler=compiler)


async def refused(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    response = await http.post(path, json=body)
    assert response.status_code == 400, (body, response.text)
    error: dict[str, Any] = response.json()["error"]
    check_body("Error", error)
    return error


def function(name: str, parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "parameters": parameters, **more}


def chat_tools(*functions: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "function", "function": each} for each in functions]


FINE = function("fine", {"type": "object"})
TAKEN: list[Any] = ["auto", "required"]


@pytest.mark.parametrize("choice", TAKEN)
@pytest.mark.parametrize(
    ("parameters", "strict", "code"),
    [
        (NO_SCHEMA, False, "invalid_grammar"),
        (UNIQUE, True, "unsupported_schema"),
        # What nobody can call is refused, whether it must be called or not.
        (NEVER, False, "invalid_grammar"),
    ],
    ids=["invalid", "unsupported", "unsatisfiable"],
)
async def test_a_tool_at_fault_is_named(
    http: httpx.AsyncClient,
    engine: ScriptedEngine,
    choice: str,
    parameters: dict[str, Any],
    strict: bool,
    code: str,
) -> None:
    wrong = function("weather", parameters, strict=strict)
    body = {"messages": ASK, "tools": chat_tools(FINE, FINE | {"name": "b"}, wrong)}
    error = await refused(http, CHAT, body | {"tool_choice": choice})
    assert error["param"] == "tools[2].function.parameters"
    assert error["code"] == code
    assert "'weather'" in error["message"]
    tools = [{"type": "function", **each} for each in (FINE, wrong)]
    told = await refused(http, RESPONSES, {"input": "hi", "tools": tools, "tool_choice": choice})
    assert (told["param"], told["code"]) == ("tools[1].parameters", code)
    assert "'weather'" in told["message"]
    assert engine.requests == []


async def test_a_tool_keeps_its_place_where_only_some_are_allowed(http: httpx.AsyncClient) -> None:
    body = {
        "messages": ASK,
        "tools": chat_tools(FINE, function("weather", NEVER)),
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
    }
    assert (await refused(http, CHAT, body))["param"] == "tools[1].function.parameters"


async def test_arguments_that_are_no_object_are_named_as_they_were_given(
    http: httpx.AsyncClient,
) -> None:
    tools = [{"type": "function", "name": "f", "parameters": {"type": "integer"}}]
    error = await refused(http, RESPONSES, {"input": "hi", "tools": tools})
    assert error["param"] == "tools[0].parameters"


def named(schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": "s", "schema": schema, "strict": True}


GRAMMARS: list[tuple[str, dict[str, Any], str]] = [
    (
        CHAT,
        {"response_format": {"type": "json_schema", "json_schema": named(UNIQUE)}},
        "response_format.json_schema.schema",
    ),
    (
        COMPLETIONS,
        {"response_format": {"type": "json_schema", "json_schema": named(NEVER)}},
        "response_format.json_schema.schema",
    ),
    (
        RESPONSES,
        {"text": {"format": {"type": "json_schema", **named(NO_SCHEMA)}}},
        "text.format.schema",
    ),
    (CHAT, {"structured_outputs": {"json": NEVER}}, "structured_outputs.json"),
    (CHAT, {"structured_outputs": {"regex": "(a"}}, "structured_outputs.regex"),
    (COMPLETIONS, {"structured_outputs": {"grammar": "x ::="}}, "structured_outputs.grammar"),
    (CHAT, {"structured_outputs": {"choice": []}}, "structured_outputs.choice"),
    (
        CHAT,
        {"structured_outputs": {"structural_tag": {"type": "x"}}},
        "structured_outputs.structural_tag",
    ),
]
FIRST = {CHAT: {"messages": ASK}, COMPLETIONS: {"prompt": "hi"}, RESPONSES: {"input": "hi"}}


@pytest.mark.parametrize(("path", "more", "param"), GRAMMARS, ids=[param for *_, param in GRAMMARS])
async def test_a_grammar_is_named_by_its_field(
    http: httpx.AsyncClient, path: str, more: dict[str, Any], param: str
) -> None:
    error = await refused(http, path, FIRST[path] | more)
    assert error["param"] == param
    assert error["message"].startswith(f"{param}: ")
    streamed = await refused(http, path, FIRST[path] | more | {"stream": True})
    assert streamed == error


LIMITS: list[tuple[str, dict[str, Any], str]] = [
    (CHAT, {"max_tokens": 0}, "max_tokens"),
    (CHAT, {"max_completion_tokens": 0}, "max_completion_tokens"),
    (CHAT, {"max_completion_tokens": 10**9}, "max_completion_tokens"),
    (CHAT, {"max_completion_tokens": 5, "min_tokens": 9}, "min_tokens"),
    (CHAT, {"logprobs": True, "top_logprobs": 99}, "top_logprobs"),
    (RESPONSES, {"max_output_tokens": 0}, "max_output_tokens"),
    (RESPONSES, {"max_output_tokens": 10**9}, "max_output_tokens"),
    (
        RESPONSES,
        {"top_logprobs": 99, "include": ["message.output_text.logprobs"]},
        "top_logprobs",
    ),
    (COMPLETIONS, {"max_tokens": 10**9}, "max_tokens"),
    (COMPLETIONS, {"logprobs": 99, "echo": True}, "logprobs"),
    (
        CHAT,
        {"max_completion_tokens": 2, "structured_outputs": {"regex": "[xyz]{5}"}},
        "max_completion_tokens",
    ),
]


@pytest.mark.parametrize(("path", "more", "param"), LIMITS)
async def test_a_limit_is_named_as_it_was_sent(
    http: httpx.AsyncClient, path: str, more: dict[str, Any], param: str
) -> None:
    error = await refused(http, path, FIRST[path] | more)
    assert error["param"] == param
    assert param in error["message"]
    if "max_tokens" not in more:
        assert "max_tokens" not in error["message"]


HALVES: list[tuple[str, bytes, str, int]] = [
    (CHAT, b'{"messages": [{"role": "user", "content": "ab\\ud800c"}]}', "messages[0].content", 2),
    (CHAT, b'{"messages": [{"role": "user", "content": "\\ude00"}]}', "messages[0].content", 0),
    (COMPLETIONS, b'{"prompt": ["ok", "a\\ud800\\u0041"]}', "prompt[1]", 1),
    (COMPLETIONS, b'{"prompt": "a", "stop": "\xc3\xa9\\udfff"}', "stop", 1),
    (RESPONSES, b'{"input": "a\\ud83d"}', "input", 1),
]


@pytest.mark.parametrize(("path", "body", "param", "place"), HALVES)
async def test_half_a_surrogate_pair_is_named_with_its_place(
    http: httpx.AsyncClient, path: str, body: bytes, param: str, place: int
) -> None:
    response = await http.post(path, content=body)
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["param"], error["code"]) == (param, "invalid_body")
    assert f"character {place}" in error["message"]
    assert "surrogate" in error["message"]


@pytest.mark.parametrize(
    "body",
    [b'{"\\ud800": 1}', b'{"a": {"b\\ud800": 1}}', b'{"a": "\\ud800", ' + b'"b": [' * 10],
    ids=["key", "inner key", "broken besides"],
)
async def test_half_a_pair_in_a_name_or_in_no_json_is_told_all_the_same(
    http: httpx.AsyncClient, body: bytes
) -> None:
    response = await http.post(CHAT, content=body)
    assert response.status_code == 400
    assert "surrogate" in response.json()["error"]["message"]
