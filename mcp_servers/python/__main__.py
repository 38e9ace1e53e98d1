"""`python -m mcp_servers.python`: on stdio or, with `--http`, on a loopback port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
from mcp.server.mcpserver import MCPServer

from mcp_servers.python.sandbox import MIB, Limits, Sandbox
from mcp_servers.python.server import build_server
from mcp_servers.serving import Transport, serve, transport_options
from rostra.core import configure_logging


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@transport_options(port=8327)
@click.option(
    "--seconds",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0.1, 600),
    help="Longest time of one run.",
)
@click.option(
    "--memory",
    default=512,
    show_default=True,
    type=click.IntRange(64, 1 << 20),
    help="MiB of address space of one run.",
)
@click.option(
    "--folder",
    "folders",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder that code may read and import from; may be given several times.",
)
def main(transport: Transport, seconds: float, memory: int, folders: tuple[Path, ...]) -> None:
    """Offer a Python sandbox to MCP clients. Linux with user namespaces only."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[MCPServer]:
        configure_logging()
        yield build_server(Sandbox(Limits(seconds=seconds, memory=memory * MIB), folders=folders))

    serve(opened, transport)


if __name__ == "__main__":
    main(prog_name="python -m mcp_servers.python")
