"""Servers over HTTP: killed, restarted, refusing, lying; and what one request does to others."""

import asyncio
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp.server.lowlevel import Server
from mcp.types import CallToolResult, ElicitRequest, InputRequiredResult, TextContent

from rostra.agents.mcp import McpToolset, ServerConfig
from rostra.agents.tools.tool import CallContext, ToolFailure
from tests.integration.agents.mcp.peer import (
    PEER,
    REVISIONS,
    Served,
    State,
    build,
    closing,
    many,
)
from tests.ports import refusing_port

CONTEXT = CallContext(run="r", call="r:1")


@asynccontextmanager
async def http_process(port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PEER), "http", str(port), stdout=PIPE, start_new_session=True
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_server_that_is_killed_and_comes_back_on_its_port(revision: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = ServerConfig(
        approve_first=True, name="peer", url=f"http://127.0.0.1:{port}/mcp", protocol=revision
    )
    begun = asyncio.Event()

    async def progress(_: str) -> None:
        begun.set()

    async with closing(McpToolset(config)) as toolset:
        async with http_process(port) as process:
            assert (await toolset.call("echo", {"text": "1"}, CONTEXT)).text == "1"
            context = CallContext(run="r", call="r:1", progress=progress)
            call = asyncio.create_task(toolset.call("slow", {}, context))
            await begun.wait()
            os.killpg(process.pid, signal.SIGKILL)
            with pytest.raises(ToolFailure) as broken:
                await call
            assert broken.value.began
            await process.wait()
            with pytest.raises(ToolFailure, match="cannot reach it") as refused:
                await toolset.call("echo", {"text": "2"}, CONTEXT)
            assert not refused.value.began
        async with http_process(port):
            assert (await toolset.call("echo", {"text": "3"}, CONTEXT)).text == "3"


async def test_a_session_that_the_server_has_forgotten_is_made_anew_unseen() -> None:
    state = State()
    async with Served(build(state).streamable_http_app()) as first:
        port = first.port
        config = ServerConfig(approve_first=True, name="peer", url=first.url, protocol="2025-11-25")
        toolset = McpToolset(config)
        await toolset.call("echo", {"text": "1"}, CONTEXT)
    async with closing(toolset), Served(build(state).streamable_http_app(), port):
        assert (await toolset.call("echo", {"text": "2"}, CONTEXT)).text == "2"
    assert state.calls == ["1", "2"]


async def test_a_result_that_asks_for_input_is_refused_politely() -> None:
    async def on_call_tool(_: Any, params: Any) -> CallToolResult | InputRequiredResult:
        if params.name == "tool_0":
            form = {"type": "object", "properties": {"word": {"type": "string"}}}
            asked = ElicitRequest.model_validate(
                {"params": {"message": "Which?", "requestedSchema": form}}
            )
            return InputRequiredResult(input_requests={"one": asked}, request_state="s")
        return CallToolResult(content=[TextContent(text="fine")])

    tools = many(2, 10)
    listed = tools.get_request_handler("tools/list")
    assert listed is not None
    server: Server[Any] = Server(
        "asks", version="1", on_list_tools=listed.handler, on_call_tool=on_call_tool
    )
    async with (
        Served(server.streamable_http_app()) as served,
        closing(
            McpToolset(ServerConfig(approve_first=True, name="asks", url=served.url))
        ) as toolset,
    ):
        asked = await toolset.call("tool_0", {}, CONTEXT)
        assert asked.is_error
        assert (await toolset.call("tool_1", {}, CONTEXT)).text == "fine"


async def answering(
    reply: bytes | None,
) -> tuple[asyncio.Server, str]:
    """A server that gives every request the same reply; None: none at all."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            ]
            await reader.readexactly(sum(lengths))
            if reply is None:
                await reader.read()
            else:
                writer.write(reply)
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"


def reply(status: str, body: bytes, kind: str = "text/html", extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return (head + extra + "Connection: close\r\n\r\n").encode() + body


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "no answer within 1 s"),
        (b"", "no answer"),
        (reply("200 OK", b"<html>hello</html>"), "content type"),
        (reply("200 OK", b"{", "application/json"), "parse"),
        (reply("200 OK", b"x", "application/json", "Content-Encoding: gzip\r\n"), "compressed"),
        (reply("401 Unauthorized", b"no"), "asks for a login"),
        (reply("404 Not Found", b"no"), "nothing at its URL"),
        (reply("500 Internal Server Error", b"boom"), "HTTP 500"),
        (reply("302 Found", b"", extra="Location: http://127.0.0.1:9/\r\n"), "Redirect"),
    ],
)
async def test_a_url_that_is_no_server(answer: bytes | None, why: str) -> None:
    server, url = await answering(answer)
    # One second is what the silent one is given; the others answer, however busy the machine is.
    seconds = 1 if answer is None else 20
    async with (
        server,
        closing(
            McpToolset(
                ServerConfig(approve_first=True, name="peer", url=url, connect_seconds=seconds)
            )
        ) as toolset,
    ):
        with pytest.raises(ToolFailure, match=f"(?i){why}") as failure:
            await toolset.list()
        assert not failure.value.began


async def test_nothing_listens() -> None:
    with refusing_port() as port:
        config = ServerConfig(approve_first=True, name="peer", url=f"http://127.0.0.1:{port}/mcp")
        async with closing(McpToolset(config)) as toolset:
            with pytest.raises(ToolFailure, match="cannot reach it") as failure:
                await toolset.list()
    assert not failure.value.began


class Meddling:
    """An app that answers calls of `echo` with a bare HTTP error, and passes on the rest."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers") or ())
        if headers.get(b"mcp-name") != b"echo":
            await self._app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 502, "headers": []})
        await send({"type": "http.response.body", "body": b"bad gateway"})


async def test_a_failing_request_leaves_the_others_alone() -> None:
    async with (
        Served(Meddling(build().streamable_http_app())) as served,
        closing(
            McpToolset(ServerConfig(approve_first=True, name="peer", url=served.url))
        ) as toolset,
    ):
        begun = asyncio.Event()

        async def progress(_: str) -> None:
            begun.set()

        context = CallContext(run="r", call="r:1", progress=progress)
        beside = asyncio.create_task(toolset.call("chatter", {}, context))
        await begun.wait()
        with pytest.raises(ToolFailure, match="HTTP 502") as failure:
            await toolset.call("echo", {"text": "x"}, CONTEXT)
        assert failure.value.began
        assert not beside.done()
        beside.cancel()
        assert (await toolset.call("add", {"a": 1, "b": 1}, CONTEXT)).structured == {"total": 2}


async def test_a_call_says_which_call_it_is() -> None:
    seen: list[Any] = []

    async def on_call_tool(context: Any, params: Any) -> CallToolResult:
        seen.append(dict(context.meta or {}))
        return CallToolResult(content=[TextContent(text=json.dumps(params.arguments))])

    listed = many(1, 1).get_request_handler("tools/list")
    assert listed is not None
    server: Server[Any] = Server(
        "keys", version="1", on_list_tools=listed.handler, on_call_tool=on_call_tool
    )
    async with (
        Served(server.streamable_http_app()) as served,
        closing(
            McpToolset(ServerConfig(approve_first=True, name="keys", url=served.url))
        ) as toolset,
    ):
        await toolset.call("tool_0", {"a": [1, None]}, CallContext(run="r", call="r:7"))
    assert seen[0]["rostra/call"] == "r:7"
