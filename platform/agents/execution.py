"""Executes a run: the scope that its strategy works with, over its journal.

What always holds: all that a strategy does to the world goes through here, to `asking` and
`calling`, under keys that depend on the order of effects within a scope alone.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from rostra.agents.asking import ask
from rostra.agents.calling import afford_calls, call_tool
from rostra.agents.events import Beside, Outcome, PlannedCall, RunEvent, ToolEnded
from rostra.agents.scope import Message, Observation, Reply, Scope, Sentence, together
from rostra.agents.sentences import observed
from rostra.agents.shared import Shared
from rostra.agents.tools.tool import ToolInfo
from rostra.core import GenerationOptions


@dataclass(slots=True)
class Execution(Shared):
    """One execution of a run: what its scopes share, and the scopes."""

    def scope(self, prefix: str = "") -> "RunScope":
        """A scope whose keys begin with `prefix`."""
        return RunScope(self, prefix)


class RunScope:
    """`Scope` over an execution."""

    def __init__(self, shared: Shared, prefix: str) -> None:
        self._run = shared
        self._prefix = prefix
        self._numbers = count(1)
        self._history: list[tuple[PlannedCall, str]] = []

    @property
    def task(self) -> str:
        """See `Scope.task`."""
        return self._run.task

    @property
    def tools(self) -> Sequence[ToolInfo]:
        """See `Scope.tools`."""
        return self._run.tools.tools

    @property
    def sentences(self) -> Sequence[Sentence]:
        """See `Scope.sentences`."""
        return self._run.sentences

    def key(self) -> str:
        """See `Scope.key`."""
        return f"{self._prefix}{next(self._numbers)}"

    def branch(self, name: str, *, steps: int | None = None) -> Scope:
        """See `Scope.branch`."""
        prefix = f"{self._prefix}{name}/"
        if steps is not None:
            self._run.parts[prefix] = steps
        return RunScope(self._run, prefix)

    def prompt(self, name: str, **values: Any) -> str:
        """See `Scope.prompt`."""
        return self._run.prompts(name, values)

    async def note(self, event: RunEvent) -> None:
        """See `Scope.note`."""
        self._run.journal.put(event)

    async def ask(
        self,
        purpose: str,
        messages: Sequence[Message],
        options: GenerationOptions,
        *,
        model: str = "main",
    ) -> Reply:
        """See `Scope.ask`."""
        return await ask(self._run, self.key(), purpose, messages, options, model)

    async def call(
        self, calls: Sequence[PlannedCall], *, sources: Sequence[str] = ()
    ) -> list[Observation]:
        """See `Scope.call`."""
        keys = [self.key() for _ in calls]
        afford_calls(self._run, keys)
        if len(keys) > 1:
            for place, key in enumerate(keys):
                self._run.beside[key] = Beside(keys[0], place, len(keys))
        gate = asyncio.Semaphore(self._run.limits.parallel)
        history = tuple(self._history)

        async def one(key: str, call: PlannedCall) -> ToolEnded:
            async with gate:
                return await call_tool(self._run, key, call, sources, history)

        try:
            ended = await together(*(one(key, call) for key, call in zip(keys, calls, strict=True)))
        finally:
            self._run.claimed.difference_update(keys)
            for key in keys:
                self._run.beside.pop(key, None)
        observations = [
            observed(call, end, self._run.sentences_of(end))
            for call, end in zip(calls, ended, strict=True)
        ]
        for call, end in zip(calls, ended, strict=True):
            if end.outcome is Outcome.DENIED and self._run.guard.loop(history, call) is not None:
                continue  # The refusal of a loop is no result: with it the loop would be over.
            self._history.append((call, hashlib.sha256(end.text.encode()).hexdigest()))
        return observations
