"""A remote model whose endpoint is this platform's own /v1."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn

from rostra.api import create_app
from rostra.core import (
    ChatMessage,
    Delta,
    Finish,
    FinishReason,
    GenerationOptions,
    JsonSchema,
    Regex,
    Role,
    Settings,
    StructuralTag,
    ToolSpec,
)
from rostra.models import (
    Backoff,
    OpenAIModel,
    RemoteOverloaded,
    RemoteRefused,
    RemoteUnavailable,
    complete,
)
from rostra.runtime import Runtime, open_runtime
from rostra.serving import QueueFull
from tests.fakes import FakeEmbedder
from tests.integration.models.conftest import served
from tests.scripted_engine import ScriptedEngine

HELLO = [ChatMessage(Role.USER, "hello")]
FIND = ToolSpec(
    "find", "Finds a page.", {"type": "object", "properties": {"q": {"type": "string"}}}
)


@pytest.fixture
def engine() -> ScriptedEngine:
    """What a test changes to have other things said."""
    return ScriptedEngine()


async def no_pause(seconds: float) -> None:
    """The server asks to wait a second."""
    assert seconds >= 1


@pytest.fixture
async def model(
    settings: Settings, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[OpenAIModel]:
    monkeypatch.setattr("rostra.runtime.runtime.load_embedder", lambda _: FakeEmbedder())

    @asynccontextmanager
    async def runtime() -> AsyncIterator[Runtime]:
        async with open_runtime(settings) as opened:
            opened.engine = engine  # type: ignore[assignment] # same interface
            yield opened

    config = uvicorn.Config(create_app(settings, runtime, static=tmp_path), log_config=None)
    async with served(config) as url:
        made = OpenAIModel(
            f"{url}/v1",
            "default",
            backoff=Backoff(pause=no_pause),
            retries=1,
            structured_outputs=True,
            logprobs=True,
        )
        yield made
        await made.close()


async def test_an_answer(model: OpenAIModel, engine: ScriptedEngine) -> None:
    events = [e async for e in model.stream(HELLO, GenerationOptions(max_tokens=9, seed=3))]
    assert "".join(e.text for e in events if isinstance(e, Delta)) == "Hello!"
    assert isinstance(events[-1], Finish)
    assert events[-1].reason is FinishReason.STOP
    (request,) = engine.requests
    assert events[-1].usage == {
        "prompt_tokens": len(request.prompt),
        "completion_tokens": 6,
        "cached_tokens": 0,
    }
    assert (request.sampling.max_tokens, request.sampling.temperature) == (9, 0.0)


async def test_a_limit_and_a_probability(model: OpenAIModel) -> None:
    answer = await complete(model, HELLO, GenerationOptions(max_tokens=4))
    assert (answer.text, answer.finish) == ("Hell", FinishReason.LENGTH)
    assert answer.confidence == pytest.approx(2.718281828459045**-0.5)


async def test_calls(model: OpenAIModel, engine: ScriptedEngine) -> None:
    engine.pieces = (
        "I look.\n<tool_",
        'call>\n{"name": "find", "argum',
        'ents": {"q": "Ro',
        'me"}}\n</tool_call>\n<tool_call>{"name": "find", "arguments": {}}</tool_call>',
    )
    answer = await complete(model, HELLO, GenerationOptions(tools=(FIND,)))
    assert answer.text == "I look."
    assert [(call.name, call.arguments) for call in answer.calls] == [
        ("find", '{"q": "Rome"}'),
        ("find", "{}"),
    ]
    assert answer.finish is FinishReason.TOOL_CALLS
    # And back again, with what the calls gave.
    results = [ChatMessage(Role.TOOL, "found", call_id=call.id) for call in answer.calls]
    said = ChatMessage(Role.ASSISTANT, answer.text, answer.calls)
    await complete(model, [*HELLO, said, *results], GenerationOptions(tools=(FIND,)))
    messages, tools, _ = engine.tokenizer.chats[-1]
    assert [one["role"] for one in messages] == ["user", "assistant", "tool", "tool"]
    assert messages[1]["tool_calls"][0]["function"]["name"] == "find"
    assert messages[2]["tool_call_id"] == answer.calls[0].id
    assert tools[0]["function"]["description"] == "Finds a page."


async def test_constraints_reach_the_engine(model: OpenAIModel, engine: ScriptedEngine) -> None:
    held = [Regex("a+"), StructuralTag('{"type":"x"}')]
    for constraint in held:
        await complete(model, HELLO, GenerationOptions(constraint=constraint))
    await complete(model, HELLO, GenerationOptions(constraint=JsonSchema('{"type":"object"}')))
    kept = [request.sampling.constraint for request in engine.requests]
    assert kept == [*held, JsonSchema('{"type":"object"}')]


async def test_refusals_and_overload(model: OpenAIModel, engine: ScriptedEngine) -> None:
    with pytest.raises(RemoteRefused, match="context") as refused:
        await complete(model, [ChatMessage(Role.USER, "x" * 5000)], GenerationOptions())
    assert refused.value.details["remote_code"] == "context_length_exceeded"
    engine.pieces = (QueueFull("full"),)
    with pytest.raises(RemoteOverloaded, match="full"):
        await complete(model, HELLO, GenerationOptions())


async def test_an_engine_that_fails_within_its_answer(
    model: OpenAIModel, engine: ScriptedEngine
) -> None:
    engine.pieces = ("half", QueueFull("died"), "never")
    seen: list[object] = []
    with pytest.raises(RemoteUnavailable, match="died"):
        async for event in model.stream(HELLO, GenerationOptions()):
            seen.append(event)
    assert seen == [Delta("half")]


async def test_leaving_ends_the_generation(model: OpenAIModel, engine: ScriptedEngine) -> None:
    engine.pieces = ("one", "two", "three")
    engine.gate_before = 1
    reader = asyncio.create_task(complete(model, HELLO, GenerationOptions()))
    await engine.waiting.wait()
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    await engine.left.wait()
    assert engine.open == 0
