"""A small world for runs: three tools, a strategy that does what its task says, and their parts."""

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from rostra.agents import (
    Answer,
    CallContext,
    Citation,
    Claim,
    Cleaned,
    Decided,
    Effect,
    Guard,
    Observed,
    Parts,
    PlannedCall,
    RunRequest,
    ToolInfo,
    ToolResult,
)
from rostra.agents.scope import Message, Piece, Scope
from rostra.core import GenerationOptions, Role
from rostra.models import ScriptedModel


class Tools:
    """`look` reads, `send` changes something, `hang` waits until it may go on.

    Attributes:
        called: names, in the order of calls.
        hanging: set when `hang` is called; of threads, as an application may run in one.
        go_on: set to let `hang` end.
        problems: what a run is told of tools that are missing.
    """

    tools = (
        ToolInfo("look", "Looks.", {"type": "object"}, Effect.READ),
        ToolInfo("send", "Sends.", {"type": "object"}, Effect.WRITE),
        ToolInfo("hang", "Hangs.", {"type": "object"}, Effect.READ),
    )

    def __init__(self, result: str = "gave 7.") -> None:
        self.called: list[str] = []
        self.hanging = threading.Event()
        self.go_on = threading.Event()
        self.problems: tuple[str, ...] = ()
        self._result = result

    async def call(self, name: str, arguments: dict[str, Any], context: CallContext) -> ToolResult:
        self.called.append(name)
        if name == "hang":
            self.hanging.set()
            while not self.go_on.is_set():  # noqa: ASYNC110 # of threads
                await asyncio.sleep(0.01)
        return ToolResult(f"{name} {self._result}")


class Obeys:
    """Asks the model, calls each tool whose name the task contains, and answers."""

    name = "obeys"

    async def run(self, scope: Scope) -> Answer | None:
        """See `Strategy.run`."""
        asked = [Message(Role.USER, (Piece(scope.task),))]
        names = [word for word in scope.task.split() if word in {tool.name for tool in scope.tools}]
        for number, name in enumerate(names):
            await scope.ask("step", asked, GenerationOptions())
            call = PlannedCall(f"c{number}", name, {})
            await scope.note(Decided(scope.key(), f"use {name}", [call]))
            await scope.call([call])
        seen = [Citation(one.number, one.text, one.call) for one in scope.sentences if one.text]
        return Answer("It is 7.", [Claim("It is 7.", seen[:1])])


class Prompts:
    """No prompts."""

    def render(self, name: str, values: Mapping[str, Any]) -> str:
        """The name itself."""
        return name

    def versions(self) -> dict[str, str]:
        """None."""
        return {}


def reasons(info: ToolInfo, sources: object) -> list[str]:
    """Everything that does more than read needs a yes."""
    return [] if info.effect is Effect.READ else ["it changes something"]


class World:
    """Opens the parts of runs over one set of tools."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    @asynccontextmanager
    async def open(self, request: RunRequest) -> AsyncIterator[Parts]:
        """As `Agents` takes it."""

        def needed(info: ToolInfo, sources: object) -> list[str]:
            allowed = info.name in request.approve and not request.sources
            return [] if allowed else reasons(info, sources)

        guard = Guard(
            reasons=needed,
            loop=lambda history, call: None,
            observe=lambda result, limit: Observed(result.text, False, len(result.text), ()),
            clean=lambda text, documents: Cleaned(text, (), documents),
        )
        model = ScriptedModel(["ok"], loop=True)
        parts = Parts({"main": model}, self._tools, Obeys(), guard, Prompts())
        yield replace(parts, problems=self._tools.problems)
