"""`python -m mcp_servers.knowledge`: the server on stdio or, with `--http`, on a loopback port.

What always holds: stdout carries the protocol and nothing else, logs and errors go to stderr. There
are no accounts, so only this machine can reach the port, and pages of other sites cannot.
"""

import asyncio
import gc
import ipaddress
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import click
import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

from mcp_servers.knowledge.server import build_server
from rostra.core import RostraError, Settings, configure_logging, load_settings
from rostra.runtime import open_runtime


def _loopback(context: click.Context, parameter: click.Parameter, given: str) -> str:
    """The address as sockets take it, when only this machine reaches it."""
    name = "127.0.0.1" if given.lower() == "localhost" else given.strip("[]")
    try:
        is_loopback = ipaddress.ip_address(name).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise click.BadParameter(
            f"{given[:100]!r} is no loopback address; the server has no accounts, so put a proxy "
            "that authenticates in front of it",
            context,
            parameter,
        )
    return name


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--http", is_flag=True, help="Serve streamable HTTP at /mcp instead of stdio.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    callback=_loopback,
    help="Loopback address for --http.",
)
@click.option(
    "--port",
    default=8322,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port for --http; 0 picks a free one.",
)
def main(http: bool, host: str, port: int) -> None:
    """Offer Rostra's documents to MCP clients: search, read, list_documents, ask.

    Settings come from ROSTRA_* variables and rostra.toml, as for the `rostra` command.
    """
    try:
        settings = load_settings()
        configure_logging(settings.log_level, settings.log_format)
        listener = _listen(host, port) if http else None
        asyncio.run(_serve(settings, listener))
        # Else Python takes a loaded model apart for longer than clients wait before they kill.
        gc.freeze()
    except RostraError as error:
        hint = f"\n  {error.hint}" if error.hint else ""
        raise click.ClickException(error.message + hint) from None


async def _serve(settings: Settings, listener: socket.socket | None) -> None:
    """Serves until the client closes stdin or, on a port, until a signal."""
    async with open_runtime(settings) as runtime:
        server = build_server(runtime)
        if listener is None:
            await server.run_stdio_async()
        else:
            await _serve_http(server, listener)


async def _serve_http(server: MCPServer, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    authority = f"[{host}]" if ":" in host else host
    # What callers on this machine may call it; any port, so that a tunnel's works too.
    own = [f"{name}:*" for name in dict.fromkeys((authority, "127.0.0.1", "localhost", "[::1]"))]
    app = server.streamable_http_app(
        stateless_http=True,  # no tool remembers anything, so neither need sessions
        transport_security=TransportSecuritySettings(
            allowed_hosts=own, allowed_origins=[f"http://{name}" for name in own]
        ),
    )
    # h11 checks headers that the faster parser lets through; no log_config, or logs go to stdout.
    config = uvicorn.Config(app, http="h11", ws="none", log_config=None, access_log=False)
    await _HttpServer(config, f"http://{authority}:{port}/mcp").serve(sockets=[listener])


class _HttpServer(uvicorn.Server):
    """Says where it is once it answers; a signal ends it, and then the platform is closed."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            click.echo(f"serving {self._url}", err=True)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # The base raises the signal again at its end, before the database could be closed.
        loop = asyncio.get_running_loop()
        for caught in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(caught, self.handle_exit, caught, None)
        try:
            yield
        finally:
            for caught in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(caught)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host} port {port}: {error}") from None


if __name__ == "__main__":
    main(prog_name="python -m mcp_servers.knowledge")
