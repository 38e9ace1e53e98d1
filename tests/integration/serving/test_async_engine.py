"""The engine's process and its client, over a scripted core."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from rostra.core import ChatMessage, Delta, GenerationOptions, ModelUnavailable, RostraError, Role
from rostra.serving.config import EngineConfig
from rostra.serving.engine.chat import EngineChatModel
from rostra.serving.engine.client import AsyncEngine, EngineState, RestartPolicy
from rostra.serving.errors import (
    BrokenCheckpoint,
    EngineDied,
    InvalidParameter,
    NeverFits,
    QueueFull,
)
from rostra.serving.request import FinishReason, Output, SamplingParams
from tests.fakes_serving import HANG, KILL, RAISE, fake_front

ROOT = Path(__file__).parents[3]
AT_ONCE = RestartPolicy(most=3, first_delay=0)


def make(core: str = "FakeCore", folder: str = "fake", **more: Any) -> AsyncEngine:
    more = {"restarts": AT_ONCE} | more
    core = f"tests.fakes_serving:{core}"
    return AsyncEngine(folder, core=core, front=fake_front, locate=Path, **more)


@pytest.fixture
async def engine() -> AsyncIterator[AsyncEngine]:
    made = make()
    yield made
    await made.close()


async def outputs_of(engine: AsyncEngine, prompt: str, most: int = 9, **more: Any) -> list[Output]:
    return [output async for output in engine.generate(prompt, SamplingParams(max_tokens=most), **more)]


async def text_of(engine: AsyncEngine, prompt: str, most: int = 9) -> str:
    return "".join(output.text for output in await outputs_of(engine, prompt, most))


async def idle(engine: AsyncEngine) -> None:
    """Waits until the loop has nothing left, which each request in turn makes it tell."""
    while await text_of(engine, "x", 1) and engine.stats().running + engine.stats().waiting:
        pass


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
    async with make(config=EngineConfig(max_running=2, max_waiting=3)) as engine:
        results = await asyncio.gather(
            *(text_of(engine, "abc", 500) for _ in range(9)), return_exceptions=True
        )
        assert [type(result) for result in results].count(QueueFull) == 4
        assert [len(result) for result in results if isinstance(result, str)] == [500] * 5


async def test_a_stop_string_ends_the_request_in_the_core(engine: AsyncEngine) -> None:
    sampling = SamplingParams(max_tokens=4000, stop=("two",))
    outputs = [output async for output in engine.generate("one two ", sampling)]
    assert "".join(output.text for output in outputs) == "one "
    finished = [output for output in outputs if output.finish_reason is not None]
    assert [(output.finish_reason, output.stop) for output in finished] == [
        (FinishReason.STOP, "two")
    ]
    assert outputs[-1].usage is not None
    assert outputs[-1].usage.completion_tokens == len("one two")
    await idle(engine)
    assert engine.stats().generation_tokens < 4000


async def test_leaving_ends_the_request_in_the_core(engine: AsyncEngine) -> None:
    async with aclosing(engine.generate("abc", SamplingParams(max_tokens=4000))) as outputs:
        await anext(outputs)
    await idle(engine)
    assert engine.stats().generation_tokens < 4000


async def test_a_request_id_is_taken_once_at_a_time(engine: AsyncEngine) -> None:
    first = engine.generate("abc", SamplingParams(max_tokens=4000), request_id="mine")
    await anext(first)
    with pytest.raises(InvalidParameter, match="mine"):
        await outputs_of(engine, "abc", request_id="mine")
    assert (await anext(first)).text
    await first.aclose()
    assert await outputs_of(engine, "abc", request_id="mine")


@pytest.mark.parametrize("deed", [KILL, RAISE])
async def test_a_crash_is_one_error_for_each_and_a_new_process(
    engine: AsyncEngine, deed: str
) -> None:
    await engine.start()
    before = engine.pid
    streams = [engine.generate("abc", SamplingParams(max_tokens=4000)) for _ in range(5)]
    for stream in streams:
        await anext(stream)
    results = await asyncio.gather(
        *(_rest(stream) for stream in streams), text_of(engine, deed), return_exceptions=True
    )
    assert [type(result) for result in results] == [EngineDied] * 6
    assert await text_of(engine, "abc") == "abcabcabc"
    assert engine.pid != before
    text = engine.metrics.text()
    assert 'finished_reason="error",model_name="fake"} 6.0' in text


async def _rest(stream: Any) -> None:
    async for _ in stream:
        pass
    raise AssertionError("the stream ended as if all were well")


async def test_killed_from_outside_between_and_in_requests(engine: AsyncEngine) -> None:
    for _ in range(2):
        assert await text_of(engine, "abc", 3) == "abc"
        assert engine.pid is not None
        stream = engine.generate("abc", SamplingParams(max_tokens=4000))
        await anext(stream)
        os.kill(engine.pid, signal.SIGKILL)
        with pytest.raises(EngineDied, match="SIGKILL"):
            await _rest(stream)
    # Nobody was there to be told; the next request finds it loaded again.
    assert await text_of(engine, "abc", 3) == "abc"


async def test_a_stuck_step_can_be_killed_too(engine: AsyncEngine) -> None:
    stream = engine.generate("a" + HANG, SamplingParams(max_tokens=5))
    assert (await anext(stream)).text == "a"
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)
    with pytest.raises(EngineDied):
        await _rest(stream)


async def test_dying_again_and_again_is_given_up(engine: AsyncEngine) -> None:
    died = 0
    while engine.state is not EngineState.FAILED:
        with pytest.raises(ModelUnavailable) as caught:
            await text_of(engine, KILL)
        died += isinstance(caught.value, EngineDied)
    assert died == AT_ONCE.most + 1
    with pytest.raises(ModelUnavailable, match="in a row"):
        await text_of(engine, "abc")
    # Somebody who looks after it may start it again.
    await engine.start()
    assert await text_of(engine, "abc", 3) == "abc"


async def test_a_checkpoint_that_cannot_be_loaded_says_why() -> None:
    engine = make("broken_core")
    for _ in range(2):
        with pytest.raises(BrokenCheckpoint, match="cut short") as caught:
            await engine.start()
        assert caught.value.details == {"file": "x"}
    with pytest.raises(BrokenCheckpoint):
        await text_of(engine, "abc")
    assert engine.state is EngineState.FAILED
    assert isinstance(engine.failure, BrokenCheckpoint)
    await engine.close()


@pytest.mark.parametrize(
    ("core", "reason"),
    [("faulty_core", "ZeroDivisionError"), ("dying_core", "SIGKILL"), ("no_core", "AttributeError")],
)
async def test_a_process_that_does_not_come_up_says_so(core: str, reason: str) -> None:
    engine = make(core)
    with pytest.raises(ModelUnavailable, match=reason):
        await text_of(engine, "abc")
    await engine.close()


async def test_a_checkpoint_that_goes_away_is_given_up(tmp_path: Path) -> None:
    async with make("core_that_breaks_later", str(tmp_path)) as engine:
        with pytest.raises(EngineDied):
            await text_of(engine, KILL)
        with pytest.raises(ModelUnavailable, match="has gone"):
            await text_of(engine, "abc")


async def test_a_front_end_that_cannot_be_read_fails_the_load() -> None:
    def broken(folder: Path) -> Any:
        raise BrokenCheckpoint("tokenizer.json is missing")

    engine = AsyncEngine(
        "fake", core="tests.fakes_serving:FakeCore", front=broken, locate=Path, restarts=AT_ONCE
    )
    with pytest.raises(BrokenCheckpoint, match=r"tokenizer\.json"):
        await engine.start()
    assert engine.pid is None
    await engine.close()


async def test_waiting_for_the_load_has_its_limits() -> None:
    config = EngineConfig(max_waiting=2, max_wait_seconds=0.05)
    engine = AsyncEngine(
        "fake", config, core="tests.fakes_serving:FakeCore", front=fake_front, locate=_never
    )
    results = await asyncio.gather(
        *(text_of(engine, "abc") for _ in range(3)), return_exceptions=True
    )
    assert [type(result) for result in results] == [ModelUnavailable, ModelUnavailable, QueueFull]
    _late.set()
    await engine.close()


_late = __import__("threading").Event()


def _never(model: str) -> Path:
    _late.wait(20)
    return Path(model)


async def test_closing_ends_requests_and_the_process(engine: AsyncEngine) -> None:
    stream = engine.generate("abc", SamplingParams(max_tokens=4000))
    await anext(stream)
    pid = engine.pid
    assert pid is not None
    await engine.close()
    with pytest.raises(ModelUnavailable, match="closed"):
        await _rest(stream)
    with pytest.raises(ModelUnavailable, match="closed"):
        await text_of(engine, "abc")
    assert not _alive(pid)
    assert engine.front.compiler.closed  # type: ignore[attr-defined] # the fake's


async def test_closing_while_it_loads() -> None:
    engine = make()
    engine.begin()
    await asyncio.sleep(0)
    waiting = asyncio.create_task(text_of(engine, "abc"))
    await asyncio.sleep(0)
    await engine.close()
    with pytest.raises(ModelUnavailable, match="closed"):
        await waiting


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("script", ["abc", "a" + HANG], ids=["stepping", "stuck"])
def test_the_process_ends_with_its_client(script: str) -> None:
    """A client that is killed cannot say goodbye; a child that it forked holds its pipe open."""
    program = f"""
import asyncio, os, sys, time
from pathlib import Path
from tests.fakes_serving import fake_front
from rostra.serving.engine.client import AsyncEngine
from rostra.serving.request import SamplingParams

async def main():
    engine = AsyncEngine("x", core="tests.fakes_serving:FakeCore", front=fake_front, locate=Path)
    stream = engine.generate({script!r}, SamplingParams(max_tokens=4000))
    await anext(stream)
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    print(engine.pid, child, flush=True)
    async for _ in stream:
        await asyncio.sleep(1)

asyncio.run(main())
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as client:
        assert client.stdout is not None
        engine, forked = map(int, client.stdout.readline().split())
        ended = os.pidfd_open(engine)
        client.kill()
        client.wait()
        readable, _, _ = __import__("select").select([ended], [], [], 20)
        os.kill(forked, signal.SIGKILL)
    assert readable, "the engine's process outlived its client"


async def test_a_storm_of_cancellations_leaves_nothing(engine: AsyncEngine) -> None:
    """Whatever a caller does and whenever, the loop ends with nothing, and all others are right."""
    chance = random.Random(7)
    ended: list[str] = []

    async def one(number: int) -> None:
        prompt = f"{number}, "
        most = chance.randint(1, 300)
        leave_after = chance.choice([None, None, 0, 1, 5, 40])
        sampling = SamplingParams(max_tokens=most, stop=(f"{number}, {number}",) if number % 5 == 0 else ())
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


async def test_a_storm_with_crashes_ends_every_request(engine: AsyncEngine) -> None:
    chance = random.Random(3)

    async def one(number: int) -> str:
        for _ in range(chance.randint(0, 50)):
            await asyncio.sleep(0)
        return await text_of(engine, KILL if number == 30 else "abc", 200)

    results = await asyncio.gather(*(one(n) for n in range(80)), return_exceptions=True)
    assert {type(result) for result in results} <= {str, EngineDied}
    assert isinstance(results[30], EngineDied)
    assert {result for result in results if isinstance(result, str)} <= {("abc" * 67)[:200]}
    assert not engine._open
    assert await text_of(engine, "abc", 3) == "abc"


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


async def test_errors_are_ours() -> None:
    """Also what no load survives: callers catch one base class."""
    engine = make("dying_core")
    with pytest.raises(RostraError):
        await engine.start()
    await engine.close()
