"""Names of tools whose calls somebody allows beforehand, before a run begins.

What always holds: a name is refused only where it is known that the run has no such tool; of a
server that cannot be reached nobody knows, and the run's `problems` say it then.
"""

from collections.abc import Sequence
from difflib import get_close_matches

from rostra.agents.driver import Parts
from rostra.agents.tools.catalog import LEFT_OUT
from rostra.core import InvalidRequest

# Of the tools that an error names, and of the names that it refuses.
_MOST_NAMED = 20
_LONGEST = 64


def check_approved(named: Sequence[str], tools: Sequence[str], option: str = "approve") -> None:
    """A name that is none would allow nothing, and nobody would notice.

    Args:
        tools: the names of the run's tools.
        option: what the names were given as.

    Raises:
        InvalidRequest: it is none of the tools.
    """
    unknown = [name[:_LONGEST] for name in dict.fromkeys(named) if name not in tools]
    if not unknown:
        return
    close = [one for name in unknown[:_MOST_NAMED] for one in get_close_matches(name, tools, 2)]
    meant = f"Did you mean {' or '.join(dict.fromkeys(close))}? " if close else ""
    raise InvalidRequest(
        f"{option}: this run has no tool {' or '.join(_some(unknown))}",
        hint=f"{meant}Tools: {', '.join(_some(tools)) or 'none'}.",
        field="approve",
    )


def check_approved_of(named: Sequence[str], parts: Parts, option: str = "approve") -> None:
    """`check_approved` for the parts that a run would have; servers may be missing among them.

    Raises:
        InvalidRequest: a name is none of the tools, and not of a server that is missing.
    """
    missing = servers_away(parts.problems)
    known = [name for name in named if name.partition("__")[0] not in missing]
    check_approved(known, [tool.name for tool in parts.tools.tools], option)


def servers_away(problems: Sequence[str]) -> list[str]:
    """The servers of a catalog's problems whose tools nobody knows, because they did not answer."""
    parts = (one.partition(": ") for one in problems)
    return [server for server, _, said in parts if said.startswith(LEFT_OUT)]


def _some(names: Sequence[str]) -> list[str]:
    more = len(names) - _MOST_NAMED
    return [*names[:_MOST_NAMED], *([f"{more} more"] if more > 0 else [])]
