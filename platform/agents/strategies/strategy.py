"""What a strategy is: a task and a scope in, an answer out."""

from typing import Protocol

from rostra.agents.events import Answer
from rostra.agents.scope import Scope


class Strategy(Protocol):
    """A way to work on a task. Deterministic but for what its scope gives; see `agents.scope`."""

    @property
    def name(self) -> str:
        """As people choose it."""
        ...

    async def run(self, scope: Scope) -> Answer | None:
        """Works on the scope's task; None when no answer is supported by what was found."""
        ...
