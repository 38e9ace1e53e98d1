"""Who decides on the calls of a run at a terminal: a person, the options of a command, or nobody.

What always holds: what is no clear word is asked about again, and none at all is a no; who decides
has seen the whole call; a name that allows calls is one of a tool that the run has.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import click
from rich.console import Console
from rich.text import Text

from rostra.agents import (
    ApprovalAsked,
    ApprovalDecided,
    Outcome,
    PlannedCall,
    Record,
    ToolEnded,
    ToolStarted,
    Waiting,
    check_approved,
    outline,
    read_log,
)
from rostra.cli.output import console
from rostra.cli.run_question import print_call, visible
from rostra.runtime import Runtime

# Calls of a paused run that are shown; a terminal asks about all.
_MOST_ASKED = 20
# The model reads this too.
_NOT_ASKED = "It was not allowed beforehand, and nobody was asked."
_YES, _NO = ("y", "yes"), ("n", "no", "")

WORDS = ("approve", "deny", "done", "retry")
"""All decisions that there are; which fit is the call's matter."""

Decide = Callable[[Waiting], Awaitable[tuple[str, str] | None]]
"""A decision and a note; None leaves the run paused."""


def decider(approve: Sequence[str], yes: bool, as_json: bool) -> Decide:
    """Who decides: nobody (the run waits), the options (`--yes`), or the person at the terminal.

    The options allow what `approve` names and nothing else: a call that only reads is asked about
    when text of others may have influenced what it sends out.
    """

    async def beforehand(one: Waiting) -> tuple[str, str] | None:
        if one.reason != "approval":
            return None
        if one.call.tool in approve:
            return "approve", ""
        return "deny", _NOT_ASKED

    async def nobody(one: Waiting) -> tuple[str, str] | None:
        return None

    if yes:
        return beforehand
    return nobody if as_json or not sys.stdin.isatty() else _ask


async def _ask(one: Waiting) -> tuple[str, str] | None:
    """Asks at the terminal until there is a clear word; none at all is a no."""
    out = console()
    if one.reason == "approval":
        print_question(out, one)
        while (said := await _read_line("Allow this call? [y/N] ")) not in _YES + _NO:
            out.print("Say y or n.")
        return ("approve", "") if said in _YES else ("deny", "")
    print_question(out, one)
    said = await _read_line("Has it happened (d), make it again (r), give it up (g)? [leave it] ")
    words = {"d": "done", "done": "done", "r": "retry", "retry": "retry", "g": "deny"}
    return (words[said], "") if said in words else None


def print_question(out: Console, one: Waiting) -> None:
    """Prints what is to be decided: the whole call, and why somebody has to."""
    print_call(out, one.call)
    why = one.why
    if one.reason != "approval":
        why = (*why, "This call began, and nobody knows whether it happened.")
    for line in why:
        out.print(Text(f"  {visible(line)}", "yellow"))


def told_paused(out: Console, run_id: UUID, waits: Sequence[Waiting]) -> None:
    """Prints what a run that was left paused waits for, and how to decide on each call.

    Nothing that would allow more than the calls that are shown is recommended.
    """
    for one in waits[:_MOST_ASKED]:
        print_question(out, one)
        said = "  |  ".join(
            f"rostra agent decide {run_id} {one.call.id} {word}" for word in one.decisions
        )
        out.print(Text(f"  {said}", "dim"))
    if len(waits) > _MOST_ASKED:
        out.print(Text(f"\nand {len(waits) - _MOST_ASKED:,} more calls", "dim"))
    out.print(Text(f"\nwaits for you: rostra agent resume {run_id}"))


async def _read_line(prompt: str) -> str:
    """A line from the terminal, in lower case; unlike a thread's, this wait can be cancelled."""
    click.echo(prompt, nl=False)
    loop = asyncio.get_running_loop()
    line: asyncio.Future[str] = loop.create_future()

    def ready() -> None:
        if not line.done():
            line.set_result(sys.stdin.readline())

    loop.add_reader(sys.stdin.fileno(), ready)
    try:
        return (await line).strip().lower()
    finally:
        loop.remove_reader(sys.stdin.fileno())


async def check_tools_of(runtime: Runtime, run_id: UUID, named: Sequence[str]) -> None:
    """`check_tools` for a run that has begun, if its log says what tools it has."""
    if named and (tools := outline(await read_log(runtime.database, run_id)).tools):
        check_tools(named, tools)


def check_tools(named: Sequence[str], tools: Sequence[str]) -> None:
    """A name that is none would allow nothing, and nobody would notice.

    Raises:
        InvalidRequest: it is none of the tools.
    """
    check_approved(named, tools, "--approve")


def denied(records: Sequence[Record], *, unasked: bool = False) -> list[str]:
    """The tools of calls that were not allowed, each once.

    Args:
        unasked: only of those that `--yes` refused, where nobody was asked.
    """
    asked = {
        one.event.call.id: one.event.call.tool
        for one in records
        if isinstance(one.event, ApprovalAsked)
    }
    tools = [
        asked[one.event.call]
        for one in records
        if isinstance(one.event, ApprovalDecided)
        and one.event.decision == "deny"
        and (one.event.note == _NOT_ASKED or not unasked)
        and one.event.call in asked
    ]
    return list(dict.fromkeys(tools))


def may_have_happened(records: Sequence[Record]) -> list[PlannedCall]:
    """Calls that were made, perhaps, and whose outcome nobody knows or has said."""
    known = {
        one.event.call.id: one.event.call for one in records if isinstance(one.event, ToolStarted)
    }
    said = {
        one.event.call
        for one in records
        if isinstance(one.event, ApprovalDecided) and one.event.decision == "done"
    }
    ends = [one.event for one in records if isinstance(one.event, ToolEnded)]
    unknown = (end.call for end in ends if end.outcome is Outcome.UNKNOWN)
    return [known[call] for call in unknown if call in known and call not in said]
