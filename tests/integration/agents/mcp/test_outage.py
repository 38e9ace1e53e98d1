"""Servers that do not answer: who waits for them, who is told instead, and how they come back."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rostra.agents.mcp import McpToolset, ServerConfig
from rostra.agents.tools.catalog import Catalog
from rostra.agents.tools.tool import ToolFailure
from tests.integration.agents.mcp.peer import Served, build, closing
from tests.integration.agents.mcp.test_stdio import script


class Mute:
    """Takes connections and never answers.

    Attributes:
        taken: one entry for each connection.
    """

    def __init__(self) -> None:
        self.taken: asyncio.Queue[None] = asyncio.Queue()
        self.port = 0

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken.put_nowait(None)
        try:
            while await reader.read(4096):
                pass
        finally:
            writer.close()

    @asynccontextmanager
    async def served(self) -> AsyncIterator["Mute"]:
        server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()


def config(url: str, **settings: Any) -> ServerConfig:
    return ServerConfig(name="peer", url=url, approve_first=True, **settings)


async def gave_up(toolset: McpToolset, begun: asyncio.Queue[None], clock: list[float]) -> None:
    """A run that waits five seconds, by the toolset's clock, and no longer."""
    waits = asyncio.create_task(toolset.list())
    await begun.get()
    clock[0] += 5
    waits.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waits


async def test_a_server_that_never_answers_costs_one_run_its_time() -> None:
    clock = [0.0]
    async with Mute().served() as mute:
        url = f"http://127.0.0.1:{mute.port}/mcp"
        toolset = McpToolset(config(url, connect_seconds=1.5), clock=lambda: clock[0])
        async with closing(toolset):
            await gave_up(toolset, mute.taken, clock)
            # It is tried once more beside the runs, whatever their patience.
            await mute.taken.get()
            catalog = await Catalog.open({"peer": toolset})
            assert not catalog.tools
            (problem,) = catalog.problems
            assert problem.startswith("peer: its tools are left out: unavailable since ")
            assert "no answer within 5 s" in problem
            # Who asks for this server alone is not put off.
            with pytest.raises(ToolFailure, match="no answer within 2 s"):
                await toolset.survey()
            await mute.taken.get()
            with pytest.raises(ToolFailure, match="unavailable since") as refused:
                await toolset.list()
            assert not refused.value.began
            assert mute.taken.empty()
            clock[0] += 61
            with pytest.raises(ToolFailure, match="cannot be used"):
                await toolset.list()
            await mute.taken.get()


# Never answers, and takes its time to leave.
SLOW_TO_LEAVE = """
import sys
sys.stdin.read()
open({leaving!r}, "w").write("x")
open({left!r}).read()
"""


async def test_the_time_that_a_server_takes_to_leave_is_none_that_was_waited(
    tmp_path: Path,
) -> None:
    clock = [0.0]
    leaving, left, born = (tmp_path / name for name in ("leaving", "left", "born"))
    for pipe in (leaving, left, born):
        os.mkfifo(pipe)
    code = f"open({str(born)!r}, 'w').write('x')\n"
    code += SLOW_TO_LEAVE.format(leaving=str(leaving), left=str(left))
    toolset = McpToolset(script(tmp_path, code), clock=lambda: clock[0])
    async with closing(toolset):
        waits = asyncio.create_task(toolset.list())
        await asyncio.to_thread(born.read_text)
        clock[0] += 20
        waits.cancel()
        await asyncio.to_thread(leaving.read_text)
        clock[0] += 2
        await asyncio.to_thread(left.write_text, "x")
        with pytest.raises(asyncio.CancelledError):
            await waits
        with pytest.raises(ToolFailure, match="no answer within 20 s"):
            await toolset.list()


async def test_a_server_that_is_slow_is_there_for_the_next_run() -> None:
    clock = [0.0]
    asked: asyncio.Queue[None] = asyncio.Queue()
    answers = asyncio.Event()
    app = build().streamable_http_app()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            asked.put_nowait(None)
            await answers.wait()
        await app(scope, receive, send)

    async with (
        Served(slow) as served,
        closing(McpToolset(config(served.url), clock=lambda: clock[0])) as toolset,
    ):
        await gave_up(toolset, asked, clock)
        with pytest.raises(ToolFailure, match="unavailable since"):
            await toolset.list()
        answers.set()
        while toolset.protocol is None:  # noqa: ASYNC110 # nobody is told of it
            await asyncio.sleep(0)
        await toolset.survey()
        assert {tool.name for tool in await toolset.list()} >= {"echo", "add"}


async def test_what_fails_at_once_is_tried_by_each_run() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    at_once = McpToolset(config(f"http://127.0.0.1:{port}/mcp"), clock=lambda: 0.0)
    async with closing(at_once) as toolset:
        for _ in range(2):
            with pytest.raises(ToolFailure, match="cannot reach it"):
                await toolset.list()
        async with Served(build().streamable_http_app(), port):
            assert await toolset.list()


async def test_closing_ends_the_attempt_beside_the_runs() -> None:
    clock = [0.0]
    async with Mute().served() as mute:
        url = f"http://127.0.0.1:{mute.port}/mcp"
        async with closing(McpToolset(config(url), clock=lambda: clock[0])) as toolset:
            await gave_up(toolset, mute.taken, clock)
            await mute.taken.get()
        left = [task for task in asyncio.all_tasks() if "peer" in task.get_name()]
        assert not left
