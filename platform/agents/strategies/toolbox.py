"""Which of a run's tools a model is shown: all of a few, the best of many.

What always holds: the first choice stands at the same place in every prompt of a run; tools that a
search for tools finds later are added behind it. The order is stable.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from rostra.agents.scope import Observation, Scope
from rostra.agents.tools.select import SEARCH_TOOLS, SHOWN
from rostra.agents.tools.tool import NAME_PATTERN, ToolInfo

MOST_ADDED = 8

Chooser = Callable[[str, Sequence[ToolInfo]], Awaitable[Sequence[ToolInfo]]]
"""The best tools for a text among those given, best first; the same whenever it is asked."""

_WORD = re.compile(r"[^\W_]{3,}")
_NAME = re.compile(NAME_PATTERN)


async def by_shared_words(query: str, tools: Sequence[ToolInfo]) -> Sequence[ToolInfo]:
    """A `Chooser` that counts the words that a tool's name and description share with a text."""
    asked = set(_WORD.findall(query.lower()))

    def shared(tool: ToolInfo) -> int:
        told = f"{tool.name.replace('_', ' ')} {tool.description[:2000]}"
        return len(asked & set(_WORD.findall(told.lower())))

    return sorted(tools, key=shared, reverse=True)[: SHOWN - 1]


@dataclass(slots=True)
class Toolbox:
    """The tools that one conversation is about.

    Attributes:
        shown: in the order in which they came to be shown.
        others: those that a search for tools can still bring, by name.
    """

    shown: list[ToolInfo]
    others: dict[str, ToolInfo] = field(default_factory=dict)

    def found(self, observations: Sequence[Observation]) -> list[ToolInfo]:
        """Adds the tools that a search for tools has named; gives those that are new."""
        named = [
            name
            for one in observations
            if one.call.tool == SEARCH_TOOLS
            for name in _NAME.findall(one.text)
        ]
        new = [self.others.pop(name) for name in dict.fromkeys(named) if name in self.others]
        self.others |= {tool.name: tool for tool in new[MOST_ADDED:]}
        self.shown += new[:MOST_ADDED]
        return new[:MOST_ADDED]


async def open_toolbox(scope: Scope, chooser: Chooser | None, query: str = "") -> Toolbox:
    """The tools to begin with: all of up to `SHOWN`, else the best and `search_tools`.

    Args:
        query: what they are for; the scope's task if empty.
    """
    tools = list(scope.tools)
    if len(tools) <= SHOWN:
        return Toolbox(tools)
    rest = [tool for tool in tools if tool.name != SEARCH_TOOLS]
    search = [tool for tool in tools if tool.name == SEARCH_TOOLS]
    best = await (chooser or by_shared_words)(query or scope.task, rest)
    shown = [tool for tool in best if tool.name != SEARCH_TOOLS][: SHOWN - 1] + search
    names = {tool.name for tool in shown}
    return Toolbox(shown, {tool.name: tool for tool in rest if tool.name not in names})
