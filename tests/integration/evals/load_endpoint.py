"""An OpenAI-compatible endpoint on a socket that answers as a test's script tells it to."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

Give = Callable[[bytes], Awaitable[None]]
Script = Callable[["Call"], Awaitable[None]]


@dataclass
class Call:
    """One request and the way to answer it."""

    number: int
    body: dict[str, Any]
    headers: dict[str, str]
    send: Callable[[dict[str, Any]], Awaitable[None]]

    async def start(self, status: int = 200, kind: str = "text/event-stream") -> None:
        """Sends the headers."""
        headers = [(b"content-type", kind.encode())]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def give(self, *pieces: bytes) -> None:
        """Sends more of the body, each piece on its own."""
        for piece in pieces:
            await self.send({"type": "http.response.body", "body": piece, "more_body": True})

    async def end(self) -> None:
        """Ends the body."""
        await self.send({"type": "http.response.body", "body": b""})


@dataclass
class Scripted:
    """The endpoint.

    Attributes:
        script: answers each request.
        calls: all of them so far.
    """

    script: Script
    url: str = ""
    calls: list[Call] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        body += message.get("body", b"")
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        call = Call(len(self.calls), json.loads(body), headers, send)
        self.calls.append(call)
        await self.script(call)


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[Scripted]:
    """Serves the script while the context lasts."""
    app = Scripted(script)
    config = uvicorn.Config(
        app, http="h11", log_config=None, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    # Who connects before the server has started waits in the socket's queue.
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        app.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        running = asyncio.create_task(server.serve([listening]))
        try:
            yield app
        finally:
            server.should_exit = True
            await running


def event(value: object) -> bytes:
    """One event of a stream."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def piece(text: str, finish: str | None = None) -> bytes:
    """A chunk with text."""
    return event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]})


def usage(prompt: int, completion: int) -> bytes:
    """The chunk that tells the counts."""
    told = {"prompt_tokens": prompt, "completion_tokens": completion}
    return event({"choices": [], "usage": told})


DONE = b"data: [DONE]\n\n"


def words_of(call: Call) -> int:
    """Of the prompt."""
    return sum(len(message["content"].split()) for message in call.body["messages"])


async def answer(call: Call, *texts: str) -> None:
    """A whole answer, whose prompt has three tokens a word and seven of a template."""
    await call.start()
    await call.give(piece(""), *(piece(text) for text in texts or ("one", "two")))
    await call.give(piece("", "stop"), usage(7 + 3 * words_of(call), len(texts) or 2), DONE)
    await call.end()


async def refuse(call: Call, status: int, message: str = "no room") -> None:
    """A failure in OpenAI's shape."""
    await call.start(status, "application/json")
    await call.give(json.dumps({"error": {"message": message}}).encode())
    await call.end()
