"""`rostra mcp prompt` and `rostra mcp resource`: texts of MCP servers, listed and read.

What always holds: a prompt that becomes a task is its server's word, not the user's: what it leads
to counts as influenced by that server, so calls that change something are asked about.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from rostra.agents import McpToolset, Origin, ToolFailure
from rostra.cli.mcp_reach import clean, login_option, reached, unavailable
from rostra.cli.output import json_option, print_json, print_table, with_runtime
from rostra.core import InvalidRequest, RostraError, normalize_text
from rostra.runtime import Runtime

_DESCRIPTION_CHARS = 120


@dataclass(frozen=True, slots=True)
class PromptedTask:
    """A prompt of a server, as the task of a run.

    Attributes:
        sources: what had influenced it; see `RunRequest.sources`.
    """

    text: str
    sources: list[str]


async def prompted_task(runtime: Runtime, named: str, arguments: Mapping[str, str]) -> PromptedTask:
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
    messages = await _prompt(reached(runtime, server), name, arguments, in_words=True)
    roles = {role for role, _ in messages}
    texts = [text if roles == {"user"} else f"{role}: {text}" for role, text in messages]
    text = normalize_text("\n\n".join(texts))
    return PromptedTask(text, [f"{Origin.TOOL}:{server}/{name}"])


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
            messages = await _prompt(toolset, name, given)
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
            raise _refused(toolset, failure) from None
        if as_json:
            print_json({"uri": uri, "text": result.text, "bytes": result.size})
        else:
            click.echo(clean(result.text))

    with_runtime(work)


async def _prompt(
    toolset: McpToolset, name: str, arguments: Mapping[str, str], *, in_words: bool = False
) -> tuple[tuple[str, str], ...]:
    try:
        return await toolset.get_prompt(name, dict(arguments), in_words=in_words)
    except ToolFailure as failure:
        raise _refused(toolset, failure) from None


def _refused(toolset: McpToolset, failure: ToolFailure) -> RostraError:
    """What a server that answers has not is a wrong name; one that does not answer is away."""
    if toolset.protocol is None or isinstance(failure.__cause__, TimeoutError):
        return unavailable(toolset, str(failure))
    return InvalidRequest(clean(str(failure)))


def _wanted(arguments: Sequence[tuple[str, bool]]) -> str:
    """Arguments by name, in brackets what can be left out."""
    return " ".join(clean(name) if required else f"[{clean(name)}]" for name, required in arguments)
