"""`python -m mcp_servers.calculator`: on stdio or, with `--http`, on a loopback port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click
from mcp.server.mcpserver import MCPServer

from mcp_servers.calculator.server import build_server
from mcp_servers.serving import Transport, serve, transport_options
from rostra.core import configure_logging


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@transport_options(port=8323)
def main(transport: Transport) -> None:
    """Offer exact arithmetic, units and dates to MCP clients."""
    serve(_opened, transport)


@asynccontextmanager
async def _opened() -> AsyncIterator[MCPServer]:
    configure_logging()
    yield build_server()


if __name__ == "__main__":
    main(prog_name="python -m mcp_servers.calculator")
