"""MCP servers as the command line reaches them: by name, with a person to log in, or an error."""

import click

from rostra.agents import McpToolset
from rostra.runtime import Runtime, mcp_server_of, mcp_servers_of

login_option = click.option(
    "--login", is_flag=True, help="Log in where the server wants it; prints an address to open."
)


def servers(runtime: Runtime, login: bool) -> dict[str, McpToolset]:
    """All servers that are set, by name; with `login` a person can log in."""
    found = mcp_servers_of(runtime)
    if login:
        for toolset in found.values():
            toolset.log_in_with(_show_address)
    return found


def reached(runtime: Runtime, name: str, login: bool = False) -> McpToolset:
    """The server of a name.

    Raises:
        McpServerNotFound: there is none.
    """
    servers(runtime, login)
    return mcp_server_of(runtime, name)


async def _show_address(address: str) -> None:
    click.echo(f"Open this address to log in:\n  {address}", err=True)
