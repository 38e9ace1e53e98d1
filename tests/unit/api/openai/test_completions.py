"""Completions of text and of token ids, one prompt or many."""

import json
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from rostra.serving import TokenLogprobs
from tests.openai_schema import check_body
from tests.scripted_engine import ScriptedEngine

PATH = "/v1/completions"


async def whole_of(http: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await http.post(PATH, json={"model": "default"} | body)
    assert response.status_code == 200, response.text
    whole: dict[str, Any] = response.json()
    check_body("CreateCompletionResponse", whole)
    return whole


async def streamed(http: httpx.AsyncClient, **body: Any) -> list[dict[str, Any]]:
    response = await http.post(PATH, json={"model": "default", "stream": True} | body)
    assert response.status_code == 200, response.text
    frames = [frame for frame in response.text.split("\n\n") if frame]
    assert frames.pop() == "data: [DONE]"
    return [json.loads(frame.removeprefix("data: ")) for frame in frames]


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("ab", [b"ab"]),
        (["ab", "c"], [b"ab", b"c"]),
        ([97, 98], [b"ab"]),
        ([[97, 98], [99]], [b"ab", b"c"]),
    ],
)
async def test_prompts_of_all_shapes(
    openai: AsyncOpenAI, engine: ScriptedEngine, prompt: Any, prompts: list[bytes]
) -> None:
    answer = await openai.completions.create(model="default", prompt=prompt, n=2)
    assert [choice.index for choice in answer.choices] == list(range(2 * len(prompts)))
    assert {choice.text for choice in answer.choices} == {"Hello!"}
    assert sorted(bytes(request.prompt) for request in engine.requests) == sorted(prompts)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == sum(map(len, prompts))
    assert answer.usage.completion_tokens == 6 * 2 * len(prompts)


async def test_choices_keep_the_order_of_their_prompts(
    http: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    engine.reply = lambda request: [f"<{bytes(request.prompt).decode()}>"]
    whole = await whole_of(http, prompt=["a", "bb", "c"], n=2)
    assert [choice["text"] for choice in whole["choices"]] == [
        *("<a>", "<a>"),
        *("<bb>", "<bb>"),
        *("<c>", "<c>"),
    ]


async def test_a_stream_adds_up_to_the_whole(
    http: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    engine.reply = lambda request: [f"<{bytes(request.prompt).decode()}", "", ">"]
    body: Any = {"prompt": ["a", "b"], "logprobs": 2, "echo": True, "return_token_ids": True}
    whole = await whole_of(http, **body)
    chunks = await streamed(http, **body, stream_options={"include_usage": True})
    for chunk in chunks[:-1]:
        # The document describes no chunks: what ends only later has no reason yet.
        ended = [
            one | {"finish_reason": one["finish_reason"] or "stop"} for one in chunk["choices"]
        ]
        assert chunk.pop("usage") is None
        check_body("CreateCompletionResponse", chunk | {"choices": ended})
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == whole["usage"]
    for choice in whole["choices"]:
        own = [one for c in chunks for one in c["choices"] if one["index"] == choice["index"]]
        assert "".join(one["text"] for one in own) == choice["text"]
        assert [t for one in own for t in one["token_ids"]] == choice["token_ids"]
        assert own[0]["prompt_token_ids"] == choice["prompt_token_ids"]
        for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
            joined = [item for one in own for item in one["logprobs"][name]]
            assert joined == choice["logprobs"][name]


async def test_an_echoed_prompt_stands_first(http: httpx.AsyncClient) -> None:
    (choice,) = (await whole_of(http, prompt="Why? ", echo=True, logprobs=1))["choices"]
    assert choice["text"] == "Why? Hello!"
    found = choice["logprobs"]
    assert "".join(found["tokens"]) == "Why? Hello!"
    assert found["text_offset"] == list(range(11))
    assert found["token_logprobs"][0] == 0
    assert found["top_logprobs"][0] == {}
    assert len(found["token_logprobs"]) == 11


@pytest.mark.parametrize("top", [0, 1, 2])
async def test_the_token_that_came_is_told_beside_the_likeliest(
    http: httpx.AsyncClient, engine: ScriptedEngine, top: int
) -> None:
    likeliest = [(ord("a"), -0.1), (ord("b"), -0.2)][:top]
    engine.logprobs = lambda token: TokenLogprobs(token, -7.0, likeliest)
    (choice,) = (await whole_of(http, prompt="a!", logprobs=top, echo=True))["choices"]
    told = choice["logprobs"]["top_logprobs"][1:]
    known = {chr(token): logprob for token, logprob in likeliest}
    assert told == [known | {character: -7.0} for character in "!Hello!"]


async def test_a_prompt_can_be_scored_alone(http: httpx.AsyncClient) -> None:
    whole = await whole_of(http, prompt="Why?", echo=True, logprobs=1, max_tokens=0)
    assert whole["choices"][0]["text"] == "Why?"
    assert len(whole["choices"][0]["logprobs"]["tokens"]) == 4
    assert whole["usage"]["completion_tokens"] == 0


@pytest.mark.parametrize("logprobs", [None, 1])
async def test_a_prompt_that_fills_the_context_can_be_scored(
    http: httpx.AsyncClient, engine: ScriptedEngine, logprobs: int | None
) -> None:
    full = "x" * engine.max_context
    body: dict[str, Any] = {"prompt": full, "echo": True, "max_tokens": 0, "logprobs": logprobs}
    (choice,) = (await whole_of(http, **body))["choices"]
    assert choice["text"] == full
    assert choice["finish_reason"] == "length"
    if logprobs is not None:
        assert len(choice["logprobs"]["tokens"]) == len(full)
    else:
        assert choice["logprobs"] is None
    response = await http.post(PATH, json=body | {"prompt": full + "x"})
    assert response.json()["error"]["code"] == "context_length_exceeded"
    response = await http.post(PATH, json=body | {"max_tokens": 1})
    assert response.json()["error"]["code"] == "context_length_exceeded"


async def test_sixteen_tokens_by_default(http: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    engine.pieces = ("x" * 10, "y" * 10)
    (choice,) = (await whole_of(http, prompt="a"))["choices"]
    assert choice["text"] == "x" * 10 + "y" * 6
    assert choice["finish_reason"] == "length"


async def test_one_failure_ends_all_prompts(
    http: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    def reply(request: Any) -> list[str | Exception]:
        return [ValueError("boom")] if bytes(request.prompt) == b"bad" else ["x"] * 1000

    engine.reply = reply
    response = await http.post(PATH, json={"prompt": ["ok", "bad", "ok"], "max_tokens": 2000})
    assert response.status_code == 500
    assert "boom" not in response.text
    assert engine.open == 0


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"prompt": ""}, "prompt"),
    ({"prompt": []}, "prompt"),
    ({"prompt": [""]}, "prompt"),
    ({"prompt": [[]]}, "prompt"),
    ({"prompt": ["a", 1]}, "prompt"),
    ({"prompt": [[1], "a"]}, "prompt"),
    ({"prompt": [1.5]}, "prompt[0]"),
    ({"prompt": [300]}, "prompt"),
    ({"prompt": [-1]}, "prompt"),
    ({"prompt": ["a"] * 300}, "prompt"),
    ({"prompt": ["a"] * 100, "n": 100}, "prompt"),
    ({"prompt": "a", "suffix": "b"}, "suffix"),
    ({"prompt": "a", "best_of": 3}, "best_of"),
    ({"prompt": "a", "max_tokens": 0}, "max_tokens"),
    ({"prompt": "a", "logprobs": 1000}, "logprobs"),
    ({}, "prompt"),
]


async def test_what_is_refused(http: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    for body, param in REFUSED:
        response = await http.post(PATH, json=body)
        assert response.status_code == 400, (body, response.text)
        check_body("Error", response.json()["error"])
        assert response.json()["error"]["param"] == param
    assert engine.open == 0
