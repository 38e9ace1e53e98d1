"""The relay between an answer that is made and a reader who may leave at any moment."""

import asyncio
import json
from collections.abc import AsyncGenerator

import pytest

from rostra.api.background import Background
from rostra.api.openai.streaming import data_frame
from rostra.api.sse import Relay, event_frame
from rostra.core import CollectionNotFound


class Source:
    """Yields 0, 1, 2 ...; waits before the item whose gate is closed; says how it ended."""

    def __init__(self, count: int, *, gate_before: int = -1, fail_before: int = -1) -> None:
        self.count, self.gate_before, self.fail_before = count, gate_before, fail_before
        self.gate = asyncio.Event()
        self.waiting = asyncio.Event()
        self.ended = asyncio.Event()
        self.completed = False
        self.made = 0

    async def __call__(self) -> AsyncGenerator[int, None]:
        try:
            for number in range(self.count):
                if number == self.fail_before:
                    raise CollectionNotFound("gone")
                if number == self.gate_before:
                    self.waiting.set()
                    await self.gate.wait()
                self.made += 1
                yield number
            self.completed = True
        finally:
            self.ended.set()


def encode(number: int) -> list[bytes]:
    return [event_frame("n", number)]


def frame(number: int) -> bytes:
    return b"event: n\ndata: %d\n\n" % number


@pytest.fixture
async def background() -> AsyncGenerator[Background, None]:
    opened = Background()
    yield opened
    await opened.close()


async def test_all_events_arrive_in_order(background: Background) -> None:
    relay = Relay(Source(50)(), background)
    first = await relay.first()
    assert [f async for f in relay.frames(first, encode)] == [frame(n) for n in range(50)]


async def test_an_error_before_the_first_event_is_raised(background: Background) -> None:
    source = Source(3, fail_before=0)
    with pytest.raises(CollectionNotFound):
        await Relay(source(), background).first()
    assert source.ended.is_set()


async def test_a_later_error_becomes_an_event(background: Background) -> None:
    relay = Relay(Source(3, fail_before=2)(), background)
    frames = [f async for f in relay.frames(await relay.first(), encode)]
    assert frames[:2] == [frame(0), frame(1)]
    assert len(frames) == 3
    assert frames[2].startswith(b"event: error\ndata: {")
    assert b"collection_not_found" in frames[2]


async def test_silence_is_filled_with_comments_and_loses_nothing(background: Background) -> None:
    source = Source(3, gate_before=1)
    relay = Relay(source(), background, keep_alive=0.001)
    frames = relay.frames(await relay.first(), encode)
    assert await anext(frames) == frame(0)
    for _ in range(3):
        assert (await anext(frames)).startswith(b":")
    source.gate.set()
    rest = [f async for f in frames if not f.startswith(b":")]
    assert rest == [frame(1), frame(2)]


async def test_a_reader_who_leaves_ends_the_source(background: Background) -> None:
    source = Source(3, gate_before=1)
    relay = Relay(source(), background)
    frames = relay.frames(await relay.first(), encode)
    await anext(frames)
    await source.waiting.wait()
    await frames.aclose()
    await source.ended.wait()
    assert not source.completed


async def test_a_cancelled_reader_ends_the_source(background: Background) -> None:
    source = Source(3, gate_before=1)
    relay = Relay(source(), background)

    async def read() -> None:
        async for _ in relay.frames(await relay.first(), encode):
            pass

    reader = asyncio.create_task(read())
    await source.waiting.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await source.ended.wait()
    assert not source.completed


async def test_a_settled_source_runs_on_without_a_reader(background: Background) -> None:
    source = Source(5, gate_before=2)
    relay = Relay(source(), background, settles=lambda number: number == 1)
    frames = relay.frames(await relay.first(), encode)
    await anext(frames)
    assert await anext(frames) == frame(1)
    await source.waiting.wait()
    relay.stop()
    source.gate.set()
    await source.ended.wait()
    assert source.completed


async def test_stopping_before_anything_is_read_ends_the_source(background: Background) -> None:
    source = Source(1000)
    relay = Relay(source(), background)
    await relay.first()
    relay.stop()
    await source.ended.wait()
    assert not source.completed


async def test_nothing_is_made_far_ahead_of_the_reader(background: Background) -> None:
    source = Source(1000)
    relay = Relay(source(), background)
    frames = relay.frames(await relay.first(), encode)
    for _ in range(5):
        await anext(frames)
    for _ in range(20):
        await asyncio.sleep(0)
    assert source.made <= 8


def test_a_frames_data_is_one_line() -> None:
    assert event_frame("delta", {"text": "a\nb\r\n\u2028"}).count(b"\n") == 3


def test_data_is_one_line_for_every_reader() -> None:
    value = {"text": "".join(map(chr, range(0x3000)))}
    for frame in (event_frame("n", value), data_frame(value)):
        lines = [one for one in frame.decode().splitlines() if one.startswith("data: ")]
        assert [json.loads(one.removeprefix("data: ")) for one in lines] == [value]
