"""Parts of agents' runs for tests: a scripted model, and tools that leave a trace in a file.

A script goes by the conversation, so that a run which is executed again is told the same. What
tools did to the world is lines of a file: `tool argument`.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from rostra.agents import (
    Agents,
    CallContext,
    Catalog,
    Effect,
    Limits,
    Parts,
    Policy,
    RunRequest,
    StaticToolset,
    ToolFailure,
    ToolInfo,
    ToolResult,
    default_guard,
    make_strategy,
    prompts,
)
from rostra.core import ChatEvent, ChatMessage, Delta, Finish, FinishReason, GenerationOptions
from rostra.store import Database
from rostra.store.tables import RunRow, utc_now

_TEXT = {"type": "string", "maxLength": 200}
Hook = Callable[[str, str], None]


def action(*calls: tuple[str, str]) -> str:
    """A step that makes calls: tool and value."""
    made = [{"tool": tool, "args": {"value": value}} for tool, value in calls]
    return json.dumps({"thought": "next", "action": made})


def final(text: str, *evidence: int) -> str:
    """A step that answers."""
    claims = [{"text": text, "evidence": list(evidence)}]
    return json.dumps({"thought": "done", "final": {"claims": claims}})


def silence(agents: Agents, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on this server extends no lease, as one that hangs or has died."""

    async def silent(*_: object) -> None:
        """Extends no lease."""

    monkeypatch.setattr(agents._executor, "_beat", silent)


async def expire(database: Database) -> None:
    """Ends the leases of all runs, as if nothing had been heard of their servers for long."""
    past = utc_now() - timedelta(hours=1)
    async with database.write() as session:
        await session.execute(
            update(RunRow).where(RunRow.lease_expires_at.is_not(None)).values(lease_expires_at=past)
        )


@dataclass(slots=True)
class StepModel:
    """Says the n-th line of its script to a conversation with n of its own words in it.

    Attributes:
        asked: how often it was.
    """

    script: Sequence[str]
    name: str = "steps"
    asked: int = 0

    async def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncIterator[ChatEvent]:
        self.asked += 1
        said = sum(message.role == "assistant" for message in messages)
        text = self.script[min(said, len(self.script) - 1)]
        yield Delta(text)
        usage = {"prompt_tokens": 10 * (said + 1), "completion_tokens": 5}
        yield Finish(FinishReason.STOP, usage)


@dataclass(slots=True)
class World:
    """What the tools `read`, `write`, `idempotent` and `unknown` do; `hook` is told before and
    after."""

    file: Path
    hook: Hook = lambda when, tool: None
    fail: frozenset[str] = frozenset()
    gate: asyncio.Event | None = None

    def done(self) -> list[str]:
        """All that was done, in order."""
        return self.file.read_text().splitlines() if self.file.exists() else []

    def acts(self) -> asyncio.Event:
        """Is set when the next tool is about to act."""
        acting = asyncio.Event()
        self.hook = lambda when, tool: acting.set()
        return acting

    def toolset(self) -> StaticToolset:
        return StaticToolset(tuple((self._info(effect), self._call(effect)) for effect in Effect))

    def _info(self, effect: Effect) -> ToolInfo:
        return ToolInfo(
            str(effect),
            f"Does something that is {effect}.",
            {
                "type": "object",
                "properties": {"value": _TEXT},
                "required": ["value"],
                "additionalProperties": False,
            },
            effect,
        )

    def _call(self, effect: Effect) -> Callable[[dict[str, Any], CallContext], Any]:
        async def call(arguments: dict[str, Any], context: CallContext) -> ToolResult:
            self.hook("before", str(effect))
            if self.gate is not None:
                await self.gate.wait()
            if str(effect) in self.fail:
                raise ToolFailure("the tool is out of order")
            with self.file.open("a") as out:
                out.write(f"{effect} {arguments['value']}\n")
            self.hook("after", str(effect))
            return ToolResult(f"The {effect} of {arguments['value']} went well. All is fine.")

        return call


@dataclass(slots=True)
class Bench:
    """Opens parts around a model and a world; `asks` is whether any call needs approval."""

    model: StepModel
    world: World
    policy: Policy = field(default_factory=Policy)
    limits: Limits = field(default_factory=Limits)
    asks: bool = True

    @asynccontextmanager
    async def open(self, request: RunRequest) -> AsyncIterator[Parts]:
        catalog = await Catalog.open({"local": self.world.toolset()})
        guard = default_guard(
            Policy(
                self.policy.auto_approve,
                self.policy.trusted_tools | frozenset(request.approve),
            )
        )
        if not self.asks:
            guard = replace(guard, reasons=lambda info, sources: [])
        models: Mapping[str, StepModel] = {"main": self.model}
        yield Parts(
            models=models,
            tools=catalog,
            strategy=make_strategy(request.strategy, request.options),
            guard=guard,
            prompts=prompts,
            limits=self.limits,
        )
