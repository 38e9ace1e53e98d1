"""Readers who leave in the middle of an answer, over real connections; the generator waits.

The server runs in this process, so that the test can see what became of the generation.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import httpx
import pytest
import uvicorn

from rostra.api import create_app
from rostra.core import (
    ChatEvent,
    ChatMessage,
    Delta,
    Finish,
    FinishReason,
    GenerationOptions,
    Settings,
)
from rostra.runtime import open_runtime
from tests.fakes import FakeEmbedder

ASKED = {"question": "What does the harbour pilot board?", "collection": "docs"}
STREAM = {"Accept": "text/event-stream"}


class WaitingModel:
    """Says one word, then waits until it may say the rest, or is broken off."""

    name = "test/waiting"

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.waiting = asyncio.Event()
        self.ended = asyncio.Event()

    async def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncIterator[ChatEvent]:
        try:
            yield Delta("Every ship ")
            self.waiting.set()
            await self.go_on.wait()
            yield Delta("that arrives [1].")
            yield Finish(FinishReason.STOP)
        finally:
            self.ended.set()


class InProcess(uvicorn.Server):
    """Leaves the test's signal handlers alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def served(settings: Settings, model: WaitingModel) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings, lambda: open_runtime(settings, model))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            app, http="h11", ws="none", log_config=None, timeout_graceful_shutdown=1
        )
        server = InProcess(config)
        running = asyncio.create_task(server.serve([listener]))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            sent = await client.post(
                "/api/collections/docs/documents",
                files=[("files", ("a.md", b"The harbour pilot boards every arriving ship."))],
            )
            job = sent.json()
            while job["status"] in ("queued", "running"):
                job = (await client.get(f"/api/jobs/{job['id']}")).json()
            assert job["status"] == "succeeded"
            yield client
        server.should_exit = True
        await running


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> WaitingModel:
    embedder = FakeEmbedder()
    monkeypatch.setattr("rostra.runtime.runtime.load_embedder", lambda _: embedder)
    return WaitingModel()


async def chats(client: httpx.AsyncClient) -> int:
    total: int = (await client.get("/api/chats")).json()["total"]
    return total


async def test_leaving_in_the_middle_ends_the_generation_and_stores_nothing(
    settings: Settings, model: WaitingModel
) -> None:
    async with served(settings, model) as client:
        async with client.stream("POST", "/api/ask", json=ASKED, headers=STREAM) as response:
            assert response.status_code == 200
            async for line in response.aiter_lines():
                if line == "event: delta":
                    break
        await model.ended.wait()
        assert not model.go_on.is_set()
        assert (await client.get("/health/ready")).status_code == 200
        assert await chats(client) == 0
        model.go_on.set()
        answer = await client.post("/api/ask", json=ASKED)
        assert answer.status_code == 200
        assert await chats(client) == 1


async def test_many_readers_who_leave_leave_nothing_behind(
    settings: Settings, model: WaitingModel
) -> None:
    async def leave(client: httpx.AsyncClient) -> None:
        async with client.stream("POST", "/api/ask", json=ASKED, headers=STREAM) as response:
            await anext(response.aiter_lines())

    async with served(settings, model) as client:
        await asyncio.gather(*(leave(client) for _ in range(20)))
        assert await chats(client) == 0
        names = {"event stream"}
        while any(task.get_name() in names for task in asyncio.all_tasks()):
            await client.get("/health/live")
        assert await chats(client) == 0


async def test_a_shutdown_ends_open_streams(settings: Settings, model: WaitingModel) -> None:
    async with served(settings, model) as client:
        request = client.build_request("POST", "/api/ask", json=ASKED, headers=STREAM)
        response = await client.send(request, stream=True)
        assert response.status_code == 200
        await model.waiting.wait()
    # `served` has come to its end although nobody let the model go on.
    assert model.ended.is_set()
    assert not model.go_on.is_set()
