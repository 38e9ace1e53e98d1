"""Servers as processes of their own, and the library's client connected to them."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters

ROOT = Path(__file__).parents[3]
Connect = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture(params=["stdio", "http 2026-07-28", "http legacy"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """Starts `python -m mcp_servers.NAME ARGUMENTS...` and connects to it, in each way in turn."""

    @asynccontextmanager
    async def opened(name: str, *arguments: str, **environment: str) -> AsyncIterator[Client]:
        command = ["-m", f"mcp_servers.{name}", *arguments]
        variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment}
        if request.param == "stdio":
            server = StdioServerParameters(command=sys.executable, args=command, env=variables)
            async with Client(server, read_timeout_seconds=60) as client:
                yield client
            return
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            "--http",
            "--port",
            "0",
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env=variables,
        )
        try:
            assert process.stderr is not None
            seen = b""
            while not (line := await process.stderr.readline()).startswith(b"serving "):
                assert line, f"the server ended: {seen.decode()}"
                seen += line
            url = line.removeprefix(b"serving ").decode().strip()
            mode = request.param.removeprefix("http ")
            async with Client(url, mode=mode, read_timeout_seconds=60) as client:
                yield client
            process.send_signal(signal.SIGINT)
            stdout, stderr = await process.communicate()
            assert (process.returncode, stdout) == (0, b"")
            assert b"Traceback" not in stderr
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()

    return opened
