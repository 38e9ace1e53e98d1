"""MCP servers as the command line reaches them: by name, with a person to log in, or an error.

What always holds: what a server says is shown without its control characters.
"""

import click

from rostra.agents import McpToolset
from rostra.core import NotFound, RostraError
from rostra.runtime import Runtime


class McpServerNotFound(NotFound):
    """No MCP server of this name is configured."""

    code = "mcp_server_not_found"


class McpServerUnavailable(RostraError):
    """An MCP server cannot be reached, does not answer, or does not speak the protocol."""

    status = 503
    code = "mcp_server_unavailable"


login_option = click.option(
    "--login", is_flag=True, help="Log in where the server wants it; prints an address to open."
)


def servers(runtime: Runtime, login: bool) -> dict[str, McpToolset]:
    """All servers that are set, by name; with `login` a person can log in."""
    found = {
        name: toolset
        for name, toolset in sorted(runtime.workshop.servers().items())
        if isinstance(toolset, McpToolset)
    }
    if login:
        for toolset in found.values():
            toolset.log_in_with(_show_address)
    return found


def reached(runtime: Runtime, name: str, login: bool = False) -> McpToolset:
    """The server of a name.

    Raises:
        McpServerNotFound: there is none.
    """
    found = servers(runtime, login)
    if name not in found:
        raise McpServerNotFound(
            f"there is no MCP server named {name!r}",
            hint=f"There are: {', '.join(found)}." if found else "None is set.",
        )
    return found[name]


def unavailable(toolset: McpToolset, why: str) -> McpServerUnavailable:
    """The error of a server that cannot be used, and what may help."""
    hint = f"rostra mcp list {toolset.name} --login" if toolset.needs_login else None
    return McpServerUnavailable(clean(why), hint=hint)


async def _show_address(address: str) -> None:
    click.echo(f"Open this address to log in:\n  {address}", err=True)


def clean(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)
