"""What calling a tool of an MCP server may do, as far as anyone vouches for it.

Annotations are the server's own words (MCP 2026-07-28, Tools: clients must hold them untrusted
unless the server is trusted), so they count only where the configuration says so. What always
holds: the less is known, the more a call needs a person's yes.
"""

from typing import Literal, Protocol

from rostra.agents.events import Effect

Trust = Literal["annotations", "none"]


class Hints(Protocol):
    """The annotations of a tool that speak of its effects; None where it says nothing."""

    @property
    def read_only_hint(self) -> bool | None: ...

    @property
    def destructive_hint(self) -> bool | None: ...

    @property
    def idempotent_hint(self) -> bool | None: ...

    @property
    def open_world_hint(self) -> bool | None: ...


def effect_of(annotations: Hints | None, trust: Trust) -> Effect:
    """The effect that annotations claim, where they are trusted; else `UNKNOWN`.

    A tool that claims to change nothing and to destroy things is taken at the worse word.
    """
    if trust != "annotations" or annotations is None:
        return Effect.UNKNOWN
    if annotations.read_only_hint and not annotations.destructive_hint:
        return Effect.READ
    if annotations.idempotent_hint:
        return Effect.IDEMPOTENT
    if annotations.read_only_hint is None and annotations.destructive_hint is None:
        return Effect.UNKNOWN
    return Effect.WRITE


def outbound(annotations: Hints | None, trust: Trust) -> bool:
    """Whether a call may show its arguments to others than the server.

    Only a trusted annotation says that it does not: without one the world is open (MCP
    2026-07-28, `openWorldHint`, whose default is true). A search of the web reads, and its query
    can carry out what a model has read elsewhere.
    """
    return trust != "annotations" or annotations is None or annotations.open_world_hint is not False
