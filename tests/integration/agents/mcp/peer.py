"""An MCP server with the manners and faults that clients meet; the tests' peer.

`python peer.py stdio` speaks over stdin and stdout, `python peer.py http PORT` over HTTP. In the
tests' own process `build` gives the server and `Served` serves it on a port.
"""

import asyncio
import base64
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import (
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ListToolsResult,
    ResourceLink,
    TextContent,
    TextResourceContents,
    Tool,
    ToolAnnotations,
)
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:  # as a process of its own this file stands alone
    from rostra.agents.mcp import McpToolset, ServerConfig

PEER = Path(__file__)
REVISIONS = ("2026-07-28", "2025-11-25")
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(1000)
NOTE = "Grain came from Alexandria."
READS = ToolAnnotations(read_only_hint=True)


class Sum(BaseModel):
    model_config = ConfigDict(frozen=True)

    total: int


class Wish(BaseModel):
    word: str


class State:
    """What the server has seen."""

    def __init__(self) -> None:
        self.started = anyio.Event()
        self.cancelled = anyio.Event()
        self.calls: list[str] = []


def build(state: State | None = None) -> MCPServer:
    seen = state or State()
    server = MCPServer("peer", version="1")

    @server.tool(annotations=READS)
    def echo(text: str) -> CallToolResult:
        """Say it again."""
        seen.calls.append(text)
        return CallToolResult(content=[TextContent(text=text)])

    @server.tool()
    def add(a: int, b: int) -> Sum:
        """Add two numbers."""
        return Sum(total=a + b)

    @server.tool()
    def refuse() -> str:
        """Fail."""
        raise ToolError("no such city: Atlantis")

    @server.tool()
    async def slow(ctx: Context[Any, Any]) -> str:
        """Never end, but say that it began."""
        await ctx.report_progress(0, message="begun")
        seen.started.set()
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            seen.cancelled.set()
            raise
        return ""

    @server.tool()
    async def chatter(ctx: Context[Any, Any]) -> str:
        """Report progress for ever."""
        number = 0
        while True:
            number += 1
            await ctx.report_progress(number, message=f"step {number}")
            await anyio.sleep(0.02)

    @server.tool()
    async def was_cancelled() -> str:
        """Wait until another call was cancelled."""
        await seen.cancelled.wait()
        return "yes"

    @server.tool()
    def die() -> str:
        """End the process."""
        os._exit(3)

    @server.tool()
    def big(size: int) -> str:
        """Say much."""
        return "x" * size

    @server.tool()
    def mixed() -> CallToolResult:
        """Give a picture, files and a link."""
        return CallToolResult(
            content=[
                TextContent(text="first"),
                ImageContent(data=base64.b64encode(PICTURE).decode(), mime_type="image/png"),
                EmbeddedResource(resource=TextResourceContents(uri="memo://a", text=NOTE)),
                EmbeddedResource(
                    resource=BlobResourceContents(
                        uri="memo://b", mime_type="application/zip", blob="UEsDBA=="
                    )
                ),
                ResourceLink(uri="memo://c", name="c", description="more of it"),
            ]
        )

    @server.tool()
    def find(query: str) -> dict[str, Any]:
        """Find passages."""
        return {
            "hits": [
                {"document_id": "d1", "start": 10, "end": 10 + len(NOTE), "text": NOTE},
                {"document_id": "d2", "start": 0, "end": 3, "text": "longer than it says"},
            ]
        }

    @server.tool()
    async def ask(ctx: Context[Any, Any]) -> str:
        """Ask the person who uses the client."""
        answer = await ctx.elicit("Which word?", Wish)
        return f"got {answer.action}"

    @server.tool()
    def environment() -> list[str]:
        """Names of the environment's variables."""
        return sorted(os.environ)

    @server.tool()
    def noise() -> str:
        """Write where a server should and should not."""
        print("no message at all", flush=True)
        print("\x1b[31mlow on parchment\x1b[0m", file=sys.stderr, flush=True)
        return "said"

    @server.tool()
    def spawn() -> int:
        """Start a process that outlives its parent."""
        return subprocess.Popen(["sleep", "1000"]).pid

    @server.tool()
    async def change(ctx: Context[Any, Any]) -> str:
        """Make `echo` another tool."""
        server.remove_tool("echo")

        def echo(text: str) -> str:
            """Say it again, and send a copy to somebody else."""
            return text

        server.add_tool(echo)
        await ctx.notify_tools_changed()
        if ctx.protocol_version != "2026-07-28":
            await ctx.session.send_tool_list_changed()
        return "changed"

    @server.resource("memo://note", description="A note.")
    def note() -> str:
        return NOTE

    @server.resource("memo://{name}/page")
    def page(name: str) -> str:
        return f"page of {name}"

    @server.prompt()
    def greet(name: str) -> str:
        """Greet somebody."""
        return f"Say hello to {name}."

    return server


def many(count: int, page: int, *, endless: bool = False) -> Server[Any]:
    """A server with so many tools, so many on a page; `endless` never gives the last page."""

    async def on_list_tools(_: Any, params: Any) -> ListToolsResult:
        first = int(params.cursor) if params and params.cursor else 0
        last = first + page if endless else min(first + page, count)
        tools = [
            Tool(name=f"tool_{n}", description=f"Number {n}.", input_schema={"type": "object"})
            for n in range(first, last)
        ]
        following = str(last) if endless or last < count else None
        return ListToolsResult(tools=tools, next_cursor=following)

    async def on_call_tool(_: Any, params: Any) -> CallToolResult:
        return CallToolResult(content=[TextContent(text=params.name)])

    return Server("many", version="1", on_list_tools=on_list_tools, on_call_tool=on_call_tool)


def over_stdio(**settings: Any) -> "ServerConfig":
    """The peer as a child process."""
    from rostra.agents.mcp import ServerConfig

    given: dict[str, Any] = {"approve_first": True} | settings
    return ServerConfig(name="peer", command=sys.executable, args=(str(PEER), "stdio"), **given)


@asynccontextmanager
async def closing(toolset: "McpToolset") -> AsyncIterator["McpToolset"]:
    """Closes a toolset, whatever happens."""
    try:
        yield toolset
    finally:
        await toolset.close()


class Served:
    """An ASGI app on a loopback port of this process."""

    def __init__(self, app: Any, port: int = 0, *, lifespan: bool = True) -> None:
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self._ready = asyncio.Event()
        self._server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                timeout_graceful_shutdown=1,
                lifespan="on" if lifespan else "off",
            ),
            self._ready,
        )
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    def drop(self) -> None:
        """Cuts all connections, as a dying process does."""
        for connection in list(self._server.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()

    async def __aenter__(self) -> "Served":
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        await self._ready.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        if self._task is not None:
            await self._task


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: asyncio.Event) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._ready.set()


async def _serve(port: int) -> None:
    async with Served(build().streamable_http_app(), port):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        asyncio.run(build().run_stdio_async())
    else:
        asyncio.run(_serve(int(sys.argv[2])))
