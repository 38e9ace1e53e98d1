"""`python -m mcp_servers.knowledge`: the server on stdio or, with `--http`, on a loopback port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click
from mcp.server.mcpserver import MCPServer

from mcp_servers.knowledge.server import build_server
from mcp_servers.serving import Transport, serve, transport_options
from rostra.core import configure_logging, load_settings
from rostra.runtime import open_runtime


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@transport_options(port=8322)
def main(transport: Transport) -> None:
    """Offer Rostra's documents to MCP clients: search, read, cite, list_documents, ask.

    Settings come from ROSTRA_* variables and rostra.toml, as for the `rostra` command.
    """
    serve(_opened, transport)


@asynccontextmanager
async def _opened() -> AsyncIterator[MCPServer]:
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    async with open_runtime(settings) as runtime:
        yield build_server(runtime)


if __name__ == "__main__":
    main(prog_name="python -m mcp_servers.knowledge")
