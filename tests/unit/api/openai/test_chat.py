"""Chat completions as OpenAI's client sees them."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from openai import APIError, AsyncOpenAI, BadRequestError

from rostra.core import AnyJson, JsonSchema
from rostra.serving import EngineDied
from tests.openai_schema import check_body
from tests.scripted_engine import ByteTokenizer, ScriptedEngine

ASK: list[Any] = [{"role": "user", "content": "hi"}]
PATH = "/v1/chat/completions"


async def chunks_of(http: httpx.AsyncClient, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The chunks of a stream, each checked against OpenAI's schema."""
    response = await http.post(PATH, json=body | {"stream": True})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    frames = [frame for frame in response.text.split("\n\n") if frame]
    assert frames.pop() == "data: [DONE]"
    chunks = [json.loads(frame.removeprefix("data: ")) for frame in frames]
    for chunk in chunks:
        check_body("CreateChatCompletionStreamResponse", chunk)
    return chunks


async def whole_of(http: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    response = await http.post(PATH, json=body)
    assert response.status_code == 200, response.text
    whole: dict[str, Any] = response.json()
    check_body("CreateChatCompletionResponse", whole)
    return whole


async def test_an_answer(openai: AsyncOpenAI, engine: ScriptedEngine) -> None:
    answer = await openai.chat.completions.create(model="default", messages=ASK)
    (choice,) = answer.choices
    assert choice.message.content == "Hello!"
    assert choice.message.role == "assistant"
    assert choice.finish_reason == "stop"
    assert answer.model == engine.name
    prompt = len(engine.requests[0].prompt)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == prompt
    assert answer.usage.completion_tokens == 6
    assert answer.usage.total_tokens == prompt + 6


async def test_the_model_goes_by_its_own_name_too(
    openai: AsyncOpenAI, engine: ScriptedEngine
) -> None:
    answer = await openai.chat.completions.create(model=engine.name, messages=ASK)
    assert answer.choices[0].message.content == "Hello!"


async def test_bodies_are_as_openai_describes_them(http: httpx.AsyncClient) -> None:
    body = {"messages": ASK, "model": "default", "n": 2, "logprobs": True, "top_logprobs": 2}
    whole = await whole_of(http, body)
    assert [choice["index"] for choice in whole["choices"]] == [0, 1]
    content = whole["choices"][1]["logprobs"]["content"]
    assert "".join(entry["token"] for entry in content) == "Hello!"
    assert bytes(byte for entry in content for byte in entry["bytes"]) == b"Hello!"
    assert {len(entry["top_logprobs"]) for entry in content} == {2}


async def test_a_stream_adds_up_to_the_whole(http: httpx.AsyncClient) -> None:
    body = {"messages": ASK, "model": "default", "n": 2, "logprobs": True}
    whole = await whole_of(http, body)
    chunks = await chunks_of(http, body | {"stream_options": {"include_usage": True}})
    assert len({chunk["id"] for chunk in chunks}) == 1
    *rest, last = chunks
    assert last["choices"] == []
    assert last["usage"] == whole["usage"]
    assert all(chunk["usage"] is None for chunk in rest)
    for choice in whole["choices"]:
        own = [one for chunk in rest for one in chunk["choices"] if one["index"] == choice["index"]]
        assert own[0]["delta"]["role"] == "assistant"
        text = "".join(one["delta"].get("content", "") for one in own)
        assert text == choice["message"]["content"]
        assert [one["finish_reason"] for one in own][-1] == choice["finish_reason"]
        assert {one["finish_reason"] for one in own[:-1]} == {None}
        entries = [entry for one in own for entry in (one.get("logprobs") or {}).get("content", [])]
        assert entries == choice["logprobs"]["content"]


async def test_usage_is_told_only_when_asked_for(http: httpx.AsyncClient) -> None:
    chunks = await chunks_of(http, {"messages": ASK, "model": "default"})
    assert all("usage" not in chunk and chunk["choices"] for chunk in chunks)


async def test_parameters_reach_the_engine(openai: AsyncOpenAI, engine: ScriptedEngine) -> None:
    await openai.chat.completions.create(
        model="default",
        messages=ASK,
        temperature=0.25,
        top_p=0.5,
        max_completion_tokens=7,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        logit_bias={"5": 3},
        seed=11,
        stop=["a", "b"],
        n=3,
        user="someone",
        extra_body={
            "top_k": 9,
            "min_p": 0.125,
            "repetition_penalty": 1.5,
            "min_tokens": 2,
            "ignore_eos": True,
            "stop_token_ids": [3],
        },
    )
    (request,) = engine.requests
    sampling = request.sampling
    assert request.n == 3
    assert request.seed == 11
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (0.25, 0.5, 7)
    assert (sampling.presence_penalty, sampling.frequency_penalty) == (0.5, -0.5)
    assert sampling.logit_bias == {5: 3.0}
    assert sampling.stop == ("a", "b")
    assert (sampling.top_k, sampling.min_p, sampling.repetition_penalty) == (9, 0.125, 1.5)
    assert (sampling.min_tokens, sampling.ignore_eos) == (2, True)
    assert sampling.stop_token_ids == (3,)


async def test_without_a_limit_the_context_is_the_limit(
    openai: AsyncOpenAI, engine: ScriptedEngine
) -> None:
    await openai.chat.completions.create(model="default", messages=ASK)
    (request,) = engine.requests
    assert len(request.prompt) + request.sampling.max_tokens == engine.max_context


async def test_the_limit_ends_an_answer(openai: AsyncOpenAI) -> None:
    answer = await openai.chat.completions.create(model="default", messages=ASK, max_tokens=4)
    assert answer.choices[0].message.content == "Hell"
    assert answer.choices[0].finish_reason == "length"


async def test_token_ids_are_returned_on_demand(
    http: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    body = {"messages": ASK, "model": "default", "return_token_ids": True}
    whole = await whole_of(http, body)
    assert whole["prompt_token_ids"] == engine.requests[0].prompt
    assert whole["choices"][0]["token_ids"] == list(b"Hello!")
    chunks = await chunks_of(http, body)
    assert chunks[0]["prompt_token_ids"] == engine.requests[0].prompt
    tokens = [t for chunk in chunks for one in chunk["choices"] for t in one.get("token_ids", [])]
    assert tokens == list(b"Hello!")


async def test_reasoning_is_told_apart(http: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    engine.pieces = ("<thi", "nk>I wonder</th", "ink>\n\nSo: ", "yes")
    body = {"messages": ASK, "model": "default"}
    message = (await whole_of(http, body))["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("I wonder", "So: yes")
    deltas = [one["delta"] for chunk in await chunks_of(http, body) for one in chunk["choices"]]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == "I wonder"
    assert "".join(delta.get("content", "") for delta in deltas) == "So: yes"


async def test_reasoning_may_be_opened_by_the_template(
    openai: AsyncOpenAI, engine: ScriptedEngine
) -> None:
    engine.tokenizer.opening = "assistant:<think>\n"
    engine.pieces = ("I wonder</think>", "yes")
    answer = await openai.chat.completions.create(model="default", messages=ASK)
    assert answer.choices[0].message.content == "yes"
    assert answer.usage is not None
    assert answer.usage.completion_tokens_details is not None
    assert answer.usage.completion_tokens_details.reasoning_tokens == len("I wonder</think>")


@pytest.mark.parametrize(
    ("form", "constraint"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, AnyJson()),
        (
            {"type": "json_schema", "json_schema": {"name": "s", "schema": {}, "strict": True}},
            JsonSchema("{}", strict=True),
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}},
            JsonSchema("{}", strict=False),
        ),
    ],
)
async def test_a_response_format_is_a_constraint(
    http: httpx.AsyncClient, engine: ScriptedEngine, form: Any, constraint: Any
) -> None:
    engine.pieces = ("{}",)
    await whole_of(http, {"messages": ASK, "model": "default", "response_format": form})
    assert engine.requests[0].sampling.constraint == constraint


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"regex": "a+"}, "Regex"),
        ({"choice": ["a", "b"]}, "Choice"),
        ({"grammar": 'root ::= "a"'}, "Ebnf"),
        ({"json": {"type": "object"}}, "JsonSchema"),
        ({"json": '{"type":"object"}'}, "JsonSchema"),
        ({"json_object": True}, "AnyJson"),
    ],
)
async def test_structured_outputs_are_constraints(
    http: httpx.AsyncClient, engine: ScriptedEngine, given: Any, kind: str
) -> None:
    engine.pieces = ("{}",)
    await whole_of(http, {"messages": ASK, "model": "default", "structured_outputs": given})
    assert type(engine.requests[0].sampling.constraint).__name__ == kind


async def test_a_loose_schema_is_checked_afterwards(
    http: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    engine.pieces = ('{"a": ', '"x"}')
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    body = {"messages": ASK, "model": "default", "response_format": form}
    assert (await whole_of(http, body))["choices"][0]["schema_errors"]
    last = (await chunks_of(http, body))[-1]["choices"][0]
    assert last["schema_errors"]
    engine.pieces = ('{"a": ', "1}")
    assert "schema_errors" not in (await whole_of(http, body))["choices"][0]


async def test_a_failure_before_the_first_token_has_its_status(
    openai: AsyncOpenAI, engine: ScriptedEngine
) -> None:
    engine.pieces = (EngineDied("it died"),)
    with pytest.raises(APIError) as caught:
        await openai.chat.completions.create(model="default", messages=ASK, stream=True)
    assert caught.value.body["code"] == "engine_died"  # type: ignore[index]


async def test_a_later_failure_is_an_event_and_the_end(
    http: httpx.AsyncClient, openai: AsyncOpenAI, engine: ScriptedEngine
) -> None:
    engine.pieces = ("Hel", EngineDied("it died"))
    stream = await openai.chat.completions.create(model="default", messages=ASK, stream=True)
    with pytest.raises(APIError, match="it died"):
        async for _ in stream:
            pass
    response = await http.post(PATH, json={"messages": ASK, "stream": True})
    *_, last, rest = response.text.split("\n\n")
    assert rest == ""
    check_body("Error", json.loads(last.removeprefix("data: "))["error"])


async def test_a_reader_who_leaves_a_stream_ends_the_generation(
    openai: AsyncOpenAI, engine: ScriptedEngine
) -> None:
    engine.gate_before = 1
    stream = await openai.chat.completions.create(model="default", messages=ASK, stream=True)
    async for _ in stream:
        break
    await engine.waiting.wait()
    await stream.close()
    await engine.left.wait()
    assert (engine.open, engine.aborted) == (0, 1)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_reader_who_leaves_before_the_answer_ends_the_generation(
    http: httpx.AsyncClient, engine: ScriptedEngine, streamed: bool
) -> None:
    engine.gate_before = 0
    asking = asyncio.create_task(
        http.post(PATH, json={"messages": ASK, "model": "default", "stream": streamed})
    )
    await engine.waiting.wait()
    asking.cancel()
    await engine.left.wait()
    assert (engine.open, engine.aborted) == (0, 1)


async def test_what_the_template_is_told(openai: AsyncOpenAI, engine: ScriptedEngine) -> None:
    await openai.chat.completions.create(
        model="default",
        messages=[
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "f", "arguments": "{}"},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "42"},
        ],
        reasoning_effort="none",
        extra_body={"chat_template_kwargs": {"style": "dry"}},
    )
    messages, tools, kwargs = engine.tokenizer.chats[0]
    assert [message["role"] for message in messages] == ["developer", "user", "assistant", "tool"]
    assert messages[1]["content"] == "hi"
    assert messages[2]["tool_calls"][0]["function"]["name"] == "f"
    assert messages[3]["tool_call_id"] == "call_1"
    assert tools is None
    assert kwargs == {"reasoning_effort": "none", "enable_thinking": False, "style": "dry"}


async def test_a_message_that_was_answered_can_be_sent_back(
    openai: AsyncOpenAI, engine: ScriptedEngine
) -> None:
    first = await openai.chat.completions.create(model="default", messages=ASK)
    said: Any = first.choices[0].message.model_dump()
    await openai.chat.completions.create(model="default", messages=[*ASK, said, *ASK])
    assert engine.tokenizer.chats[-1][0][1] == {"role": "assistant", "content": "Hello!"}


async def test_mistrals_template_gets_ids_that_it_takes(
    openai: AsyncOpenAI, engine: ScriptedEngine
) -> None:
    engine.tokenizer.chat_template = "{# [TOOL_CALLS] #}"
    call: Any = {"id": "call_abc", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages: list[Any] = [
        *ASK,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_abc", "content": "1"},
    ]
    await openai.chat.completions.create(model="default", messages=messages)
    rendered = engine.tokenizer.chats[0][0]
    made = rendered[1]["tool_calls"][0]["id"]
    assert len(made) == 9
    assert made.isalnum()
    assert rendered[2]["tool_call_id"] == made


async def test_a_template_cannot_be_swapped(openai: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError) as caught:
        await openai.chat.completions.create(
            model="default",
            messages=ASK,
            extra_body={"chat_template_kwargs": {"messages": "x"}},
        )
    assert caught.value.param == "chat_template_kwargs"


def test_the_byte_tokenizer_is_its_own_inverse() -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.decode(tokenizer.encode("aé€😀")) == "aé€😀"
