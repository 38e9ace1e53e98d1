"""`rostra serve`: the web page and the API.

What always holds: the address is printed once the server listens, on stdout and nothing else there;
Ctrl-C and SIGTERM end it with status 0 within a few seconds, whatever streams are open; an address
that cannot be had, or a device that is not there, is one line, not a traceback.
"""

import asyncio
import errno
import signal
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext

import click
import uvicorn

from mcp_servers import SandboxRunner
from rostra.api import create_app
from rostra.cli.output import settings_of_process
from rostra.core import RostraError, Settings, pick_device
from rostra.runtime import open_runtime
from rostra.store import one_worker

# Open streams are cut off after this.
_STREAM_SECONDS = 3
_THREADS = 16
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class CannotListen(RostraError):
    """The address to listen on cannot be had."""

    code = "cannot_listen"


@click.command("serve")
@click.option("--host", default=None, help="Address to listen on.  [default: 127.0.0.1]")
@click.option(
    "--port",
    default=None,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 picks a free one.  [default: 8321]",
)
def command(host: str | None, port: int | None) -> None:
    """Serve the web page and the API until Ctrl-C.

    There are no users yet: whoever reaches the address can read and change everything, so keep it
    on this machine or on a network you trust.
    """
    settings = settings_of_process(host=host, port=port)
    if settings.device != "auto":  # which always finds one, and need not wait for torch
        pick_device(settings.device)
    listener = listen(settings.host, settings.port)
    with listener:
        asyncio.run(_serve(settings, listener))


def listen(host: str, port: int) -> socket.socket:
    """A bound socket.

    Raises:
        CannotListen: the port is taken, or the host is not one of this machine's.
    """
    try:
        found = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise CannotListen(
            f"cannot listen on {host}: {error}", hint="Set --host to an address of this machine."
        ) from None
    # IPv4 first, which is what a name such as localhost is expected to mean.
    family, kind, protocol, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # Now, because two sockets can be bound to one port and only the second listener fails.
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise _refusal(host, port, error) from None
    return listener


def _refusal(host: str, port: int, error: OSError) -> CannotListen:
    match error.errno:
        case errno.EADDRINUSE:
            hint = "Another program has this port: end it, or choose another with --port."
        case errno.EACCES:
            hint = "Ports below 1024 need privileges: choose another with --port."
        case errno.EADDRNOTAVAIL:
            hint = "Set --host to an address of this machine."
        case _:
            hint = "Choose another --host or --port."
    return CannotListen(f"cannot listen on {host}:{port}: {error.strerror}", hint=hint)


async def _serve(settings: Settings, listener: socket.socket) -> None:
    """Runs the server until a signal ends it."""
    loop = asyncio.get_running_loop()
    work = ThreadPoolExecutor(_THREADS)
    loop.set_default_executor(work)
    with one_worker(settings):
        await _serve_alone(settings, listener)
    # asyncio would wait for every thread to finish; what these compute nobody wants any more.
    work.shutdown(wait=False, cancel_futures=True)
    loop.set_default_executor(ThreadPoolExecutor(1))


async def _serve_alone(settings: Settings, listener: socket.socket) -> None:
    """Serves as the one process that does this data directory's jobs."""
    # Opened here rather than in the application, so that its errors reach the command's user.
    async with open_runtime(settings, code=SandboxRunner()) as runtime:
        app = create_app(settings, lambda: nullcontext(runtime))
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_STREAM_SECONDS,
        )
        await _Server(config, _address(settings.host, listener)).serve([listener])


class _Server(uvicorn.Server):
    """Says where it listens, and takes a signal for a wish instead of a failure."""

    def __init__(self, config: uvicorn.Config, address: str) -> None:
        super().__init__(config)
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            click.echo(f"Serving on {self._address}")
            sys.stdout.flush()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The base class raises the signals again at the end, which would be a failure's status."""
        before = {sig: signal.signal(sig, self.handle_exit) for sig in _SIGNALS}
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)


def _address(host: str, listener: socket.socket) -> str:
    name = host.strip("[]")
    shown = f"[{name}]" if ":" in name else name
    return f"http://{shown}:{listener.getsockname()[1]}"
