"""`rostra mcp prompt` and `rostra mcp resource`: texts of MCP servers, listed and read.

What always holds: what a server says is shown without its control characters.
"""

from collections.abc import Mapping, Sequence

import click

from rostra.agents import ToolFailure
from rostra.cli.mcp_reach import login_option, reached
from rostra.cli.output import json_option, print_json, print_table, with_runtime
from rostra.core import InvalidRequest
from rostra.runtime import (
    PromptedTask,
    Runtime,
    prompt_messages,
    prompted_task,
    refused_by,
    unavailable,
)
from rostra.runtime import without_controls as clean

_DESCRIPTION_CHARS = 120


async def named_prompt(runtime: Runtime, named: str, arguments: Mapping[str, str]) -> PromptedTask:
    """The task that a prompt is.

    Args:
        named: `SERVER/NAME`.

    Raises:
        InvalidRequest: it is named otherwise, the server refuses it, or it has no text.
        McpServerNotFound, McpServerUnavailable: there is no such server, or it does not answer.
    """
    server, _, name = named.partition("/")
    if not name:
        raise InvalidRequest(
            f"--prompt: {named!r} is no prompt",
            hint="Name it as SERVER/NAME; `rostra mcp prompt SERVER` lists them.",
            field="prompt",
        )
    return await prompted_task(runtime, server, name, arguments)


def pairs(given: Sequence[str], what: str) -> dict[str, str]:
    """`NAME=VALUE` by name.

    Raises:
        InvalidRequest: one is not of this form.
    """
    found: dict[str, str] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not name or not equals:
            raise InvalidRequest(f"{what}: {one!r} is not NAME=VALUE", field="arguments")
        found[name] = value
    return found


@click.command("prompt")
@click.argument("server")
@click.argument("name", required=False)
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]...")
@login_option
@json_option
def prompt(
    server: str, name: str | None, arguments: tuple[str, ...], login: bool, as_json: bool
) -> None:
    """List a server's prompts, or print the one of NAME filled in."""
    given = pairs(arguments, "arguments")

    async def work(runtime: Runtime) -> None:
        toolset = reached(runtime, server, login)
        if name is not None:
            messages = await prompt_messages(toolset, name, given)
            if as_json:
                print_json({"messages": [{"role": role, "text": text} for role, text in messages]})
            else:
                if not messages:
                    click.echo("The prompt has no messages.", err=True)
                for role, text in messages:
                    click.echo(f"{clean(role)}: {clean(text)}")
            return
        try:
            found = await toolset.prompts()
        except ToolFailure as failure:
            raise unavailable(toolset, str(failure)) from None
        if as_json:
            print_json({"prompts": found})
            return
        rows = [
            (clean(one.name), _wanted(one.arguments), clean(one.description)[:_DESCRIPTION_CHARS])
            for one in found
        ]
        print_table(("prompt", "arguments", "description"), rows)

    with_runtime(work)


@click.command("resource")
@click.argument("server")
@click.argument("uri", required=False)
@login_option
@json_option
def resource(server: str, uri: str | None, login: bool, as_json: bool) -> None:
    """List a server's resources, or print the one of URI."""

    async def work(runtime: Runtime) -> None:
        toolset = reached(runtime, server, login)
        if uri is None:
            try:
                found = await toolset.resources()
            except ToolFailure as failure:
                raise unavailable(toolset, str(failure)) from None
            if as_json:
                print_json({"resources": found})
                return
            rows = [
                (clean(one.uri), clean(one.name), clean(one.description)[:_DESCRIPTION_CHARS])
                for one in found
            ]
            print_table(("uri", "name", "description"), rows)
            return
        try:
            result = await toolset.read_resource(uri)
        except ToolFailure as failure:
            raise refused_by(toolset, failure) from None
        if as_json:
            print_json({"uri": uri, "text": result.text, "bytes": result.size})
        else:
            click.echo(clean(result.text))

    with_runtime(work)


def _wanted(arguments: Sequence[tuple[str, bool]]) -> str:
    """Arguments by name, in brackets what can be left out."""
    return " ".join(clean(name) if required else f"[{clean(name)}]" for name, required in arguments)
