"""Deaths of the engine's process and of its client: nobody waits for ever, nothing stays behind."""

import asyncio
import os
import random
import select
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rostra.core import ModelUnavailable
from rostra.serving.engine.client import AsyncEngine, EngineState
from rostra.serving.errors import BrokenCheckpoint, EngineDied
from rostra.serving.request import Output, SamplingParams
from tests.fakes_serving import AT_ONCE, HANG, KILL, RAISE, STAY, fake_engine, text_of

ROOT = Path(__file__).parents[3]


@pytest.fixture
async def engine() -> AsyncIterator[AsyncEngine]:
    made = fake_engine()
    yield made
    await made.close()


async def the_rest(stream: AsyncGenerator[Output, None]) -> None:
    async for _ in stream:
        pass
    raise AssertionError("the stream ended as if all were well")


@pytest.mark.parametrize("deed", [KILL, RAISE])
async def test_a_crash_is_one_error_for_each_and_a_new_process(
    engine: AsyncEngine, deed: str
) -> None:
    await engine.start()
    before = engine.pid
    streams = [engine.generate("abc" + STAY, SamplingParams(max_tokens=4000)) for _ in range(5)]
    for stream in streams:
        await anext(stream)
    results = await asyncio.gather(
        *(the_rest(stream) for stream in streams), text_of(engine, deed), return_exceptions=True
    )
    assert [type(result) for result in results] == [EngineDied] * 6
    assert await text_of(engine, "abc") == "abcabcabc"
    assert engine.pid != before
    text = engine.metrics.text()
    assert 'finished_reason="error",model_name="fake"} 6.0' in text


async def test_killed_from_outside_between_and_in_requests(engine: AsyncEngine) -> None:
    for _ in range(2):
        assert await text_of(engine, "abc", 3) == "abc"
        assert engine.pid is not None
        stream = engine.generate("abc" + STAY, SamplingParams(max_tokens=4000))
        await anext(stream)
        os.kill(engine.pid, signal.SIGKILL)
        with pytest.raises(EngineDied, match="SIGKILL"):
            await the_rest(stream)
    # Nobody was there to be told; the next request finds it loaded again.
    assert await text_of(engine, "abc", 3) == "abc"


async def test_a_stuck_step_can_be_killed_too(engine: AsyncEngine) -> None:
    stream = engine.generate("a" + HANG, SamplingParams(max_tokens=5))
    assert (await anext(stream)).text == "a"
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)
    with pytest.raises(EngineDied):
        await the_rest(stream)


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
    engine = fake_engine("broken_core")
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
    [
        ("faulty_core", "ZeroDivisionError"),
        ("dying_core", "SIGKILL"),
        ("no_core", "AttributeError"),
    ],
)
async def test_a_process_that_does_not_come_up_says_so(core: str, reason: str) -> None:
    engine = fake_engine(core)
    with pytest.raises(ModelUnavailable, match=reason):
        await text_of(engine, "abc")
    await engine.close()


async def test_a_checkpoint_that_goes_away_is_given_up(tmp_path: Path) -> None:
    async with fake_engine("core_that_breaks_later", str(tmp_path)) as engine:
        with pytest.raises(EngineDied):
            await text_of(engine, KILL)
        with pytest.raises(ModelUnavailable, match="has gone"):
            await text_of(engine, "abc")


async def test_a_front_end_that_cannot_be_read_fails_the_load() -> None:
    def broken(folder: Path) -> Any:
        raise BrokenCheckpoint("tokenizer.json is missing")

    engine = fake_engine(front=broken)
    with pytest.raises(BrokenCheckpoint, match=r"tokenizer\.json"):
        await engine.start()
    assert engine.pid is None
    await engine.close()


async def test_closing_ends_requests_and_the_process(engine: AsyncEngine) -> None:
    stream = engine.generate("abc" + STAY, SamplingParams(max_tokens=4000))
    await anext(stream)
    pid = engine.pid
    assert pid is not None
    await engine.close()
    with pytest.raises(ModelUnavailable, match="closed"):
        await the_rest(stream)
    with pytest.raises(ModelUnavailable, match="closed"):
        await text_of(engine, "abc")
    assert not _alive(pid)
    assert engine.front.compiler.closed  # type: ignore[attr-defined] # the fake's


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_closing_while_it_loads() -> None:
    engine = fake_engine()
    engine.begin()
    await asyncio.sleep(0)
    waiting = asyncio.create_task(text_of(engine, "abc"))
    await asyncio.sleep(0)
    await engine.close()
    with pytest.raises(ModelUnavailable, match="closed"):
        await waiting


@pytest.mark.parametrize("script", ["abc" + STAY, "a" + HANG], ids=["stepping", "stuck"])
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
        readable, _, _ = select.select([ended], [], [], 50)
        os.kill(forked, signal.SIGKILL)
    assert readable, "the engine's process outlived its client"


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
