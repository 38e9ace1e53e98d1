"""Pins: what each tool of a server looked like when a person said yes to it.

A server can change a tool after it was approved; what the model reads of it is then another tool.
A description stands among a model's instructions, so it has to be somebody's word: a pinned one is
that of the person who approved it, or of the configuration that takes a server as it is first seen,
and counts as trusted; one that is not pinned no model reads. What always holds: a tool whose words,
schema or claimed effects differ from its pin is not offered; approving is explicit, but for a
server that nobody has seen before and whose configuration allows it; nothing but an approval
changes a pin.
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
    """Approved tools, by the server's name and the tool's own name."""

    async def get(self, server: str) -> Mapping[str, str]:
        """The digests of a server's tools; empty for one that was never seen."""
        ...

    async def told(self, server: str) -> Mapping[str, str]:
        """The `pin_text` of each, as far as it was kept."""
        ...

    async def approve(self, server: str, texts: Mapping[str, str], by: str) -> None:
        """Pins tools by their `pin_text`, in place of what was pinned under their names."""
        ...


class MemoryPins:
    """Pins that live as long as the process."""

    def __init__(self) -> None:
        self._pins: dict[str, dict[str, str]] = {}

    async def get(self, server: str) -> Mapping[str, str]:
        """See `Pins.get`."""
        return _digests(self._pins.get(server, {}))

    async def told(self, server: str) -> Mapping[str, str]:
        """See `Pins.told`."""
        return dict(self._pins.get(server, {}))

    async def approve(self, server: str, texts: Mapping[str, str], by: str) -> None:
        """See `Pins.approve`; who said it is not kept."""
        self._pins.setdefault(server, {}).update(texts)


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

    async def told(self, server: str) -> Mapping[str, str]:
        """See `Pins.told`.

        Raises:
            StoreUnavailable: the database cannot be read.
        """
        from rostra.store import list_pins

        async with self._database.read() as session:
            return {pin.tool: pin.told for pin in await list_pins(session, server) if pin.told}

    async def approve(self, server: str, texts: Mapping[str, str], by: str) -> None:
        """See `Pins.approve`.

        Raises:
            StoreUnavailable: the database cannot be written.
        """
        from rostra.store import approve_tools

        async with self._database.write() as session:
            await approve_tools(session, server, _digests(texts), by, told=texts)


def pin_text(
    name: str, description: str, parameters: dict[str, Any], annotations: "Hints | None"
) -> str:
    """All that a tool says of itself and that matters to an agent: a JSON array of
    [name, description, schema, claims about effects].

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
    return json.dumps([name, description, parameters, hints], sort_keys=True, ensure_ascii=True)


def pin_digest(text: str) -> str:
    """sha256 of a `pin_text`, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _digests(texts: Mapping[str, str]) -> dict[str, str]:
    return {tool: pin_digest(text) for tool, text in texts.items()}


def judge(digest: str, pinned: str | None) -> ToolState:
    """How a tool with this digest stands to its pin."""
    if pinned is None:
        return ToolState.NEW
    return ToolState.APPROVED if pinned == digest else ToolState.CHANGED
