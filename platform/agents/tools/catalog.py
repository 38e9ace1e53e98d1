"""The tools of a run, of whatever toolsets, under unique names.

What always holds: a name is one tool; arguments that do not match a tool's schema never reach it; a
toolset that cannot be reached, a schema that cannot be read, a name that is taken and a tool that
nobody approved are said in `problems`, and the rest works on.
"""

import asyncio
import difflib
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rostra.agents.tools.schema import problems as problems_of
from rostra.agents.tools.schema import unusable
from rostra.agents.tools.tool import CallContext, ToolFailure, ToolInfo, ToolResult, Toolset
from rostra.core import RostraError

LOCAL = "local"
MAX_NAME = 64
MAX_TOOLS = 10_000
LIST_SECONDS = 30.0
LEFT_OUT = "its tools are left out"
"""In the problem of a server that could not be asked."""

_MAX_PROBLEMS = 200
_LONGEST_DESCRIPTION = 8000
_LONGEST_REASON = 3000

Approved = Callable[[str, ToolInfo], bool]


def qualified(server: str, name: str) -> str:
    """A server's tool as agents know it: `server__tool`, matching `NAME_PATTERN`.

    Names with other characters, and names that are too long, end in a hash of the whole instead,
    so that two that differ stay two.
    """
    full = f"{server}__{name}"
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", full)
    if plain == full and len(full) <= MAX_NAME:
        return full
    mark = hashlib.sha256(full.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain[: MAX_NAME - len(mark) - 1]}_{mark}"


class Catalog:
    """Tools under unique names; `open` makes one.

    Attributes:
        tools: in the order of the toolsets, then of each one's list.
        problems: what was left out and why, in words for people.
    """

    def __init__(
        self,
        entries: Sequence[tuple[ToolInfo, str, Toolset]],
        problems: Sequence[str] = (),
    ) -> None:
        """Takes tools under names that are unique, each with its name within its toolset."""
        self._entries = {info.name: (info, inner, toolset) for info, inner, toolset in entries}
        self.tools = tuple(info for info, _, _ in entries)
        self.problems = tuple(problems)

    @classmethod
    async def open(
        cls,
        toolsets: Mapping[str, Toolset],
        *,
        approved: Approved | None = None,
        seconds: float = LIST_SECONDS,
    ) -> "Catalog":
        """Asks all toolsets, side by side, for their tools.

        Args:
            toolsets: by server; those of `LOCAL` keep their tools' names as they are.
            approved: whether a tool of a server may be offered, given as it will be named; None
                offers all.
            seconds: until a toolset that does not answer is left out.
        """
        answers = await asyncio.gather(
            *(_listed(server, toolset, seconds) for server, toolset in toolsets.items())
        )
        entries: list[tuple[ToolInfo, str, Toolset]] = []
        problems: list[str] = []
        taken: dict[str, str] = {}
        for (server, toolset), answer in zip(toolsets.items(), answers, strict=True):
            if isinstance(answer, str):
                problems.append(answer)
                continue
            for info in answer:
                named = _named(server, info)
                why = _refused(server, named, taken, approved)
                if why is not None:
                    problems.append(f"{server}: {info.name[:MAX_NAME]!r} is left out: {why}")
                    continue
                taken[named.name] = server
                entries.append((named, info.name, toolset))
        if len(entries) > MAX_TOOLS:
            problems.append(f"{len(entries) - MAX_TOOLS} tools over {MAX_TOOLS} are left out")
        if len(problems) > _MAX_PROBLEMS:
            more = len(problems) - _MAX_PROBLEMS
            problems = [*problems[:_MAX_PROBLEMS], f"and {more} more problems"]
        return cls(entries[:MAX_TOOLS], problems)

    def only(self, wanted: Callable[[ToolInfo], bool]) -> "Catalog":
        """Those of the tools that are wanted."""
        return Catalog(
            [entry for entry in self._entries.values() if wanted(entry[0])], self.problems
        )

    def with_toolset(self, tools: Sequence[ToolInfo], toolset: Toolset) -> "Catalog":
        """The same with more tools, of a toolset of this process; those whose names are taken are
        left out and said."""
        more = [(info, info.name, toolset) for info in tools if info.name not in self._entries]
        said = [
            f"{info.name!r} is left out: a tool of {other.source!r} has this name and is kept"
            for info in tools
            if (other := self.find(info.name)) is not None
        ]
        return Catalog([*self._entries.values(), *more], [*self.problems, *said])

    def find(self, name: str) -> ToolInfo | None:
        """The tool of a name."""
        entry = self._entries.get(name)
        return entry[0] if entry else None

    async def call(self, name: str, arguments: dict[str, Any], context: CallContext) -> ToolResult:
        """Calls a tool.

        Raises:
            ToolFailure: there is none of this name, the arguments do not match its schema, it
                failed, or it did not answer in time.
        """
        entry = self._entries.get(name)
        if entry is None:
            close = difflib.get_close_matches(name[:MAX_NAME], self._entries, 3, 0.5)
            hint = f" Did you mean {' or '.join(close)}?" if close else ""
            raise ToolFailure(f"There is no tool {name[:MAX_NAME]!r}.{hint}", began=False)
        info, inner, toolset = entry
        if wrong := problems_of(info.parameters, arguments):
            said = "; ".join(wrong)
            raise ToolFailure(
                f"The arguments do not match the schema of {name}: {said}.", began=False
            )
        try:
            async with asyncio.timeout(context.timeout):
                return await toolset.call(inner, arguments, context)
        except TimeoutError as error:
            raise ToolFailure(f"{name} did not answer within {context.timeout:g} s.") from error


async def _listed(server: str, toolset: Toolset, seconds: float) -> Sequence[ToolInfo] | str:
    try:
        async with asyncio.timeout(seconds):
            return await toolset.list()
    except TimeoutError:
        return f"{server}: {LEFT_OUT}: no answer within {seconds:g} s"
    except (ToolFailure, RostraError, OSError) as error:
        return f"{server}: {LEFT_OUT}: {_without_name(server, str(error))}"


def _without_name(server: str, said: str) -> str:
    """What a server's failure says, but for the name that stands before it already."""
    for opening in (f"Server {server!r}: ", f"Server {server!r} "):
        said = said.removeprefix(opening)
    return said if len(said) <= _LONGEST_REASON else said[: _LONGEST_REASON - 1] + "…"


def _named(server: str, info: ToolInfo) -> ToolInfo:
    name = info.name if server == LOCAL else qualified(server, info.name)
    description = info.description[:_LONGEST_DESCRIPTION]
    return replace(info, name=name, description=description)


def _refused(
    server: str, info: ToolInfo, taken: Mapping[str, str], approved: Approved | None
) -> str | None:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", info.name):
        return "its name has other characters than letters, digits, _ and -"
    if (other := taken.get(info.name)) is not None:
        whose = "another tool of it" if other == server else f"a tool of {other!r}"
        kept = "the first is kept" if other == server else "that one is kept"
        return f"{whose} has this name; {kept}"
    if (why := unusable(info.parameters)) is not None:
        return why
    if approved is not None and not approved(server, info):
        return "nobody has approved it as it is now"
    return None
