"""Native tool calls through the engines as the platform's generator."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from rostra.core import (
    ChatEvent,
    ChatMessage,
    Constraint,
    Delta,
    Finish,
    FinishReason,
    GenerationOptions,
    InvalidRequest,
    Regex,
    Role,
    StructuralTag,
    ToolCall,
    ToolSpec,
)
from rostra.serving.config import EngineConfig
from rostra.serving.engine.chat import EngineChatModel, LocalChatModel
from rostra.serving.engine.engine import Engine
from rostra.serving.errors import UnsupportedSchema
from tests.checkpoints import make_checkpoint
from tests.scripted_engine import ByteTokenizer, ScriptedEngine

HELLO = [ChatMessage(Role.SYSTEM, "be"), ChatMessage(Role.USER, "hello")]
CITY: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"enum": ["Rome", "Bonn"]}, "days": {"type": "integer", "maximum": 99}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
WEATHER = ToolSpec("weather", "Tells the weather.", CITY)
CLOCK = ToolSpec("clock", "Tells the time.", {"type": "object"})
TOOLS = (WEATHER, CLOCK)
CALLS = (
    "<think>Rome it",
    " is.</think>I will",
    " look.\n<tool_",
    'call>\n{"name": "weather", "argum',
    'ents": {"city": "Ro',
    'me", "days": 2}}\n</tool_call>\n<tool_call>{"name": "clock", "arguments": {}}</tool_call>',
)


async def ask(
    engine: ScriptedEngine, messages: Sequence[ChatMessage] = HELLO, **options: Any
) -> list[ChatEvent]:
    model = EngineChatModel(engine)  # type: ignore[arg-type] # same interface
    given = {"tools": TOOLS} | options
    return [event async for event in model.stream(messages, GenerationOptions(**given))]


def text_of(events: Sequence[ChatEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def calls_of(events: Sequence[ChatEvent]) -> list[tuple[str, str]]:
    return [(event.name, event.arguments) for event in events if isinstance(event, ToolCall)]


def reason_of(events: Sequence[ChatEvent]) -> FinishReason:
    assert isinstance(events[-1], Finish)
    return events[-1].reason


async def test_calls_come_whole_and_thoughts_stay_hidden() -> None:
    engine = ScriptedEngine(pieces=CALLS)
    events = await ask(engine)
    assert text_of(events) == "I will look."
    assert calls_of(events) == [("weather", '{"city": "Rome", "days": 2}'), ("clock", "{}")]
    assert len({event.id for event in events if isinstance(event, ToolCall)}) == 2
    assert reason_of(events) is FinishReason.TOOL_CALLS
    _, tools, _ = engine.tokenizer.chats[-1]
    assert [tool["function"] for tool in tools] == [
        {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
        for tool in TOOLS
    ]


async def test_calls_are_held_to_their_schemas() -> None:
    engine = ScriptedEngine()
    events = await ask(engine)
    assert text_of(events) == "Hello!"
    assert reason_of(events) is FinishReason.STOP
    held = engine.requests[0].sampling.constraint
    assert isinstance(held, StructuralTag)
    assert '"Rome"' in held.tag


async def test_stop_strings_leave_calls_free() -> None:
    engine = ScriptedEngine(pieces=CALLS)
    events = await ask(engine, stop=("never",))
    assert engine.requests[0].sampling.constraint is None
    assert len(calls_of(events)) == 2


class _Refusing:
    """A compiler to which every grammar is beyond its means."""

    async def compile(self, constraint: Constraint, *, max_tokens: int) -> bytes:
        raise UnsupportedSchema("cannot be enforced")


async def test_a_schema_beyond_the_grammar_leaves_calls_free() -> None:
    engine = ScriptedEngine(pieces=CALLS)
    engine.front.compiler = _Refusing()  # type: ignore[assignment] # only this is asked of it
    assert len(calls_of(await ask(engine))) == 2
    assert engine.requests[0].sampling.constraint is None


@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>{"name": "unknown", "arguments": {}}</tool_call>',
        '<tool_call>{"name": "weather", "argu',
        "<tool_call>weather()</tool_call>",
    ],
)
async def test_what_is_no_call_is_text(text: str) -> None:
    events = await ask(ScriptedEngine(pieces=(text,)))
    assert text_of(events) == text
    assert calls_of(events) == []
    assert reason_of(events) is FinishReason.STOP


async def test_text_cut_by_the_limit_says_so() -> None:
    events = await ask(ScriptedEngine(), max_tokens=6)
    # The script says that it stopped, as a grammar does that had to end here.
    assert (text_of(events), reason_of(events)) == ("Hello!", FinishReason.LENGTH)


async def test_tools_and_a_constraint_exclude_each_other() -> None:
    with pytest.raises(InvalidRequest, match="exclude"):
        await ask(ScriptedEngine(), constraint=Regex("a"))


CONVERSATION = [
    *HELLO,
    ChatMessage(Role.ASSISTANT, "Wait.", (ToolCall("call:1", "clock", "{}"),)),
    ChatMessage(Role.TOOL, "noon", call_id="call:1"),
]


async def test_earlier_calls_are_rendered() -> None:
    engine = ScriptedEngine()
    await ask(engine, CONVERSATION)
    messages, _, _ = engine.tokenizer.chats[-1]
    function = {"name": "clock", "arguments": "{}"}
    assert messages[2:] == [
        {
            "role": "assistant",
            "content": "Wait.",
            "tool_calls": [{"id": "call:1", "type": "function", "function": function}],
        },
        {"role": "tool", "content": "noon", "tool_call_id": "call:1"},
    ]


async def test_ids_that_mistral_does_not_take_are_made_anew() -> None:
    engine = ScriptedEngine(tokenizer=ByteTokenizer("{# [TOOL_CALLS] #}"))
    await ask(engine, CONVERSATION)
    messages, _, _ = engine.tokenizer.chats[-1]
    (call,) = messages[2]["tool_calls"]
    assert call["id"] == messages[3]["tool_call_id"]
    assert len(call["id"]) == 9
    assert call["id"].isalnum()


async def test_tokens_are_those_of_the_prompt() -> None:
    engine = ScriptedEngine()
    model = EngineChatModel(engine)  # type: ignore[arg-type] # same interface
    counted = await model.count_tokens(CONVERSATION, GenerationOptions(tools=TOOLS))
    await ask(engine, CONVERSATION)
    assert counted == len(engine.requests[0].prompt)


# --- A real decoder with random weights ---


LLAMA_TEMPLATE = """\
{{- bos_token }}{# <|python_tag|> #}
{%- for tool in tools or [] %}{{- tool | tojson + '\\n' }}{%- endfor %}
{%- for message in messages %}{{- message.role + ':' + message.content + '\\n' }}
{%- for call in message.tool_calls or [] %}{{- call.function | tojson + '\\n' }}{%- endfor %}
{%- endfor %}{{- 'assistant:' }}"""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder: Path = make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny", "llama3")
    (folder / "chat_template.jinja").write_text(LLAMA_TEMPLATE, "utf-8")
    _prefer(folder, "[TOOL_CALLS]")
    with Engine(folder, EngineConfig(dtype="float32", kv_memory_bytes=8_000_000)) as made:
        yield made


def _prefer(folder: Path, text: str) -> None:
    """Raises the logits of a text's tokens at every position, so that it is nearly always drawn."""
    tokens = Tokenizer.from_file(str(folder / "tokenizer.json"))
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"][:, 0] = 1.0  # a sum that all hidden states share
    weights["lm_head.weight"][:, 0] = 0.0
    weights["lm_head.weight"][tokens.encode(text, add_special_tokens=False).ids, 0] = 2.0
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


async def test_every_call_of_a_random_model_is_valid(real: Engine) -> None:
    model = LocalChatModel(real)

    async def draw(seed: int) -> list[tuple[str, str]]:
        options = GenerationOptions(max_tokens=40, temperature=1.5, seed=seed, tools=TOOLS)
        *events, end = [event async for event in model.stream(HELLO, options)]
        assert isinstance(end, Finish)
        used = end.usage["completion_tokens"]
        assert used <= 40
        calls = calls_of(events)
        if calls:
            assert end.reason is FinishReason.TOOL_CALLS
        else:
            assert end.reason is (FinishReason.LENGTH if used == 40 else FinishReason.STOP)
        return calls

    drawn = await asyncio.gather(*(draw(seed) for seed in range(120)))
    made = [call for calls in drawn for call in calls]
    assert len(made) >= 100
    for name, arguments in made:
        schema = {"weather": CITY, "clock": CLOCK.parameters}[name]
        jsonschema.validate(json.loads(arguments), schema)


async def test_a_tool_that_no_grammar_holds_does_not_stop_the_others(real: Engine) -> None:
    broken = ToolSpec("broken", "", {"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}})
    options = GenerationOptions(max_tokens=5, tools=(*TOOLS, broken))
    *_, end = [event async for event in LocalChatModel(real).stream(HELLO, options)]
    assert isinstance(end, Finish)


async def test_a_real_prompt_is_counted_as_it_is_used(real: Engine) -> None:
    model = LocalChatModel(real)
    options = GenerationOptions(max_tokens=3, tools=TOOLS)
    *_, end = [event async for event in model.stream(CONVERSATION, options)]
    assert isinstance(end, Finish)
    assert await model.count_tokens(CONVERSATION, options) == end.usage["prompt_tokens"]
    assert await model.count_tokens(CONVERSATION, GenerationOptions()) < end.usage["prompt_tokens"]
