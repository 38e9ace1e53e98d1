"""`python -m mcp_servers.files FOLDER`: on stdio or, with `--http`, on a loopback port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
from mcp.server.mcpserver import MCPServer

from mcp_servers.files.rooted import Root
from mcp_servers.files.server import build_server
from mcp_servers.serving import Transport, serve, transport_options
from rostra.core import configure_logging


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@transport_options(port=8326)
@click.option("--writable", is_flag=True, help="Offer write_file too.")
@click.argument("folder", type=click.Path(path_type=Path))
def main(transport: Transport, writable: bool, folder: Path) -> None:
    """Offer the files below FOLDER to MCP clients: list, read, search; nothing outside of it."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[MCPServer]:
        configure_logging()
        with Root(folder) as root:
            yield build_server(root, writable=writable)

    serve(opened, transport)


if __name__ == "__main__":
    main(prog_name="python -m mcp_servers.files")
