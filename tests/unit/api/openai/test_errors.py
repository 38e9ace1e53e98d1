"""Every failure has OpenAI's shape, its own status, and leaves the server as it was."""

import json
from typing import Any

import httpx
import pytest

from rostra.api.openai.body import MAX_BODY_BYTES
from rostra.api.openai.errors import error_of
from rostra.core import RostraError
from rostra.serving import QueueFull
from tests.openai_schema import check_body
from tests.scripted_engine import ScriptedEngine
from tests.unit.api.test_errors import all_errors

PATH = "/v1/chat/completions"
ASK: list[Any] = [{"role": "user", "content": "hi"}]


def error_in(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert list(body) == ["error"]
    check_body("Error", body["error"])
    error: dict[str, Any] = body["error"]
    return error


NO_OBJECT = {"type": "function", "function": {"name": "f", "parameters": {"type": "integer"}}}
# More of the request, and the parameter that is named.
BAD: list[tuple[dict[str, Any], str | None]] = [
    ({"tools": [NO_OBJECT]}, "tools[0].function.parameters"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": -5}, "max_tokens"),
    ({"max_tokens": 10**9}, "max_tokens"),
    ({"max_tokens": 10**30}, "max_tokens"),
    ({"max_tokens": 3, "max_completion_tokens": 4}, "max_completion_tokens"),
    ({"max_tokens": "7"}, "max_tokens"),
    ({"max_tokens": True}, "max_tokens"),
    ({"n": 0}, "n"),
    ({"n": 10**9}, "n"),
    ({"temperature": -1}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"top_p": 0}, "top_p"),
    ({"top_p": 1.5}, "top_p"),
    ({"top_k": -2}, "top_k"),
    ({"min_p": 2}, "min_p"),
    ({"repetition_penalty": 0}, "repetition_penalty"),
    ({"presence_penalty": 3}, "presence_penalty"),
    ({"logit_bias": {"5": 1000}}, "logit_bias"),
    ({"logit_bias": {"x": 1}}, "logit_bias"),
    ({"logit_bias": {"999999": 1}}, "logit_bias"),
    ({"stop": ["x"] * 10_000}, "stop"),
    ({"stop": ""}, "stop"),
    ({"stop": [1]}, "stop[0]"),
    ({"stop_token_ids": [-1]}, "stop_token_ids"),
    ({"seed": 2**70}, "seed"),
    ({"min_tokens": 10, "max_tokens": 5}, "min_tokens"),
    ({"top_logprobs": 3}, "top_logprobs"),
    ({"logprobs": True, "top_logprobs": 1000}, "top_logprobs"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"response_format": {"type": "xml"}}, "response_format.type"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ({"structured_outputs": {}}, "structured_outputs"),
    ({"structured_outputs": {"regex": "a", "choice": ["b"]}}, "structured_outputs"),
    ({"structured_outputs": {"regexp": "a"}}, "structured_outputs.regexp"),
    ({"messages": []}, "messages"),
    ({"messages": "hi"}, "messages"),
    ({"messages": [{"role": "wizard", "content": "a"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": "a", "x": 1}]}, "messages[0].x"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        "messages[0].content[0].type",
    ),
    ({"messages": [{"role": "user", "content": "x" * 5000}]}, "messages"),
    ({"store": True}, "store"),
    ({"service_tier": "flex"}, "service_tier"),
    ({"modalities": ["audio"]}, "modalities"),
    ({"audio": {}}, "audio"),
    ({"nonsense": 1}, "nonsense"),
    ({"chat_template_kwargs": {"__class__": 1}}, "chat_template_kwargs"),
    ({"chat_template_kwargs": {"a": [1]}}, "chat_template_kwargs[...]"),
]


async def test_bad_input_is_one_clear_error(
    http: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    for streamed in (False, True):
        for more, param in BAD:
            body = {"messages": ASK, "stream": streamed} | more
            if more.get("stream_options"):
                body["stream"] = False
            response = await http.post(PATH, json=body)
            error = error_in(response, 400)
            assert error["param"] == param, (more, error)
            assert error["type"] == "invalid_request_error"
            assert error["message"]
    assert engine.requests == []
    assert (await http.post(PATH, json={"messages": ASK})).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b'{"messages": NaN}',
        b'{"messages": [], "logit_bias": {"5": Infinity}}',
        b'{"messages": [], "temperature": 1e999}',
        b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}',
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": ' + b"[" * 100_000,
        b'{"messages": [], "response_format": ' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}",
    ],
    ids=range(12),
)
async def test_a_body_that_is_none(http: httpx.AsyncClient, body: bytes) -> None:
    error_in(await http.post(PATH, content=body), 400)


async def test_all_unknown_parameters_are_named(http: httpx.AsyncClient) -> None:
    body = {"messages": ASK, "foo": 1, "bar": 2}
    error = error_in(await http.post(PATH, json=body), 400)
    assert error["code"] == "unknown_parameter"
    assert "foo" in error["message"]
    assert "bar" in error["message"]


@pytest.mark.parametrize(
    ("path", "param", "given"),
    [
        (PATH, "messages", [{"role": "user", "content": "x" * 5000}]),
        ("/v1/responses", "input", "x" * 5000),
        ("/v1/completions", "prompt", "x" * 5000),
    ],
)
async def test_what_is_too_long_is_named_as_it_was_given(
    http: httpx.AsyncClient, path: str, param: str, given: Any
) -> None:
    response = await http.post(path, json={"model": "default", param: given})
    error = error_in(response, 400)
    assert (error["code"], error["param"]) == ("context_length_exceeded", param)


async def test_routes_that_are_not_there(http: httpx.AsyncClient) -> None:
    for method, path, status in (
        ("GET", "/v1", 404),
        ("GET", "/v1/", 404),
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/nothing", 404),
        ("DELETE", "/v1/nothing/at/all", 404),
        ("GET", PATH, 405),
        ("DELETE", "/v1/models", 405),
        ("PUT", "/v1/files", 405),
    ):
        error_in(await http.request(method, path, headers={"accept": "text/html"}), status)


async def test_a_body_that_is_too_large(http: httpx.AsyncClient) -> None:
    error_in(await http.post(PATH, content=b" " * (MAX_BODY_BYTES + 1)), 413)


async def test_foreign_hosts_and_sites_are_refused_in_this_shape_too(
    http: httpx.AsyncClient,
) -> None:
    error_in(await http.post(PATH, json={}, headers={"host": "evil.example"}), 403)
    error_in(await http.post(PATH, json={}, headers={"origin": "http://evil.example"}), 403)


async def test_other_paths_keep_problem_documents(http: httpx.AsyncClient) -> None:
    response = await http.get("/api/nothing")
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_full_queue_says_when_to_come_back(
    http: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    engine.pieces = (QueueFull("the queue is full"),)
    response = await http.post(PATH, json={"messages": ASK})
    assert error_in(response, 429)["type"] == "rate_limit_error"
    assert response.headers["retry-after"] == "1"


async def test_a_bug_of_ours_tells_nothing(http: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    engine.pieces = (ZeroDivisionError("/secret/path"),)
    response = await http.post(PATH, json={"messages": ASK})
    assert error_in(response, 500)["type"] == "server_error"
    assert "secret" not in response.text


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_our_errors_keep_status_code_and_hint(kind: type[RostraError]) -> None:
    status, body = error_of(kind("what happened", hint="what to do", field="k"))
    assert status == kind.status
    assert body.error.code == kind.code
    assert body.error.param == "k"
    assert "what happened" in body.error.message
    assert "what to do" in body.error.message
    json.dumps(body.error.message)
