"""Tools of MCP servers as a person reads them before approving: their whole text, and what changed.

What always holds: what is shown of a tool is all that its pin is made from, with what cannot be
seen named by its code point; of a changed tool each line is marked as gone, new or as before.
"""

import json
from collections.abc import Mapping, Sequence
from difflib import unified_diff
from typing import Any

from rich.console import Console
from rich.text import Text

from rostra.agents import ServerTool
from rostra.cli.run_question import print_behind_bar, visible

# Lines of a change in a list of tools; whoever approves is shown all.
_IN_LIST = 30
_STYLES = {"-": "red", "+": "green"}


def lines_of(told: str) -> list[str]:
    """What a tool says of itself (`pin_text`) as lines: words, claims, schema."""
    _, description, parameters, hints = json.loads(told)
    lines = [*description.split("\n"), f"claims: {_claims(hints)}", "arguments:"]
    return lines + json.dumps(parameters, indent=2, ensure_ascii=False, sort_keys=True).split("\n")


def changes(was: str | None, now: str, around: int = 1) -> list[str]:
    """The lines that differ, each behind `-` or `+`, with some others behind a space.

    Args:
        was: as it was approved; None where that was not kept.
        now: as the server has it.
        around: unchanged lines about each change.
    """
    if was is None:
        return ["  what was approved was not kept; it is now:", *(f"+ {x}" for x in lines_of(now))]
    found = unified_diff(lines_of(was), lines_of(now), n=around, lineterm="")
    return [
        "  ..." if line.startswith("@@") else f"{line[0]} {line[1:]}"
        for at, line in enumerate(found)
        if at > 1  # The two lines before are names of files.
    ]


def print_changes(out: Console, lines: Sequence[str], most: int = _IN_LIST) -> None:
    """Prints the first of `changes`, and how many there are more."""
    for line in lines[:most]:
        print_behind_bar(out, line, _STYLES.get(line[:1], "dim"))
    if len(lines) > most:
        out.print(Text(f"    and {len(lines) - most:,} more lines", "dim"))


def print_tools(out: Console, tools: Sequence[ServerTool], approved: Mapping[str, str]) -> None:
    """Prints tools that are to be approved, in full.

    Args:
        approved: what each said when it was approved, by the server's own names.
    """
    for tool in tools:
        heading = Text("\n").append(visible(tool.remote), "bold")
        out.print(heading.append(f"  {tool.state}  {tool.info.effect}{_open(tool)}", "dim"))
        was = approved.get(tool.remote)
        if tool.state == "changed" and was is not None:
            lines = changes(was, tool.told, around=len(tool.told))
            print_changes(out, lines, len(lines))
        else:
            for line in lines_of(tool.told):
                print_behind_bar(out, line)


def _open(tool: ServerTool) -> str:
    return ", shows its arguments to others" if tool.info.outbound else ""


def _claims(hints: Sequence[Any] | None) -> str:
    """The server's claims in words; those of which nothing is said are left out."""
    if hints is None:
        return "none"
    names = ("read-only", "destructive", "idempotent")
    said = [
        f"{'' if hint else 'not '}{name}"
        for name, hint in zip(names, hints, strict=False)
        if hint is not None
    ]
    return ", ".join([*said, "open world" if len(hints) > len(names) else "closed world"])
