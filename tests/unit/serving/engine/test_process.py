"""The client's end of the engine's process, over a process that does what a test says."""

import asyncio
from typing import Any

from rostra.serving.engine.process import EngineProcess


class Ending:
    """A process that is about to end by itself."""

    pid = 0
    returncode: int | None = None
    kills = 0

    async def wait(self) -> int:
        await asyncio.sleep(0)
        self.returncode = 1
        return 1

    def kill(self) -> None:
        self.kills += 1


class Pipe:
    """A writer whose other end is gone."""

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        """Into nothing."""

    def close(self) -> None:
        """Nothing to close."""

    async def wait_closed(self) -> None:
        raise ConnectionResetError


async def test_a_process_that_resets_the_connection_is_waited_for() -> None:
    """To kill it as well would take its exit status away from who watches it."""
    process, writer = Ending(), Pipe()
    reader = asyncio.StreamReader()
    reader.set_exception(ConnectionResetError())
    untyped: Any = EngineProcess
    await untyped(process, reader, writer).stop()
    assert process.returncode == 1
    assert not process.kills
