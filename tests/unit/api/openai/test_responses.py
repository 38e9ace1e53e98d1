"""Responses: at once, as events, and continued."""

from typing import Any

import httpx
import pytest
from openai import APIError, AsyncOpenAI, BadRequestError, NotFoundError

from rostra.api.openai.response_store import KeptResponse, ResponseNotFound, ResponseStore
from rostra.core import AnyJson, JsonSchema
from rostra.serving import EngineDied
from tests.openai_schema import check_body
from tests.scripted_engine import ScriptedEngine

PATH = "/v1/responses"
LOOK: Any = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": False}
THOUGHT_AND_CALLED = (
    "<think>where",
    "?</think>\n\nI will look.\n<tool_call>",
    '{"name": "look", "arguments": {"at": ',
    "1}}</tool_call>",
)


async def test_a_response(openai: AsyncOpenAI, engine: ScriptedEngine) -> None:
    response = await openai.responses.create(
        model="default",
        input="hi",
        instructions="be brief",
        max_output_tokens=50,
        temperature=0,
        metadata={"a": "b"},
    )
    assert response.output_text == "Hello!"
    assert response.status == "completed"
    assert response.instructions == "be brief"
    assert response.metadata == {"a": "b"}
    assert response.usage is not None
    assert response.usage.output_tokens == 6
    assert response.usage.total_tokens == 6 + response.usage.input_tokens
    (request,) = engine.requests
    assert (request.sampling.temperature, request.sampling.max_tokens) == (0, 50)
    messages = engine.tokenizer.chats[0][0]
    assert [(m["role"], m["content"]) for m in messages] == [("system", "be brief"), ("user", "hi")]


async def test_bodies_are_as_openai_describes_them(
    http: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    engine.pieces = THOUGHT_AND_CALLED
    body = {
        "input": "hi",
        "tools": [LOOK],
        "include": ["message.output_text.logprobs"],
        "top_logprobs": 2,
        "text": {"format": {"type": "text"}},
    }
    response = await http.post(PATH, json=body)
    assert response.status_code == 200, response.text
    whole = response.json()
    check_body("Response", whole)
    kinds = [item["type"] for item in whole["output"]]
    assert kinds == ["reasoning", "message", "function_call"]
    assert whole["output"][0]["content"][0]["text"] == "where?"
    assert whole["output"][1]["content"][0]["text"] == "I will look."
    assert whole["output"][1]["content"][0]["logprobs"]
    assert whole["output"][2]["arguments"] == '{"at": 1}'
    assert whole["usage"]["output_tokens_details"]["reasoning_tokens"] > 0


async def test_events_add_up_to_the_response(openai: AsyncOpenAI, engine: ScriptedEngine) -> None:
    engine.pieces = THOUGHT_AND_CALLED
    stream = await openai.responses.create(model="default", input="hi", tools=[LOOK], stream=True)
    events = [event.model_dump(exclude_unset=True) async for event in stream]
    for event in events:
        check_body("ResponseStreamEvent", event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert kinds[:2] == ["created", "in_progress"]
    assert kinds[-1] == "completed"
    output = events[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["reasoning", "message", "function_call"]
    told: dict[int, str] = {}
    for event in events:
        if event["type"].endswith(".delta"):
            at = event["output_index"]
            told[at] = told.get(at, "") + event["delta"]
    assert told[0] == output[0]["content"][0]["text"] == "where?"
    assert told[1] == output[1]["content"][0]["text"] == "I will look."
    assert told[2] == output[2]["arguments"] == '{"at": 1}'
    for at, item in enumerate(output):
        own = [k for e, k in zip(events, kinds, strict=True) if e.get("output_index") == at]
        assert own[0] == "output_item.added"
        assert own[-1] == "output_item.done"
        assert {e["item_id"] for e in events if e.get("output_index") == at and "item_id" in e} == {
            item["id"]
        }


async def test_the_limit_makes_a_response_incomplete(openai: AsyncOpenAI) -> None:
    whole = await openai.responses.create(model="default", input="hi", max_output_tokens=3)
    assert whole.status == "incomplete"
    assert whole.incomplete_details is not None
    assert whole.incomplete_details.reason == "max_output_tokens"
    stream = await openai.responses.create(
        model="default", input="hi", max_output_tokens=3, stream=True
    )
    assert [event.type async for event in stream][-1] == "response.incomplete"


@pytest.mark.parametrize(
    ("form", "constraint"),
    [
        ({"type": "json_object"}, AnyJson()),
        (
            {"type": "json_schema", "name": "s", "schema": {}, "strict": True},
            JsonSchema("{}", strict=True),
        ),
    ],
)
async def test_a_text_format_is_a_constraint(
    openai: AsyncOpenAI, engine: ScriptedEngine, form: Any, constraint: Any
) -> None:
    engine.pieces = ("{}",)
    await openai.responses.create(model="default", input="hi", text={"format": form})
    assert engine.requests[0].sampling.constraint == constraint


async def test_a_response_is_continued(openai: AsyncOpenAI, engine: ScriptedEngine) -> None:
    engine.pieces = THOUGHT_AND_CALLED
    first = await openai.responses.create(
        model="default", input="hi", tools=[LOOK], instructions="one"
    )
    call = first.output[-1]
    assert call.type == "function_call"
    engine.pieces = ("42",)
    second = await openai.responses.create(
        model="default",
        previous_response_id=first.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "42"}],
        instructions="two",
    )
    assert second.output_text == "42"
    messages = engine.tokenizer.chats[-1][0]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool"]
    assert messages[0]["content"] == "two"
    assert messages[2]["content"] == "I will look."
    assert messages[2]["tool_calls"][0]["id"] == messages[3]["tool_call_id"] == call.call_id
    kept = await openai.responses.retrieve(second.id)
    assert kept.output_text == "42"
    await openai.responses.delete(second.id)
    with pytest.raises(NotFoundError):
        await openai.responses.retrieve(second.id)


async def test_a_response_that_is_not_to_be_kept_is_not(openai: AsyncOpenAI) -> None:
    first = await openai.responses.create(model="default", input="hi", store=False)
    with pytest.raises(NotFoundError) as caught:
        await openai.responses.create(model="default", input="on", previous_response_id=first.id)
    assert caught.value.param == "previous_response_id"


async def test_items_that_make_up_a_turn_become_one_message(
    openai: AsyncOpenAI, engine: ScriptedEngine
) -> None:
    conversation: Any = [
        {"role": "user", "content": "hi"},
        {"type": "reasoning", "id": "r", "summary": [],
         "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"type": "message", "role": "assistant", "id": "m", "status": "completed",
         "content": [{"type": "output_text", "text": "look", "annotations": []}]},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "function_call_output", "call_id": "c2",
         "output": [{"type": "input_text", "text": "2"}]},
    ]  # fmt: skip
    await openai.responses.create(model="default", input=conversation)
    messages = engine.tokenizer.chats[0][0]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "tool"]
    assert messages[1]["reasoning_content"] == "hm"
    assert [call["id"] for call in messages[1]["tool_calls"]] == ["c1", "c2"]
    assert messages[3]["content"] == "2"


async def test_a_failure_is_an_event_and_the_end(
    openai: AsyncOpenAI, http: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    engine.pieces = ("Hel", EngineDied("it died"))
    stream = await openai.responses.create(model="default", input="hi", stream=True)
    events = [event async for event in stream]
    check_body("ResponseErrorEvent", events[-1].model_dump(exclude_unset=True))
    assert events[-1].type == "error"
    engine.pieces = (EngineDied("it died"),)
    with pytest.raises(APIError):
        await openai.responses.create(model="default", input="hi", stream=True)


async def test_a_reader_who_leaves_ends_the_generation(
    openai: AsyncOpenAI, engine: ScriptedEngine
) -> None:
    engine.gate_before = 1
    stream = await openai.responses.create(model="default", input="hi", stream=True)
    async for _ in stream:
        break
    await engine.waiting.wait()
    await stream.close()
    await engine.left.wait()
    assert (engine.open, engine.aborted) == (0, 1)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"background": True}, "background"),
    ({"truncation": "auto"}, "truncation"),
    ({"conversation": "c"}, "conversation"),
    ({"include": ["file_search_call.results"]}, "include"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
    ({"input": []}, "input"),
    ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
    ({"input": [{"role": "user", "content": "a", "x": 1}]}, "input[0].x"),
    ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
     "input[0].content[0].type"),
    ({"text": {"verbosity": "low"}}, "text.verbosity"),
    ({"max_output_tokens": 0}, "max_output_tokens"),
    ({"nonsense": 1}, "nonsense"),
]  # fmt: skip


async def test_what_is_refused(openai: AsyncOpenAI, engine: ScriptedEngine) -> None:
    for more, param in REFUSED:
        with pytest.raises(BadRequestError) as caught:
            await openai.post("/responses", body={"input": "hi"} | more, cast_to=object)
        assert caught.value.param == param
    assert engine.requests == []


def test_the_store_forgets_the_oldest() -> None:
    store = ResponseStore(most=2, most_bytes=100)
    for name in "abc":
        store.put(name, KeptResponse(b"", [], 10))
    with pytest.raises(ResponseNotFound):
        store.get("a")
    store.put("d", KeptResponse(b"", [], 95))
    with pytest.raises(ResponseNotFound):
        store.get("c")
    store.put("huge", KeptResponse(b"", [], 101))
    assert store.get("d").size == 95
    store.delete("d")
    store.put("e", KeptResponse(b"", [], 100))
    assert store.get("e").size == 100
