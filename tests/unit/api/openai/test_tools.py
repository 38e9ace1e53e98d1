"""Tools: offered, called, streamed, and held to their schemas."""

import json
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from rostra.core import StructuralTag
from tests.openai_schema import check_body
from tests.scripted_engine import ByteTokenizer, ScriptedEngine

PATH = "/v1/chat/completions"
ASK: list[Any] = [{"role": "user", "content": "weather in Rome?"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CLOCK: Any = {"type": "function", "function": {"name": "clock"}}
CALLS = (
    "I will",
    " look.\n<tool_",
    'call>\n{"name": "weather", "argum',
    'ents": {"city": "Ro',
    'me"}}\n</tool_call>\n<tool_call>{"name": "clock", "arguments": {}}</tool_call>',
)


async def test_calls_are_read(http: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    engine.pieces = CALLS
    response = await http.post(PATH, json={"messages": ASK, "tools": [WEATHER, CLOCK]})
    check_body("CreateChatCompletionResponse", response.json())
    (choice,) = response.json()["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "I will look."
    calls = choice["message"]["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["weather", "clock"]
    assert json.loads(calls[0]["function"]["arguments"]) == {"city": "Rome"}
    assert len({call["id"] for call in calls}) == 2


async def test_calls_are_streamed(openai: AsyncOpenAI, engine: ScriptedEngine) -> None:
    engine.pieces = CALLS
    stream = await openai.chat.completions.create(
        model="default", messages=ASK, tools=[WEATHER, CLOCK], stream=True
    )
    content, calls, reason = "", {}, None
    async for chunk in stream:
        check_body("CreateChatCompletionStreamResponse", chunk.model_dump(exclude_unset=True))
        (choice,) = chunk.choices
        content += choice.delta.content or ""
        reason = choice.finish_reason or reason
        for call in choice.delta.tool_calls or ():
            made = calls.setdefault(call.index, {"id": call.id, "name": "", "pieces": []})
            assert call.function is not None
            made["name"] += call.function.name or ""
            made["pieces"].append(call.function.arguments or "")
    assert content == "I will look."
    assert reason == "tool_calls"
    assert [call["name"] for call in calls.values()] == ["weather", "clock"]
    assert json.loads("".join(calls[0]["pieces"])) == {"city": "Rome"}
    assert len(calls[0]["pieces"]) > 1


async def test_the_template_is_told_of_the_tools(
    openai: AsyncOpenAI, engine: ScriptedEngine
) -> None:
    await openai.chat.completions.create(model="default", messages=ASK, tools=[WEATHER])
    _, tools, _ = engine.tokenizer.chats[0]
    assert tools == [WEATHER]
    assert isinstance(engine.requests[0].sampling.constraint, StructuralTag)


async def test_none_means_that_nobody_knows_of_tools(
    openai: AsyncOpenAI, engine: ScriptedEngine
) -> None:
    engine.pieces = CALLS
    answer = await openai.chat.completions.create(
        model="default", messages=ASK, tools=[WEATHER], tool_choice="none"
    )
    assert engine.tokenizer.chats[0][1] is None
    assert engine.requests[0].sampling.constraint is None
    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].message.content == "".join(CALLS)


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("required", {"weather", "clock"}),
        ({"type": "function", "function": {"name": "clock"}}, {"clock"}),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [CLOCK]},
            },
            {"clock"},
        ),
    ],
)
async def test_a_call_can_be_demanded(
    http: httpx.AsyncClient, engine: ScriptedEngine, choice: Any, names: set[str]
) -> None:
    engine.pieces = ('<tool_call>{"name": "clock", "arguments": {}}</tool_call>',)
    response = await http.post(
        PATH, json={"messages": ASK, "tools": [WEATHER, CLOCK], "tool_choice": choice}
    )
    (made,) = response.json()["choices"]
    assert made["finish_reason"] == "tool_calls"
    assert made["message"]["content"] is None
    constraint = engine.requests[0].sampling.constraint
    assert isinstance(constraint, StructuralTag)
    assert {name for name in ("weather", "clock") if f'\\"{name}\\"' in constraint.tag} == names


async def test_whether_a_second_call_is_allowed(
    http: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    body = {"messages": ASK, "tools": [WEATHER], "tool_choice": "required"}
    await http.post(PATH, json=body)
    await http.post(PATH, json=body | {"parallel_tool_calls": False})
    tags = [request.sampling.constraint for request in engine.requests]
    assert tags[0] != tags[1]


async def test_a_request_with_stops_is_free_to_call_without_a_grammar(
    http: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    engine.pieces = ('<tool_call>{"name": "clock"}</tool_call>',)
    response = await http.post(PATH, json={"messages": ASK, "tools": [CLOCK], "stop": "###"})
    assert engine.requests[0].sampling.constraint is None
    assert response.json()["choices"][0]["finish_reason"] == "tool_calls"


async def test_a_call_that_is_cut_off_ends_by_length(
    http: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    engine.pieces = ('<tool_call>{"name": "clock", "arguments": {"a": 1}}</tool_call>',)
    body = {"messages": ASK, "tools": [CLOCK], "max_tokens": 45}
    (choice,) = (await http.post(PATH, json=body)).json()["choices"]
    assert choice["finish_reason"] == "length"


TOOL_ERRORS: list[tuple[dict[str, Any], str]] = [
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tools": [CLOCK, CLOCK]}, "tools"),
    ({"tools": [CLOCK] * 129}, "tools"),
    (
        {"tools": [CLOCK], "tool_choice": {"type": "function", "function": {"name": "no"}}},
        "tool_choice",
    ),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
    ({"tools": [{"type": "custom", "custom": {"name": "a"}}]}, "tools[0].type"),
    ({"tools": [CLOCK], "response_format": {"type": "json_object"}}, "response_format"),
    ({"functions": [{"name": "f"}]}, "functions"),
]


async def test_what_is_refused(http: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    for more, param in TOOL_ERRORS:
        response = await http.post(PATH, json={"messages": ASK} | more)
        assert response.status_code == 400, (more, response.text)
        assert response.json()["error"]["param"] == param
    assert engine.requests == []


@pytest.mark.parametrize("opening", ["assistant:", "assistant:<think>"])
async def test_a_call_is_no_reasoning(
    http: httpx.AsyncClient, engine: ScriptedEngine, opening: str
) -> None:
    """Forced tokens come with the one that ended the thinking."""
    engine.tokenizer.opening = opening
    call = '<tool_call>\n{"name": "clock", "arguments": {}}\n</tool_call>'
    thought = "<think>hm" if opening == "assistant:" else "hm"
    engine.pieces = (thought, f"m</think>\n{call}")
    body = {"tools": [CLOCK], "tool_choice": "required"}
    usage = (await http.post(PATH, json=body | {"messages": ASK})).json()["usage"]
    spent = usage["completion_tokens_details"]["reasoning_tokens"]
    # Of an opening marker only the token that ends it is known to be one.
    expected = len("hmm</think>") + (opening == "assistant:")
    assert spent == expected
    tools = [{"type": "function", "name": "clock"}]
    told = await http.post("/v1/responses", json=body | {"input": "hi", "tools": tools})
    assert told.json()["usage"]["output_tokens_details"]["reasoning_tokens"] == expected


async def test_text_without_reasoning_counts_none(
    http: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    engine.pieces = ("So <think>", "no</think>")
    answer = (await http.post(PATH, json={"messages": ASK})).json()
    assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0


async def test_special_markers_of_reasoning_count(
    http: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    class Special(ByteTokenizer):
        """Two control characters are the markers, which spell nothing by themselves."""

        def token_bytes(self, token: int) -> bytes:
            return b"" if token in (1, 2) else super().token_bytes(token)

        def token_text(self, token: int) -> str:
            return {1: "<think>", 2: "</think>"}.get(token) or super().token_text(token)

    engine.tokenizer = engine.front.tokenizer = Special()
    engine.pieces = ("\1hm", "\2yes")
    answer = (await http.post(PATH, json={"messages": ASK})).json()
    assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] == 4


@pytest.mark.parametrize(
    "wish",
    [{"reasoning_effort": "none"}, {"chat_template_kwargs": {"enable_thinking": False}}],
)
@pytest.mark.parametrize("choice", ["auto", "required"])
async def test_who_asks_for_no_reasoning_gets_no_room_for_it(
    http: httpx.AsyncClient, engine: ScriptedEngine, wish: dict[str, Any], choice: str
) -> None:
    body = {"messages": ASK, "tools": [CLOCK], "tool_choice": choice}
    await http.post(PATH, json=body)
    await http.post(PATH, json=body | wish)
    held = [request.sampling.constraint for request in engine.requests]
    assert all(isinstance(each, StructuralTag) for each in held)
    assert ["<think>" in each.tag for each in held] == [True, False]
