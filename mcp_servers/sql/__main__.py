"""`python -m mcp_servers.sql`: on stdio or, with `--http`, on a loopback port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click
from mcp.server.mcpserver import MCPServer

from mcp_servers.serving import Transport, serve, transport_options
from mcp_servers.sql.limits import Limits
from mcp_servers.sql.server import build_server, open_database
from rostra.core import configure_logging

_HEAP = 256 * 1024 * 1024


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@transport_options(port=8324)
@click.option(
    "--url",
    envvar="MCP_SQL_URL",
    show_envvar=True,
    required=True,
    help="sqlite:///FILE or postgresql://...; in the variable, other users do not see it.",
)
@click.option(
    "--seconds",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0.1, 600),
    help="Longest time of a query.",
)
def main(transport: Transport, url: str, seconds: float) -> None:
    """Offer one database to MCP clients to read: list_tables, describe, query."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[MCPServer]:
        configure_logging()
        yield build_server(await open_database(url, Limits(seconds=seconds), _HEAP))

    serve(opened, transport)


if __name__ == "__main__":
    main(prog_name="python -m mcp_servers.sql")
