"""Models that say what they were told to."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.core import (
    ChatEvent,
    ChatMessage,
    ChatModel,
    ConfigError,
    Delta,
    Finish,
    FinishReason,
    GenerationOptions,
    Overloaded,
    Role,
    ToolCall,
    ToolSpec,
)
from rostra.models import ScriptedModel, ScriptEnded, Turn, complete, load_script, make_model

HELLO = [ChatMessage(Role.USER, "hello there")]
CALL = ToolCall("c", "find", '{"q": "Rome"}')


async def events_of(model: ChatModel, **options: Any) -> list[ChatEvent]:
    return [event async for event in model.stream(HELLO, GenerationOptions(**options))]


@given(st.text(), st.integers(1, 12))
async def test_a_text_comes_whole_or_cut_between_words(text: str, most: int) -> None:
    model = ScriptedModel([text])
    answer = await complete(model, HELLO, GenerationOptions(max_tokens=most))
    assert text.startswith(answer.text)
    cut = len(text.split()) > most
    assert (answer.text != text) <= cut
    assert answer.finish is (FinishReason.LENGTH if cut else FinishReason.STOP)
    assert answer.usage["completion_tokens"] == len(answer.text.split()) <= most
    assert answer.usage["prompt_tokens"] == 2


async def test_turns_follow_each_other_and_end() -> None:
    model = ScriptedModel(["one", Turn("two")])
    assert isinstance(model, ChatModel)
    assert [(await complete(model, HELLO, GenerationOptions())).text for _ in "ab"] == [
        "one",
        "two",
    ]
    with pytest.raises(ScriptEnded):
        await events_of(model)
    assert len(model.seen) == 3
    assert model.seen[0] == (tuple(HELLO), GenerationOptions())
    again = ScriptedModel(["one"], loop=True)
    assert [await events_of(again) for _ in range(3)][2][0] == Delta("one")


async def test_a_function_of_the_request() -> None:
    model = ScriptedModel(lambda messages, options: messages[-1].content.upper())
    answers = await asyncio.gather(
        *(
            complete(model, [ChatMessage(Role.USER, word)], GenerationOptions())
            for word in ("a", "b")
        )
    )
    assert [answer.text for answer in answers] == ["A", "B"]


async def test_calls_follow_the_text() -> None:
    model = ScriptedModel([Turn("Let me see.", (CALL,))])
    *rest, end = await events_of(model)
    assert rest == [Delta("Let"), Delta(" me"), Delta(" see."), CALL]
    assert isinstance(end, Finish)
    assert end.reason is FinishReason.TOOL_CALLS
    assert end.usage["completion_tokens"] == 6


async def test_calls_that_do_not_fit_are_not_made() -> None:
    model = ScriptedModel([Turn("a b", (CALL,))], loop=True)
    *rest, end = await events_of(model, max_tokens=4)
    assert "".join(d.text for d in rest if isinstance(d, Delta)) == "a b"
    assert CALL not in rest
    assert isinstance(end, Finish)
    assert end.reason is FinishReason.LENGTH
    *rest, end = await events_of(model, stop=("b",))
    assert rest == [Delta("a ")]


async def test_errors_come_where_they_are_told_to() -> None:
    seen: list[ChatEvent] = []
    model = ScriptedModel([Turn("half", raises=Overloaded("full"))])
    with pytest.raises(Overloaded):
        async for event in model.stream(HELLO, GenerationOptions()):
            seen.append(event)
    assert seen == [Delta("half")]
    assert model.open == 0


async def test_leaving_ends_it() -> None:
    model = ScriptedModel([Turn("a b c", delay_events=3)])
    stream = model.stream(HELLO, GenerationOptions())
    await anext(stream)
    assert model.open == 1
    await stream.aclose()
    assert model.open == 0


async def test_tokens_are_counted_as_they_are_told() -> None:
    tool = ToolSpec("find", "Finds a page", {"type": "object"})
    messages = [*HELLO, ChatMessage(Role.ASSISTANT, "", (CALL,))]
    options = GenerationOptions(tools=(tool,))
    model = ScriptedModel(["x"])
    counted = await model.count_tokens(messages, options)
    assert counted == 2 + 3 + 1 + 3 + 2
    assert (await complete(model, messages, options)).usage["prompt_tokens"] == counted


async def test_a_script_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "script.jsonl"
    path.write_text(
        '"plain"\n\n{"text": "t", "calls": [{"name": "find", "arguments": {"q": 1}}]}\n', "utf-8"
    )
    model = make_model(script=path)
    assert isinstance(model, ScriptedModel)
    assert (await complete(model, HELLO, GenerationOptions())).text == "plain"
    answer = await complete(model, HELLO, GenerationOptions())
    assert answer.calls == (ToolCall("call_3_0", "find", '{"q": 1}'),)


@pytest.mark.parametrize("line", ["{", '{"txt": 1}', "[]", "5", '"\\ud800"', "[" * 100_000])
def test_a_script_that_cannot_be_read(tmp_path: Path, line: str) -> None:
    path = tmp_path / "script.jsonl"
    path.write_text(f'"fine"\n{line}\n', "utf-8")
    with pytest.raises(ConfigError, match="line 2"):
        load_script(path)
    with pytest.raises(ConfigError):
        load_script(tmp_path / "nowhere")


def conversation(*said: str | ToolCall) -> list[ChatMessage]:
    """A task, then what a model said, each time with what came of it."""
    messages = [*HELLO]
    for number, one in enumerate(said):
        if isinstance(one, ToolCall):
            # Who executes calls names them anew.
            call = ToolCall(f"{number}.0", one.name, one.arguments)
            messages.append(ChatMessage(Role.ASSISTANT, "", (call,)))
        else:
            messages.append(ChatMessage(Role.ASSISTANT, one))
        messages.append(ChatMessage(Role.USER, "go on"))
    return messages


SCRIPTS: list[list[str | ToolCall]] = [
    ["a", "b", "c"],
    ["a", "a", "b", "a", "b"],
    [CALL, ToolCall("d", "find", "{}"), "done"],
]


@pytest.mark.parametrize("script", SCRIPTS)
async def test_a_conversation_that_another_process_began_is_gone_on_with(
    script: list[str | ToolCall],
) -> None:
    turns = [one if isinstance(one, str) else Turn(calls=(one,)) for one in script]
    for cut in range(len(script)):
        model = ScriptedModel(turns)
        for at in range(cut, len(script)):
            answer = await complete(model, conversation(*script[:at]), GenerationOptions())
            said = answer.calls[0] if answer.calls else answer.text
            assert said == script[at], (cut, at)
        with pytest.raises(ScriptEnded):
            await complete(model, conversation(*script), GenerationOptions())


async def test_where_the_beginning_of_a_conversation_was_dropped() -> None:
    model = ScriptedModel(["a", "b", "c", "d"])
    answer = await complete(model, conversation("a", "b", "c")[-2:], GenerationOptions())
    assert answer.text == "d"


async def test_a_conversation_that_begins_anew_gets_the_next_turn() -> None:
    model = ScriptedModel(["plan", "a", "b", "sum"])
    asked = [conversation(), conversation(), conversation("a"), conversation()]
    said = [(await complete(model, each, GenerationOptions())).text for each in asked]
    assert said == ["plan", "a", "b", "sum"]
    # Words of somebody else are no turn of the script.
    other = ScriptedModel(["one", "two"])
    assert (await complete(other, conversation("hm", "well"), GenerationOptions())).text == "one"
