"""The engine as the platform's generator."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from rostra.core import (
    ChatMessage,
    ChatModel,
    Delta,
    Finish,
    FinishReason,
    GenerationOptions,
    InvalidRequest,
    KnowsContext,
    Role,
)
from rostra.core import Regex as RegexConstraint
from rostra.serving.config import EngineConfig
from rostra.serving.engine.chat import EngineChatModel, LocalChatModel, chat_prompt, sampling_of
from rostra.serving.engine.client import AsyncEngine
from rostra.serving.engine.engine import Engine
from rostra.serving.engine.frontend import Front
from rostra.serving.errors import InvalidGrammar, PromptTooLong
from rostra.serving.models.config import read_config
from tests.fakes_serving import fake_front
from tests.unit.serving.conftest import Checkpoint

HELLO = [ChatMessage(Role.SYSTEM, "be"), ChatMessage(Role.USER, "hello")]
PROMPT = "system: be\nuser: hello\n"


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(
        "fake",
        EngineConfig(max_context=64),
        core="tests.fakes_serving:FakeCore",
        front=fake_front,
        locate=Path,
    ) as made:
        yield made


async def test_an_answer(engine: Engine) -> None:
    model = LocalChatModel(engine)
    assert isinstance(model, ChatModel)
    assert model.name == "fake"
    events = [event async for event in model.stream(HELLO, GenerationOptions(max_tokens=10))]
    *deltas, finish = events
    assert "".join(d.text for d in deltas if isinstance(d, Delta)) == PROMPT[:10]
    assert isinstance(finish, Finish)
    assert finish.reason is FinishReason.LENGTH
    assert finish.usage == {
        "prompt_tokens": len(PROMPT),
        "cached_tokens": 0,
        "completion_tokens": 10,
    }


async def test_a_stop_string(engine: Engine) -> None:
    options = GenerationOptions(max_tokens=30, stop=("user",))
    events = [event async for event in LocalChatModel(engine).stream(HELLO, options)]
    assert "".join(d.text for d in events if isinstance(d, Delta)) == "system: be\n"
    assert isinstance(events[-1], Finish)
    assert events[-1].reason is FinishReason.STOP


async def test_new_tokens_are_cut_to_the_context(engine: Engine) -> None:
    options = GenerationOptions(max_tokens=10_000)
    events = [event async for event in LocalChatModel(engine).stream(HELLO, options)]
    assert isinstance(events[-1], Finish)
    assert events[-1].usage["completion_tokens"] == 64 - len(PROMPT)


async def test_a_prompt_that_fills_the_context_is_refused(engine: Engine) -> None:
    messages = [ChatMessage(Role.USER, "x" * 57)]
    with pytest.raises(PromptTooLong, match="64"):
        await anext(LocalChatModel(engine).stream(messages, GenerationOptions()))


async def test_a_constraint_that_cannot_be_kept_is_refused(engine: Engine) -> None:
    options = GenerationOptions(max_tokens=5, constraint=RegexConstraint("wrong"))
    with pytest.raises(InvalidGrammar):
        await anext(LocalChatModel(engine).stream(HELLO, options))


async def test_leaving_aborts(engine: Engine) -> None:
    stream = LocalChatModel(engine).stream(HELLO, GenerationOptions(max_tokens=40))
    await anext(stream)
    await stream.aclose()
    assert engine.stats().steps < 40
    engine.generate("x")
    assert engine.stats().running == 0


async def test_a_cancelled_reader_aborts(engine: Engine) -> None:
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in LocalChatModel(engine).stream(HELLO, GenerationOptions(max_tokens=40)):
            begun.set()

    reader = asyncio.create_task(read())
    await begun.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await asyncio.to_thread(engine.generate, "x")
    assert engine.stats().running == 0


def test_options_mean_what_they_say() -> None:
    constraint = RegexConstraint("a")
    options = GenerationOptions(7, 0.5, 3, ("s",), constraint, "space")
    sampling = sampling_of(options, 10, 15)
    assert (sampling.max_tokens, sampling.temperature, sampling.seed) == (5, 0.5, 3)
    assert (sampling.stop, sampling.constraint) == (("s",), constraint)


class _NoSystem:
    """A chat template as Gemma's: it refuses system messages."""

    def apply_chat(self, messages: list[dict[str, str]]) -> list[int]:
        self.seen = messages
        if messages[0]["role"] == "system":
            raise InvalidRequest("the template refuses a system message")
        return [1]


def test_a_template_without_system_messages_gets_their_text_from_the_user() -> None:
    tokenizer = _NoSystem()
    front = Front(tokenizer=tokenizer, decoders=None, compiler=None)  # type: ignore[arg-type]
    messages = [ChatMessage(Role.SYSTEM, "Be brief."), ChatMessage(Role.USER, "Why?")]
    assert chat_prompt(front, messages) == [1]
    assert tokenizer.seen == [{"role": "user", "content": "Be brief.\n\nWhy?"}]
    with pytest.raises(InvalidRequest):
        chat_prompt(front, [ChatMessage(Role.SYSTEM, "Alone.")])


async def test_the_context_is_known(engine: Engine, checkpoint: Checkpoint, tmp_path: Path) -> None:
    assert isinstance(LocalChatModel(engine), KnowsContext)
    assert await LocalChatModel(engine).max_context() == engine.info.max_context == 64
    # Before a model is loaded too: settings say it, or else the checkpoint.
    folder = checkpoint(tokenizer=False)
    stated = read_config(folder).max_context
    assert await EngineChatModel(AsyncEngine(folder)).max_context() == stated
    limited = AsyncEngine(folder, EngineConfig(max_context=48))
    assert await EngineChatModel(limited).max_context() == 48
    assert await EngineChatModel(AsyncEngine(tmp_path / "nowhere")).max_context() is None
