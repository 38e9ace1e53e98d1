"""Requests through the engine's process and its client, over a scripted core."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from rostra.core import ChatMessage, Delta, GenerationOptions, JsonSchema, ModelUnavailable, Role
from rostra.serving.config import EngineConfig
from rostra.serving.engine.chat import EngineChatModel
from rostra.serving.engine.client import AsyncEngine, EngineState
from rostra.serving.errors import InvalidParameter, NeverFits, QueueFull
from rostra.serving.request import FinishReason, SamplingParams
from tests.fakes_serving import STAY, fake_engine, idle, outputs_of, text_of

LONG = SamplingParams(max_tokens=4000)


@pytest.fixture
async def engine() -> AsyncIterator[AsyncEngine]:
    made = fake_engine()
    yield made
    await made.close()


async def test_the_first_need_loads(engine: AsyncEngine) -> None:
    assert (engine.state, engine.pid, engine.info) == (EngineState.IDLE, None, None)
    outputs = await outputs_of(engine, "abc", 7, n=2)
    assert engine.state is EngineState.READY
    for index in range(2):
        mine = [output for output in outputs if output.index == index]
        assert "".join(output.text for output in mine) == "abcabca"
        assert mine[-1].finish_reason is FinishReason.LENGTH
    assert [output.usage for output in outputs[:-1]] == [None] * (len(outputs) - 1)
    assert outputs[-1].usage is not None
    assert outputs[-1].usage.completion_tokens == 14


async def test_starting_tells_what_was_loaded(engine: AsyncEngine) -> None:
    info = await engine.start()
    assert (info.folder, info.block_size) == ("fake", EngineConfig().block_size)
    assert engine.info == info
    assert engine.progress == 1
    assert await engine.start() == info


async def test_texts_are_checked_by_the_compiler(engine: AsyncEngine) -> None:
    schema = JsonSchema('{"enum": [1, 2]}', strict=False)
    with pytest.raises(ModelUnavailable):
        await engine.violations(schema, "1")
    await engine.start()
    assert await engine.violations(schema, "1") == []
    assert await engine.violations(schema, "3") == ["not 3"]


async def test_many_at_once_each_get_their_own(engine: AsyncEngine) -> None:
    prompts = [f"request {number} " for number in range(200)]
    texts = await asyncio.gather(*(text_of(engine, prompt, 30) for prompt in prompts))
    assert texts == [(prompt * 3)[:30] for prompt in prompts]
    await idle(engine)
    assert "rostra_request_success_total" in engine.metrics.text()


async def test_a_refusal_is_that_requests_alone(engine: AsyncEngine) -> None:
    fine, refused, wrong = await asyncio.gather(
        text_of(engine, "abc"),
        text_of(engine, "refuse"),
        text_of(engine, "abc", 0),
        return_exceptions=True,
    )
    assert fine == "abcabcabc"
    assert isinstance(refused, NeverFits)
    assert refused.hint == "Ask for less."
    assert isinstance(wrong, InvalidParameter)


async def test_a_full_queue_sheds_load() -> None:
    async with fake_engine(config=EngineConfig(max_running=2, max_waiting=3)) as engine:
        streams = [engine.generate("abc" + STAY, LONG) for _ in range(5)]
        begun = [asyncio.create_task(anext(stream)) for stream in streams]
        while engine.stats().running + engine.stats().waiting < 5:  # noqa: ASYNC110
            await asyncio.sleep(0)
        results = await asyncio.gather(
            *(text_of(engine, "abc", 500) for _ in range(4)), return_exceptions=True
        )
        assert [type(result) for result in results] == [QueueFull] * 4
        # Those that wait are told nothing but are not lost: each runs when one before it leaves.
        for task, stream in zip(begun, streams, strict=True):
            assert (await task).text
            await stream.aclose()
        assert await text_of(engine, "abc", 500) == ("abc" * 167)[:500]


async def test_a_stop_string_ends_the_request_in_the_core(engine: AsyncEngine) -> None:
    sampling = SamplingParams(max_tokens=4000, stop=("two",))
    outputs = [output async for output in engine.generate("one two " + STAY, sampling)]
    assert "".join(output.text for output in outputs) == "one "
    finished = [output for output in outputs if output.finish_reason is not None]
    assert [(output.finish_reason, output.stop) for output in finished] == [
        (FinishReason.STOP, "two")
    ]
    assert outputs[-1].usage is not None
    assert outputs[-1].usage.completion_tokens == len("one two")
    await idle(engine)


async def test_leaving_ends_the_request_in_the_core(engine: AsyncEngine) -> None:
    async with aclosing(engine.generate("abc" + STAY, LONG)) as outputs:
        await anext(outputs)
    await idle(engine)
    assert engine.stats().running == 0


async def test_a_request_id_is_taken_once_at_a_time(engine: AsyncEngine) -> None:
    first = engine.generate("abc" + STAY, LONG, request_id="mine")
    await anext(first)
    with pytest.raises(InvalidParameter, match="mine"):
        await outputs_of(engine, "abc", request_id="mine")
    await first.aclose()
    assert await outputs_of(engine, "abc", request_id="mine")


async def test_waiting_for_the_load_has_its_limits() -> None:
    found = threading.Event()

    def locate(model: str) -> Path:
        found.wait(20)
        return Path(model)

    config = EngineConfig(max_waiting=2, max_wait_seconds=0.05)
    engine = fake_engine(config=config, locate=locate)
    results = await asyncio.gather(
        *(text_of(engine, "abc") for _ in range(3)), return_exceptions=True
    )
    assert [type(result) for result in results] == [ModelUnavailable, ModelUnavailable, QueueFull]
    found.set()
    await engine.close()


async def test_a_storm_of_cancellations_leaves_nothing(engine: AsyncEngine) -> None:
    """Whatever a caller does and whenever, the loop ends with nothing, and all others are right."""
    chance = random.Random(7)
    ended: list[str] = []

    async def one(number: int) -> None:
        prompt = f"{number}, "
        most = chance.randint(1, 300)
        leave_after = chance.choice([None, None, 0, 1, 5, 40])
        stop = (f"{number}, {number}",) if number % 5 == 0 else ()
        sampling = SamplingParams(max_tokens=most, stop=stop)
        text, seen = "", 0
        async with aclosing(engine.generate(prompt, sampling, n=1 + number % 3)) as outputs:
            if leave_after == 0:
                return
            async for output in outputs:
                text += output.text if output.index == 0 else ""
                seen += 1
                if leave_after is not None and seen >= leave_after:
                    break
        expected = (prompt * 300)[:most]
        if sampling.stop and len(prompt + str(number)) <= most:
            expected = ""
        if leave_after is None:
            assert text == expected
            ended.append(text)
        else:
            assert expected.startswith(text)

    async def cancelled(number: int) -> None:
        task = asyncio.create_task(one(number))
        if number % 4 == 0:
            for _ in range(chance.randint(0, 30)):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(task, return_exceptions=number % 4 == 0)

    await engine.start()
    await asyncio.gather(*(cancelled(number) for number in range(200)))
    assert len(ended) > 20
    assert not engine._open
    await idle(engine)
    assert engine.stats().running == 0


async def test_a_slow_reader_holds_up_nobody_and_gets_all(engine: AsyncEngine) -> None:
    slow = engine.generate("abc", SamplingParams(max_tokens=4000))
    first = await anext(slow)
    assert await text_of(engine, "xyz", 500) == ("xyz" * 167)[:500]
    while engine.stats().generation_tokens < 4500:
        await text_of(engine, "x", 1)
    rest = [output async for output in slow]
    # What came in the meantime lies in one piece.
    assert len(rest) <= 2
    assert first.text + "".join(output.text for output in rest) == ("abc" * 1334)[:4000]
    assert rest[-1].usage is not None


async def test_the_generator_of_the_platform(engine: AsyncEngine) -> None:
    model = EngineChatModel(engine)
    assert model.name == "fake"
    events = [
        event
        async for event in model.stream(
            [ChatMessage(Role.USER, "hello")], GenerationOptions(max_tokens=11)
        )
    ]
    assert "".join(event.text for event in events if isinstance(event, Delta)) == "user: hello"
