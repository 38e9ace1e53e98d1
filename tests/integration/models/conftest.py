"""An endpoint on a socket that answers as a test tells it to."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

Send = Callable[[bytes], Awaitable[None]]
Write = Callable[[Send], Awaitable[None]]


@dataclass
class Answer:
    """One response.

    Attributes:
        body: sent whole.
        write: or sends it piece by piece; an error that it raises drops the connection.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    write: Write | None = None


@dataclass
class Endpoint:
    """An ASGI application.

    Attributes:
        answers: taken one after the other; the last one stays.
        requests: bodies, as JSON.
        headers: of each request.
        left: is set when a client closed its connection before the end.
    """

    answers: list[Answer] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    clients: set[tuple[str, int]] = field(default_factory=set)
    paths: list[str] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.requests.append(json.loads(body))
        self.headers.append({k.decode(): v.decode() for k, v in scope["headers"]})
        self.clients.add(tuple(scope["client"]))
        self.paths.append(scope["path"])
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        headers = {"content-type": "text/event-stream"} | dict(answer.headers)
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
            }
        )
        if answer.write is not None:
            await self._write(answer.write, receive, send)
        await send({"type": "http.response.body", "body": answer.body})

    async def _write(self, write: Write, receive: Any, send: Any) -> None:
        async def give(piece: bytes) -> None:
            await send({"type": "http.response.body", "body": piece, "more_body": True})

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            self.left.set()

        writing, watching = asyncio.create_task(write(give)), asyncio.create_task(watch())
        try:
            await asyncio.wait({writing, watching}, return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                writing.result()
        finally:
            for task in (writing, watching):
                task.cancel()
            await asyncio.gather(writing, watching, return_exceptions=True)


@asynccontextmanager
async def served(config: uvicorn.Config) -> AsyncIterator[str]:
    """Runs an application on a socket; gives its address."""
    server = uvicorn.Server(config)
    # Who connects before the server has started waits in the socket's queue.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = asyncio.create_task(server.serve([listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    app = Endpoint()
    config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    async with served(config) as app.url:
        yield app


def chunk(delta: Mapping[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    """An event of a stream."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    told = {"id": "c", "object": "chat.completion.chunk", "choices": choices} | more
    return b"data: " + json.dumps(told, ensure_ascii=False).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 4},
}


def said(*texts: str, finish: str = "stop", usage: Mapping[str, Any] | None = USAGE) -> Answer:
    """A stream of these texts."""
    frames = [chunk({"role": "assistant", "content": ""})]
    frames += [chunk({"content": text}) for text in texts]
    frames.append(chunk({}, finish))
    if usage is not None:
        frames.append(chunk(usage=usage))
    return Answer(body=b"".join([*frames, DONE]))


def failed(status: int, message: str = "no", code: str | None = None, **headers: str) -> Answer:
    """A failure in OpenAI's shape."""
    body = json.dumps({"error": {"message": message, "type": "t", "code": code}}).encode()
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, body, {"content-type": "application/json"} | told)
