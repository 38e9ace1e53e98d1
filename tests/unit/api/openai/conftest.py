"""The application over a scripted engine, and OpenAI's own client of it over a real socket."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from litestar import Litestar
from openai import AsyncOpenAI

from rostra.api import create_app
from rostra.api.openai.batch_runner import BatchPace
from rostra.core import Settings
from rostra.runtime import Runtime, open_runtime
from tests.fakes import FakeEmbedder
from tests.scripted_engine import ScriptedEngine

PACE = BatchPace(lease=0.5, beat=0.02, poll=0.05, retry_after=0.01, retries=2)


@pytest.fixture
def engine() -> ScriptedEngine:
    """What a test changes to have other things said."""
    return ScriptedEngine()


@pytest.fixture
def make_app(
    settings: Settings, embedder: FakeEmbedder, static: Path
) -> Callable[[ScriptedEngine | None], Litestar]:
    """Makes applications over one data directory."""

    def make(engine: ScriptedEngine | None) -> Litestar:
        @asynccontextmanager
        async def runtime() -> AsyncIterator[Runtime]:
            async with open_runtime(settings) as opened:
                opened.engine = engine  # type: ignore[assignment] # same interface
                yield opened

        return create_app(settings, runtime, batch_pace=PACE, static=static)

    return make


@asynccontextmanager
async def serving(app: Litestar) -> AsyncIterator[str]:
    """Runs an application on a socket; gives its address."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", http="h11"))
    # Who connects before the server has started waits in the socket's queue.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = asyncio.create_task(server.serve([listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


Serve = Callable[[ScriptedEngine | None], AbstractAsyncContextManager[str]]


@pytest.fixture
def serve(make_app: Callable[[ScriptedEngine | None], Litestar]) -> Serve:
    """Runs an application over an engine."""
    return lambda engine: serving(make_app(engine))


@pytest.fixture
async def url(serve: Serve, engine: ScriptedEngine) -> AsyncIterator[str]:
    async with serve(engine) as address:
        yield address


@pytest.fixture
async def http(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A plain client, for what OpenAI's would not send."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture
async def openai(url: str) -> AsyncIterator[AsyncOpenAI]:
    """OpenAI's own client."""
    async with AsyncOpenAI(
        base_url=f"{url}/v1", api_key="unused", max_retries=0, timeout=60
    ) as client:
        yield client
