"""`rostra mcp`: the tools of MCP servers, listed, called and approved; `mcp_texts` has the rest.

What always holds: what a server says is shown without its control characters; nothing is called
that is not approved, and what is approved is what was shown, not what the server says by then.
"""

import asyncio
import difflib
import json
import sys
from typing import Any

import click
from rich.markup import escape

from rostra.agents import CallContext, McpToolset, ToolFailure
from rostra.cli.mcp_reach import login_option, reached, servers
from rostra.cli.mcp_texts import prompt, resource
from rostra.cli.mcp_tools import changes, print_changes, print_tools
from rostra.cli.output import console, json_option, print_json, with_runtime
from rostra.core import Conflict, InvalidRequest, RostraError
from rostra.runtime import Runtime, unavailable
from rostra.runtime import without_controls as clean

_BY = "cli"
_LONGEST = 200
_NAMED = 20
_OBJECT = """As in --args '{"query": "grain"}'."""


class McpCallFailed(RostraError):
    """A call at an MCP server failed after it had begun; it may have had its effect."""

    status = 502
    code = "mcp_call_failed"


class ToolNotOffered(Conflict):
    """An MCP server has no such tool, or nobody has approved it as it is now."""

    code = "tool_not_offered"


class NotApproved(Conflict):
    """Nobody said yes to the tools that were shown."""

    code = "tools_not_approved"


@click.group("mcp")
def command() -> None:
    """List, call and approve tools of MCP servers; read their prompts and resources.

    Servers stand in the settings under `mcp.servers`.
    """


command.add_command(prompt)
command.add_command(resource)


@command.command("list")
@click.argument("server", required=False)
@login_option
@json_option
def list_(server: str | None, login: bool, as_json: bool) -> None:
    """List servers with their tools, resources and prompts."""

    async def work(runtime: Runtime) -> None:
        if server:
            chosen = [reached(runtime, server, login)]
        else:
            chosen = list(servers(runtime, login).values())
        rows = await asyncio.gather(*(_described(toolset) for toolset in chosen))
        if server and "error" in rows[0]:
            raise unavailable(chosen[0], rows[0]["error"])
        if as_json:
            print_json({"servers": rows})
        elif not rows:
            console().print("No MCP servers are set.")
        else:
            for row in rows:
                _print_server(row)

    with_runtime(work)


@command.command("call")
@click.argument("server")
@click.argument("tool")
@click.option("--args", "given", default="{}", show_default=True, help="Arguments, a JSON object.")
@click.option(
    "--timeout",
    default=120.0,
    show_default=True,
    type=click.FloatRange(0, 86_400, min_open=True),
    help="Seconds until the call is given up.",
)
@login_option
@json_option
def call(
    server: str, tool: str, given: str, timeout: float, login: bool, as_json: bool
) -> int | None:
    """Call a tool and print what it says; its progress goes to stderr."""
    arguments = _arguments(given)

    async def work(runtime: Runtime) -> bool:
        toolset = reached(runtime, server, login)
        context = CallContext(run="cli", call="cli", timeout=timeout, progress=_progress)
        try:
            result = await toolset.call(tool, arguments, context)
        except ToolFailure as failure:
            raise await _explained(toolset, tool, failure) from None
        if as_json:
            print_json(
                {
                    "text": result.text,
                    "structured": result.structured,
                    "is_error": result.is_error,
                    "bytes": result.size,
                    "documents": result.documents,
                }
            )
        elif result.is_error:
            click.echo(clean(result.text), err=True)
        else:
            click.echo(clean(result.text))
        return result.is_error

    return 1 if with_runtime(work) else None


@command.command("approve")
@click.argument("server")
@click.argument("tools", nargs=-1)
@click.option("--yes", is_flag=True, help="Approve them without asking.")
@login_option
@json_option
def approve(server: str, tools: tuple[str, ...], yes: bool, login: bool, as_json: bool) -> None:
    """Show a server's tools as they are now, and approve them; without TOOLS, all of them.

    Until then a tool that is new or has changed is not offered to agents. Of a changed one each
    line is marked that is gone or new.
    """

    async def work(runtime: Runtime) -> None:
        toolset = reached(runtime, server, login)
        try:
            chosen = await toolset.waiting(tools or None)
        except ToolFailure as failure:
            there = await _names(toolset)
            if there is not None and (missing := [name for name in tools if name not in there]):
                raise ToolNotOffered(
                    f"server {server!r} has no tool {missing[0]!r}", hint=_have(there, missing[0])
                ) from None
            raise unavailable(toolset, str(failure)) from None
        if chosen and not as_json:
            print_tools(console(), chosen, await toolset.approved())
        if chosen and not (yes or _said_yes(len(chosen), as_json)):
            raise NotApproved("nothing was approved")
        if chosen:
            await toolset.approve(chosen, by=_BY)
        names = [tool.info.name for tool in chosen]
        if as_json:
            print_json({"server": server, "approved": names})
        elif names:
            console().print(escape(f"approved: {', '.join(names)}"))
        else:
            console().print("all of them were approved already")

    with_runtime(work)


def _said_yes(count: int, as_json: bool) -> bool:
    """Whether the person at the terminal approves what was shown.

    Raises:
        NotApproved: nobody is there to ask.
    """
    if as_json or not sys.stdin.isatty():
        raise NotApproved("nobody is there to ask", hint="--yes approves them as they are now.")
    what = "this tool" if count == 1 else f"these {count:,} tools"
    return click.prompt(f"Approve {what}? [y/N]", "", show_default=False).lower() in ("y", "yes")


async def _described(toolset: McpToolset) -> dict[str, Any]:
    """A server and what it has, or why it cannot be used."""
    row: dict[str, Any] = {"name": toolset.name, "transport": toolset.transport}
    try:
        tools = await toolset.survey()
        approved = await toolset.approved()
        row |= {
            "protocol": toolset.protocol,
            "tools": [
                {
                    "name": tool.info.name,
                    "state": tool.state,
                    "effect": tool.info.effect,
                    "outbound": tool.info.outbound,
                    "description": tool.info.description,
                    "parameters": tool.info.parameters,
                    "unenforced": tool.unenforced,
                    "unusable": tool.unusable,
                    "changes": changes(approved.get(tool.remote), tool.told)
                    if tool.state == "changed"
                    else [],
                }
                for tool in tools
            ],
            "resources": await toolset.resources(),
            "prompts": await toolset.prompts(),
            "problems": list(toolset.problems),
        }
    except ToolFailure as failure:
        row["error"] = str(failure)
    return row


def _print_server(row: dict[str, Any]) -> None:
    out = console()
    protocol = f" [dim]{row['protocol']}[/]" if row.get("protocol") else ""
    out.print(f"[bold]{escape(row['name'])}[/]{protocol}  {escape(clean(row['transport']))}")
    if "error" in row:
        for line in clean(row["error"]).splitlines():
            out.print(f"  [red]{escape(line)}[/]")
        return
    for tool in row["tools"]:
        colour = "green" if tool["state"] == "approved" else "yellow"
        lines = clean(tool["description"]).strip().splitlines()
        about = escape(lines[0][:_LONGEST]) if lines else ""
        mark, why = _mark(tool)
        out.print(
            f"  {escape(tool['name'])}  [{colour}]{tool['state']}[/] "
            f"[dim]{tool['effect']}[/]  {mark}{about}"
        )
        if why:
            out.print(f"    [dim]{escape(clean(why))}[/]")
        print_changes(out, tool["changes"])
    for one in row["resources"]:
        out.print(f"  [dim]resource[/] {escape(clean(one.uri))}")
    for one in row["prompts"]:
        out.print(f"  [dim]prompt[/] {escape(clean(one.name))}")
    for problem in row["problems"]:
        out.print(f"  [yellow]{escape(clean(problem))}[/]")
    if any(tool["state"] != "approved" for tool in row["tools"]):
        out.print(f"  [dim]rostra mcp approve {escape(row['name'])} shows them and asks[/]")


def _mark(tool: dict[str, Any]) -> tuple[str, str]:
    """How a tool is marked whose arguments no grammar can hold to its schema, and why."""
    if tool["unusable"]:
        return "[red]unusable[/]  ", f"agents do not get it: {tool['unusable']}"
    if tool["unenforced"]:
        why = f"arguments are checked only after a model wrote them: {tool['unenforced']}"
        return "[yellow]not enforced[/]  ", why
    return "", ""


async def _explained(toolset: McpToolset, tool: str, failure: ToolFailure) -> RostraError:
    """Why a call failed, as an error that says what to do."""
    if failure.began:
        return McpCallFailed(str(failure))
    states = await _names(toolset)
    if states is None:
        return unavailable(toolset, str(failure))
    if tool not in states:
        return ToolNotOffered(
            f"server {toolset.name!r} has no tool {tool!r} on offer", hint=_have(states, tool)
        )
    if states[tool] != "approved":
        return ToolNotOffered(str(failure), hint=f"rostra mcp approve {toolset.name} {tool}")
    return unavailable(toolset, str(failure))


async def _names(toolset: McpToolset) -> dict[str, str] | None:
    """Names and states of a server's tools; None where it cannot be asked."""
    if toolset.protocol is None:
        return None
    try:
        return {tool.info.name: tool.state for tool in await toolset.survey()}
    except ToolFailure:
        return None


def _have(states: dict[str, str], wanted: str) -> str:
    """What a server has instead of a tool: the closest names, where there are too many."""
    if not states:
        return "It has none."
    if len(states) <= _NAMED:
        return f"It has: {', '.join(states)}."
    close = difflib.get_close_matches(wanted[:_LONGEST], states, 3)
    return f"Did you mean {' or '.join(close)}? " * bool(close) + f"It has {len(states):,} tools."


def _arguments(given: str) -> dict[str, Any]:
    try:
        arguments = json.loads(given, parse_constant=_no_constant)
        given.encode()
    except ValueError as error:
        raise InvalidRequest(f"--args is no JSON: {error}", hint=_OBJECT) from None
    except RecursionError:
        raise InvalidRequest("--args is JSON of too many levels", hint=_OBJECT) from None
    if not isinstance(arguments, dict):
        raise InvalidRequest("--args must be a JSON object", hint=_OBJECT)
    return arguments


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is none")


async def _progress(text: str) -> None:
    click.echo(clean(text), err=True)
