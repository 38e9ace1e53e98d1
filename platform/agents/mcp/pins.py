"""Pins: what each tool of a server looked like when a person, or the first sight of it, said yes.

A server can change a tool after it was approved; what the model reads of it is then another tool.
What always holds: a tool whose words, schema or claimed effects differ from its pin is not offered;
approving is explicit, but for a server that nobody has seen before and whose configuration allows
it; nothing but an approval changes a pin.
"""

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rostra.agents.mcp.effects import Hints
    from rostra.store import Database


class ToolState(StrEnum):
    """How a tool stands to its pin."""

    APPROVED = "approved"
    NEW = "new"  # never approved
    CHANGED = "changed"  # approved when it was another


class Pins(Protocol):
    """Digests of approved tools, by the server's name and the tool's own name."""

    async def get(self, server: str) -> Mapping[str, str]:
        """The pins of a server's tools; empty for one that was never seen."""
        ...

    async def approve(self, server: str, digests: Mapping[str, str], by: str) -> None:
        """Pins tools as they are now, in place of what was pinned under their names."""
        ...


class MemoryPins:
    """Pins that live as long as the process."""

    def __init__(self) -> None:
        self._pins: dict[str, dict[str, str]] = {}

    async def get(self, server: str) -> Mapping[str, str]:
        """See `Pins.get`."""
        return dict(self._pins.get(server, {}))

    async def approve(self, server: str, digests: Mapping[str, str], by: str) -> None:
        """See `Pins.approve`; who said it is not kept."""
        self._pins.setdefault(server, {}).update(digests)


class StoredPins:
    """Pins in the database.

    Args:
        database: open for as long as the pins are used.
    """

    def __init__(self, database: "Database") -> None:
        self._database = database

    async def get(self, server: str) -> Mapping[str, str]:
        """See `Pins.get`.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        from rostra.store import get_pins

        async with self._database.read() as session:
            return await get_pins(session, server)

    async def approve(self, server: str, digests: Mapping[str, str], by: str) -> None:
        """See `Pins.approve`.

        Raises:
            StoreUnavailable: the database cannot be written.
        """
        from rostra.store import approve_tools

        async with self._database.write() as session:
            await approve_tools(session, server, dict(digests), by)


def pin_digest(
    name: str, description: str, parameters: dict[str, Any], annotations: "Hints | None"
) -> str:
    """sha256, in hexadecimal, of all that a tool says of itself and that matters to an agent.

    Its claims about effects are part of it: a tool that comes to call itself read-only is another.
    """
    hints = None
    if annotations is not None:
        hints = [
            annotations.read_only_hint,
            annotations.destructive_hint,
            annotations.idempotent_hint,
        ]
        if annotations.open_world_hint is not False:
            hints.append(True)  # The default: whoever comes to deny it is another.
    told = json.dumps([name, description, parameters, hints], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(told.encode()).hexdigest()


def judge(digest: str, pinned: str | None) -> ToolState:
    """How a tool with this digest stands to its pin."""
    if pinned is None:
        return ToolState.NEW
    return ToolState.APPROVED if pinned == digest else ToolState.CHANGED
