"""One request against a real server: what it makes of answers, refusals and broken streams."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from evals.load.client import LoadClient
from evals.load.clock import LoopClock
from evals.load.plan import PlannedRequest, user_message
from evals.load.records import (
    BROKEN,
    EMPTY,
    GARBLED,
    NO_STREAM,
    TIMEOUT,
    TOLD_ERROR,
    UNREACHABLE,
    RequestRecord,
)
from rostra.core import ConfigError
from tests.integration.evals.load_endpoint import (
    DONE,
    Call,
    Script,
    answer,
    event,
    piece,
    refuse,
    scripted,
    usage,
)
from tests.ports import refusing_port

REQUEST = PlannedRequest(0.0, (user_message("a b c"),), 5)
KEY = "sk-secret-0123"


class HandClock(LoopClock):
    """Tells what a test sets, and lets it wait until somebody has looked."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0
        self._looked = asyncio.Event()

    def now(self) -> float:
        self._looked.set()
        return self.time

    async def looked(self) -> None:
        """Until the time is asked for once more."""
        self._looked.clear()
        await self._looked.wait()


async def ask(script: Script, *, timeout: float = 60.0, ignore_eos: bool = False) -> RequestRecord:
    async with (
        scripted(script) as endpoint,
        LoadClient(endpoint.url, "m", key=KEY, timeout=timeout, ignore_eos=ignore_eos) as client,
    ):
        return await client.ask(REQUEST, LoopClock())


async def test_times_are_those_at_which_text_came() -> None:
    async def script(call: Call) -> None:
        await call.start()
        # (the time at which a piece is sent, the piece)
        for at, data in (
            (1.0, piece("")),  # the role; no token
            (4.0, piece("first")),
            (5.0, piece("sec")[:-7]),
            (6.0, piece("sec")[-7:]),  # completes the event before
            (9.0, piece("third") + piece("fourth") + piece("", "length")),
            (11.0, usage(16, 6)),
        ):
            clock.time = at
            looked = asyncio.create_task(clock.looked())
            await asyncio.sleep(0)
            await call.give(data)
            await looked
        clock.time = 12.0
        await call.give(DONE)
        await call.end()

    clock = HandClock()
    clock.time = 0.5
    async with (
        scripted(script) as endpoint,
        LoadClient(endpoint.url, "m", timeout=60) as client,
    ):
        found = await client.ask(REQUEST, clock)
    assert list(found.pieces) == [4, 6, 9, 9]
    assert (found.scheduled, found.sent, found.ended) == (0, 0.5, 12)
    assert (found.prompt.tokens, found.output.tokens) == (16, 6)
    assert found.ttft == 4
    assert found.tpot == 1
    assert found.completed


async def test_what_is_sent() -> None:
    async with (
        scripted(answer) as endpoint,
        LoadClient(endpoint.url + "/", "m", key=KEY, timeout=60) as client,
    ):
        assert (await client.ask(REQUEST, LoopClock())).completed
        (call,) = endpoint.calls
    assert call.body == {
        "model": "m",
        "messages": [{"role": "user", "content": "a b c"}],
        "max_tokens": 5,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert call.headers["authorization"] == f"Bearer {KEY}"
    assert client.url == endpoint.url + "/chat/completions"


async def test_exact_lengths_are_asked_for_only_on_demand() -> None:
    seen: list[object] = []

    async def script(call: Call) -> None:
        seen.append(call.body.get("ignore_eos"))
        await answer(call)

    await ask(script)
    await ask(script, ignore_eos=True)
    assert seen == [None, True]


async def test_counts_that_the_endpoint_does_not_tell_are_estimated() -> None:
    async def script(call: Call) -> None:
        await call.start()
        await call.give(piece("a"), piece("b"), piece("", "stop"))
        await call.end()

    found = await ask(script)
    assert found.completed
    assert (found.output.tokens, found.output.estimated) == (2, True)
    assert (found.prompt.tokens, found.prompt.estimated) == (2, True)


async def hang_up(call: Call) -> None:
    await call.start()
    await call.give(piece("a"))
    raise ConnectionError("the server breaks off")


async def end_early(call: Call) -> None:
    await call.start()
    await call.give(piece("a"), piece("b"))
    await call.end()


async def tell_error(call: Call) -> None:
    await call.start()
    await call.give(piece("a"), event({"error": {"message": f"died with {KEY}"}}), DONE)
    await call.end()


async def garble(call: Call) -> None:
    await call.start()
    await call.give(piece("a"), b"data: {oh\n\n")
    await call.end()


async def answer_at_once(call: Call) -> None:
    await call.start(200, "application/json")
    await call.give(b'{"choices": [{"message": {"content": "no stream"}}]}')
    await call.end()


async def say_nothing(call: Call) -> None:
    await call.start()
    await call.give(piece("", "stop"), DONE)
    await call.end()


def refusing(status: int) -> Script:
    async def script(call: Call) -> None:
        await refuse(call, status, f"key {KEY} refused")

    return script


@pytest.mark.parametrize(
    ("script", "reason", "words"),
    [
        (hang_up, BROKEN, ""),
        (end_early, BROKEN, "within the answer"),
        (tell_error, TOLD_ERROR, "died with ***"),
        (garble, GARBLED, ""),
        (answer_at_once, NO_STREAM, "application/json"),
        (say_nothing, EMPTY, "no text"),
        (refusing(429), "shed_429", "key *** refused"),
        (refusing(503), "shed_503", "key *** refused"),
        (refusing(401), "http_401", "key *** refused"),
        (refusing(500), "http_500", "key *** refused"),
    ],
)
async def test_failures_have_a_reason_and_words_without_the_key(
    script: Callable[[Call], Awaitable[None]], reason: str, words: str
) -> None:
    found = await ask(script)
    assert found.failure == reason
    assert words in found.words
    assert KEY not in repr(found)
    assert not found.completed


async def test_an_answer_that_never_comes_times_out() -> None:
    async def script(call: Call) -> None:
        await call.start()
        await call.give(piece("a"))
        await asyncio.Event().wait()

    found = await ask(script, timeout=0.2)
    assert found.failure == TIMEOUT
    assert len(found.pieces) <= 1


async def test_the_deadline_counts_from_when_a_request_was_due() -> None:
    clock = HandClock()
    clock.time = 100.0
    async with scripted(answer) as endpoint, LoadClient(endpoint.url, "m", timeout=60) as client:
        assert (await client.ask(REQUEST, clock)).failure == TIMEOUT


async def test_nobody_listens() -> None:
    with refusing_port() as port:
        async with LoadClient(f"http://127.0.0.1:{port}/v1", "m", timeout=60) as client:
            found = await client.ask(REQUEST, LoopClock())
    assert found.failure == UNREACHABLE
    assert found.pieces.tolist() == []


@pytest.mark.parametrize(
    ("url", "key"),
    [("ftp://x/v1", ""), ("nonsense", ""), ("http://\0/v1", ""), ("http://x/v1", "a\nb")],
)
async def test_addresses_and_keys_that_cannot_be(url: str, key: str) -> None:
    with pytest.raises(ConfigError):
        LoadClient(url, "m", key=key, timeout=1)
