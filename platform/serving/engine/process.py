"""The client's end of the engine's process: start it, talk to it, end it.

What always holds: the process reads nothing from our standard input and writes nothing to our
standard output; after `stop` it is gone and its pipe closed.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgspec

from rostra.serving.config import EngineConfig
from rostra.serving.engine.wire import HEADER, Command, Load, Report, Shutdown, frame

# To end by itself after it was asked to.
_LEAVE_SECONDS = 5.0


class EngineProcess:
    """A running process. Make with `spawn`."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._decoder = msgspec.msgpack.Decoder(Report)

    @classmethod
    async def spawn(cls, core: str, folder: Path, config: EngineConfig) -> Self:
        """Starts a process that begins to load.

        Args:
            core: what makes the engine's core there, as `module:name`.
            folder: the checkpoint's.
            config: how to set the engine up.

        Raises:
            OSError: the system gives no process or no pipe.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    # Never import from the current folder unless we do, which `Load` tells.
                    "-P",
                    "-m",
                    "rostra.serving.engine.worker",
                    str(theirs.fileno()),
                    str(os.getpid()),
                    stdin=asyncio.subprocess.DEVNULL,
                    # Standard output belongs to results.
                    stdout=2,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        spawned = cls(process, reader, writer)
        level = logging.getLogger("rostra").getEffectiveLevel()
        spawned.send(Load(str(folder), config, core, list(sys.path), level))
        return spawned

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def send(self, command: Command) -> None:
        """Puts a command into the pipe; to a process that has ended, does nothing."""
        if not self._writer.is_closing():
            self._writer.write(frame(command))

    async def drain(self) -> None:
        """Waits until the pipe has taken most of what was sent."""
        # A broken pipe shows where reports are read, once and for all requests.
        with suppress(ConnectionError):
            await self._writer.drain()

    async def reports(self) -> AsyncGenerator[Report, None]:
        """What the process says, until it ends."""
        try:
            while True:
                (length,) = HEADER.unpack(await self._reader.readexactly(HEADER.size))
                yield self._decoder.decode(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return

    async def fate(self) -> str:
        """How the process ended, in words; one that has only closed its pipe is killed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_SECONDS):
                await self._process.wait()
        await self.kill()
        status = self._process.returncode or 0
        if status < 0:
            return f"signal {signal.Signals(-status).name}"
        return f"exit status {status}"

    async def stop(self) -> None:
        """Asks the process to end, and ends it if it does not."""
        self.send(Shutdown())
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_SECONDS):
                # Its last reports nobody reads any more, but they must not keep it. One that ended
                # before it read what we sent resets the connection.
                with suppress(ConnectionError):
                    await self._reader.read()
                # Killing looks whether it has ended, and takes its status away from who waits.
                await self._process.wait()
        await self.kill()

    async def kill(self) -> None:
        """Ends the process at once."""
        self._writer.close()
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()
        with suppress(ConnectionError):
            await self._writer.wait_closed()
