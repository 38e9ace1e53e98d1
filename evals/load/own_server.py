"""Our own API in a process of its own, so that its model is measured as users meet it: over HTTP.

What always holds: the server has an empty data directory that is deleted afterwards, and listens on
this machine alone; it is ended with the measurement, whatever happens.
"""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from evals.load.errors import EndpointUnusable

_START_SECONDS = 120.0
_STOP_SECONDS = 15.0
_GREETING = "Serving on "
_TAIL = 2000


@asynccontextmanager
async def serve_model(model: str) -> AsyncIterator[str]:
    """Runs `rostra serve` with this process's settings and another data directory; gives the
    address of its OpenAI-compatible surface.

    Args:
        model: a folder or a hub id.

    Raises:
        EndpointUnusable: it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="rostra-load-") as folder:
        errors = Path(folder) / "stderr"
        environment = os.environ | {
            "ROSTRA_HOME": str(Path(folder) / "home"),
            "ROSTRA_DATABASE_URL": "",
            "ROSTRA_MODEL": model,
            # Another generator would be asked instead of the model.
            "ROSTRA_CHAT_URL": "",
        }
        environment.pop("ROSTRA_CHAT_SCRIPT", None)
        with errors.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "rostra.cli", "serve"),
                *("--host", "127.0.0.1", "--port", "0"),
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                # Ctrl-C is for the measurement, which ends this when it has reported.
                start_new_session=True,
            )
        try:
            yield await _address(process, errors) + "/v1"
        finally:
            await asyncio.shield(_end(process))


async def _address(process: asyncio.subprocess.Process, errors: Path) -> str:
    if process.stdout is None:
        raise EndpointUnusable("the server has no output to read")
    line = b""
    with suppress(TimeoutError):
        async with asyncio.timeout(_START_SECONDS):
            line = await process.stdout.readline()
    told = line.decode(errors="replace").strip()
    if not told.startswith(_GREETING):
        tail = errors.read_text(errors="replace")[-_TAIL:].strip()
        why = tail or f"it said nothing within {_START_SECONDS:.0f} s"
        raise EndpointUnusable(f"our own server does not start: {why}")
    return told.removeprefix(_GREETING)


async def _end(process: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            process.send_signal(number)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
            return
