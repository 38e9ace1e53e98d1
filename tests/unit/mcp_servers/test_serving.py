"""The scaffold: what a tool's failures tell, and where servers can be reached."""

from importlib import import_module

import click
import pytest
from click.testing import CliRunner
from mcp import Client
from mcp.types import TextContent
from pydantic import BaseModel

from mcp_servers.serving import READ_ONLY, Transport, make_server, offer, transport_options
from rostra.core import InvalidRequest, StoreUnavailable

SERVERS = ("calculator", "fetch", "files", "knowledge", "sql")


class Said(BaseModel):
    """A result."""

    word: str


async def speak(word: str) -> Said:
    """Say a word."""
    match word:
        case "wrong":
            raise InvalidRequest("that is no word", hint="Say another.")
        case "closed":
            raise StoreUnavailable("closed today")
        case "bug":
            raise RuntimeError("the password is swordfish")
    return Said(word=word)


async def told(client: Client, word: str) -> str:
    result = await client.call_tool("speak", {"word": word})
    assert result.is_error
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


async def test_typed_errors_are_told_and_others_are_not() -> None:
    server = make_server("parrot", "Says words.")
    offer(server, speak)
    async with Client(server) as client:
        (tool,) = (await client.list_tools()).tools
        assert (tool.name, tool.description) == ("speak", "Say a word.")
        assert tool.annotations == READ_ONLY
        assert tool.output_schema is not None
        assert client.instructions == "Says words."
        answer = await client.call_tool("speak", {"word": "hi"})
        assert answer.structured_content == {"word": "hi"}
        assert (await told(client, "wrong")).endswith("that is no word\nHint: Say another.")
        assert "closed today" in await told(client, "closed")
        assert "swordfish" not in await told(client, "bug")


@click.command()
@transport_options(port=1234)
@click.option("--loud", is_flag=True)
def command(transport: Transport, loud: bool) -> None:
    """A server's command."""
    click.echo(f"{transport} {loud}")


def test_a_command_gets_its_transport() -> None:
    plain = CliRunner().invoke(command, [])
    assert plain.output == f"{Transport(False, '127.0.0.1', 1234)} False\n"
    given = CliRunner().invoke(command, ["--loud", "--http", "--host", "[::1]", "--port", "0"])
    assert given.output == f"{Transport(True, '::1', 0)} True\n"
    named = CliRunner().invoke(command, ["--host", "LOCALHOST"])
    assert named.output == f"{Transport(False, '127.0.0.1', 1234)} False\n"


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", "", "127.0.0.1.nip"])
def test_only_this_machine_reaches_the_port_of_any_server(name: str, host: str) -> None:
    main = import_module(f"mcp_servers.{name}.__main__").main
    result = CliRunner().invoke(main, ["--http", "--host", host])
    assert result.exit_code == 2
    assert "loopback" in result.stderr
    assert result.stdout == ""


def test_servers_have_ports_of_their_own() -> None:
    ports = set()
    for name in SERVERS:
        main = import_module(f"mcp_servers.{name}.__main__").main
        (port,) = (option.default for option in main.params if option.name == "port")
        ports.add(port)
    assert len(ports) == len(SERVERS)
