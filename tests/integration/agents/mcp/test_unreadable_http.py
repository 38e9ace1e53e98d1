"""Answers over HTTP that the protocol's library cannot read, as one message and as an event."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from rostra.agents.mcp import McpToolset, ServerConfig
from rostra.agents.tools.catalog import Catalog
from rostra.agents.tools.tool import CallContext
from tests.integration.agents.mcp.peer import Served, closing

CONTEXT = CallContext(run="r", call="r:1")
# Below every deadline of a connection, far above what an answer takes.
AT_ONCE = 25
PLAIN = {"type": "object"}
GOOD = [{"name": f"good{n}", "inputSchema": PLAIN} for n in range(3)]
HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "raw", "version": "1"},
}
Answer = Callable[[Request], Awaitable[Response]]


def raw(kind: str, *, tools: str, called: str = '{"content": []}') -> Answer:
    """A server whose results are written by hand.

    Args:
        kind: how it answers: `json`, `events`, or events in `pieces`, with other ends of lines.
        tools: the list, as JSON; `called` is the result of each call.
    """

    async def answer(request: Request) -> Response:
        asked = json.loads(await request.body()) if request.method == "POST" else {}
        if "id" not in asked:
            return Response(status_code=202 if asked else 405)
        results = {
            "initialize": json.dumps(HELLO),
            "tools/list": f'{{"tools": {tools}}}',
            "tools/call": called,
        }
        result = results.get(asked["method"])
        said = (
            f'"result": {result}' if result else '"error": {"code": -32601, "message": "unknown"}'
        )
        message = f'{{"jsonrpc": "2.0", "id": {json.dumps(asked["id"])}, {said}}}'
        if kind == "json":
            return Response(message, media_type="application/json")
        end = "\r\n" if kind == "pieces" else "\n"
        event = f": a comment{end}id: 7{end}event: message{end}data: {message}{end}{end}"
        size = 997 if kind == "pieces" else len(event)
        parts = [event[at : at + size] for at in range(0, len(event), size)]
        return StreamingResponse(iter(parts), media_type="text/event-stream")

    return answer


async def served(answer: Answer) -> Served:
    return Served(Starlette(routes=[Route("/mcp", answer, methods=["GET", "POST", "DELETE"])]))


def config(url: str, **settings: Any) -> ServerConfig:
    return ServerConfig(name="peer", url=url, approve_first=True, protocol="2025-11-25", **settings)


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize("kind", ["json", "events", "pieces"])
@pytest.mark.parametrize("value", [deep(300), deep(20_000), '"\\ud83d"'])
async def test_a_schema_that_cannot_be_read_costs_no_other_tool(kind: str, value: str) -> None:
    odd = json.dumps({"name": "odd", "inputSchema": PLAIN | {"examples": "VALUE"}})
    good = [json.dumps(tool) for tool in GOOD]
    tools = ", ".join([*good[:2], odd.replace('"VALUE"', value), good[2]])
    async with (
        await served(raw(kind, tools=f"[{tools}]")) as server,
        closing(McpToolset(config(server.url))) as toolset,
    ):
        async with asyncio.timeout(AT_ONCE):
            catalog = await Catalog.open({"peer": toolset})
        names = [tool.name for tool in catalog.tools]
        assert names[:2] == ["peer__good0", "peer__good1"]
        assert names[-1] == "peer__good2"
        if value.startswith("["):
            assert len(names) == 3
            (problem,) = (one for one in catalog.problems if "odd" in one)
            assert "nested" in problem
        # Half a character is no reason to lose a tool; it is replaced.
        else:
            assert len(names) == 4
        assert not (await toolset.call("good0", {}, CONTEXT)).is_error


@pytest.mark.parametrize("kind", ["json", "events", "pieces"])
async def test_a_result_that_cannot_be_read_is_an_observation(kind: str) -> None:
    called = f'{{"content": [], "structuredContent": {{"x": {deep(300)}}}}}'
    answer = raw(kind, tools=json.dumps(GOOD), called=called)
    async with (
        await served(answer) as server,
        closing(McpToolset(config(server.url))) as toolset,
        asyncio.timeout(AT_ONCE),
    ):
        result = await toolset.call("good0", {}, CONTEXT)
        assert result.is_error
        assert result.text.startswith("The tool ran, but its answer is not valid: ")
        assert "nested deeper than" in result.text
        assert len(await toolset.list()) == 3


@pytest.mark.parametrize("kind", ["json", "events", "pieces"])
async def test_half_a_character_is_replaced(kind: str) -> None:
    called = r'{"content": [{"type": "text", "text": "caf\ud800"}]}'
    answer = raw(kind, tools=json.dumps(GOOD), called=called)
    async with (
        await served(answer) as server,
        closing(McpToolset(config(server.url))) as toolset,
        asyncio.timeout(AT_ONCE),
    ):
        assert (await toolset.call("good0", {}, CONTEXT)).text == "caf\ufffd"
