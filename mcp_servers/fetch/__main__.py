"""`python -m mcp_servers.fetch`: on stdio or, with `--http`, on a loopback port."""

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click
from mcp.server.mcpserver import MCPServer

from mcp_servers.fetch.documents import DocumentReader
from mcp_servers.fetch.server import build_server
from mcp_servers.serving import Transport, serve, transport_options
from rostra.core import configure_logging, load_settings
from rostra.fetch import Fetcher, Guard, Network, Robots


def _networks(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(text) for text in given)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from None


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@transport_options(port=8325)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    help="Fetch only from this host and names below it; can be repeated.",
)
@click.option(
    "--allow-network",
    "networks",
    multiple=True,
    callback=_networks,
    help="Fetch also from this network, as 10.1.0.0/16, though it is not public; can be repeated.",
)
@click.option(
    "--seconds",
    default=20.0,
    show_default=True,
    type=click.FloatRange(0.1, 600),
    help="Longest time for a page.",
)
@click.option(
    "--max-bytes",
    default=4 * 1024 * 1024,
    show_default=True,
    type=click.IntRange(1, 64 * 1024 * 1024),
    help="Most that is read of a page.",
)
@click.option(
    "--ignore-robots",
    is_flag=True,
    help="Fetch also what a site's robots.txt asks programs not to read.",
)
def main(
    transport: Transport,
    hosts: tuple[str, ...],
    networks: tuple[Network, ...],
    seconds: float,
    max_bytes: int,
    ignore_robots: bool,
) -> None:
    """Offer public web pages and documents (PDF, DOCX) as text to MCP clients.

    Documents are parsed within the limits of the settings parse_timeout, parse_memory_bytes and
    max_text_chars.

    Without --allow-host, clients are told that a call does more than read: URLs can carry data out.
    """
    guard = Guard(frozenset(host.lower().strip(".") for host in hosts), networks)

    @asynccontextmanager
    async def opened() -> AsyncIterator[MCPServer]:
        settings = load_settings()
        configure_logging(settings.log_level, settings.log_format)
        robots = None if ignore_robots else Robots()
        fetcher = Fetcher(guard, seconds=seconds, max_bytes=max_bytes, robots=robots)
        yield build_server(fetcher, DocumentReader(settings), trusted=bool(hosts))

    serve(opened, transport)


if __name__ == "__main__":
    main(prog_name="python -m mcp_servers.fetch")
