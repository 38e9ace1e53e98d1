"""Runs strategies over the real journal and scope, with scripted models and local tools."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rostra.agents import prompts
from rostra.agents.driver import Parts, RunRequest, drive, started
from rostra.agents.equipment import Guard, Limits
from rostra.agents.events import Budget, Effect, Paused, Record, RunEnded
from rostra.agents.guard import default_guard
from rostra.agents.journal import Journal, MemoryLog
from rostra.agents.strategies.strategy import Strategy
from rostra.agents.tools.catalog import LOCAL, Catalog
from rostra.agents.tools.tool import CallContext, StaticToolset, ToolFailure, ToolInfo, ToolResult
from rostra.core import ChatMessage, ChatModel, GenerationOptions, JsonSchema, Role
from rostra.models import ScriptedModel, Turn

Call = Callable[[dict[str, Any], CallContext], Awaitable[ToolResult]]
Script = Callable[[Sequence[ChatMessage], GenerationOptions], str | Turn]


def info(name: str, *arguments: str, effect: Effect = Effect.READ, schema: Any = None) -> ToolInfo:
    """A tool whose arguments are all required strings."""
    made = {
        "type": "object",
        "properties": {each: {"type": "string"} for each in arguments},
        "required": list(arguments),
        "additionalProperties": False,
    }
    return ToolInfo(name, f"The tool {name}.", made if schema is None else schema, effect)


FACTS = {"alpha": "Alpha weighs 12 kg.", "beta": "Beta weighs 30 kg.", "gamma": "Gamma is red."}


async def look_up(arguments: dict[str, Any], context: CallContext) -> ToolResult:
    found = [fact for name, fact in FACTS.items() if name in arguments["query"].lower()]
    return ToolResult(" ".join(found) or "Nothing was found.")


async def add(arguments: dict[str, Any], context: CallContext) -> ToolResult:
    try:
        numbers = [int("".join(filter(str.isdigit, arguments[each]))) for each in ("a", "b")]
    except ValueError as error:
        raise ToolFailure("there is no number") from error
    return ToolResult(f"The sum is {sum(numbers)}.")


TOOLS: tuple[tuple[ToolInfo, Call], ...] = (
    (info("search", "query"), look_up),
    (info("add", "a", "b"), add),
)


def act(*calls: tuple[str, dict[str, Any]], thought: str = "next") -> str:
    return json.dumps(
        {"thought": thought, "action": [{"tool": tool, "args": args} for tool, args in calls]}
    )


def final(*claims: tuple[str, list[int]], thought: str = "done") -> str:
    listed = [{"text": text, "evidence": evidence} for text, evidence in claims]
    return json.dumps({"thought": thought, "final": {"claims": listed}})


def turns(*said: str | Turn) -> Script:
    """One after the other, by how often the model has spoken in this conversation."""

    def script(messages: Sequence[ChatMessage], options: GenerationOptions) -> str | Turn:
        spoken = sum(message.role is Role.ASSISTANT for message in messages)
        return said[min(spoken, len(said) - 1)]

    return script


def is_prompt(messages: Sequence[ChatMessage], name: str) -> bool:
    """Whether a conversation begins with a prompt of the library."""
    return messages[0].content.startswith(prompts.library()[name].text[:60])


def by_prompt(**scripts: Script | str) -> Script:
    """A script for each prompt that a conversation can begin with."""

    def script(messages: Sequence[ChatMessage], options: GenerationOptions) -> str | Turn:
        for name, each in scripts.items():
            if is_prompt(messages, name):
                return each if isinstance(each, str) else each(messages, options)
        raise AssertionError(f"no script for {messages[0].content[:60]!r}")

    return script


@dataclass
class Ran:
    """A run and what is asked of it most."""

    last: RunEnded | Paused
    records: list[Record]
    models: Mapping[str, ScriptedModel]
    called: list[tuple[str, dict[str, Any]]]

    @property
    def answer(self) -> str | None:
        assert isinstance(self.last, RunEnded), self.last
        return self.last.answer.text if self.last.answer is not None else None

    def all(self, kind: type[Any]) -> list[Any]:
        return [record.event for record in self.records if isinstance(record.event, kind)]

    def by_key(self) -> dict[tuple[str, str], Any]:
        """Effects and conclusions under their keys, but for calls that were begun again."""
        return {
            (type(event).__name__, event.key): event
            for event in (record.event for record in self.records)
            if hasattr(event, "key") and getattr(event, "attempt", 1) == 1
        }


@dataclass
class Lab:
    """Executes runs; the same with a part of an earlier log."""

    tools: tuple[tuple[ToolInfo, Call], ...] = TOOLS
    budget: Budget = field(default_factory=Budget)
    limits: Limits = field(default_factory=Limits)
    guard: Guard = field(default_factory=default_guard)
    task: str = "What do Alpha and Beta weigh together?"

    async def run(
        self,
        strategy: Strategy,
        script: Script | Mapping[str, Script],
        records: Sequence[Record] = (),
        *,
        ask_again: bool = False,
    ) -> Ran:
        scripts = script if isinstance(script, Mapping) else {"main": script}
        models = {role: ScriptedModel(each, name=role) for role, each in scripts.items()}
        chat: dict[str, ChatModel] = dict(models)
        called: list[tuple[str, dict[str, Any]]] = []
        catalog = await Catalog.open({LOCAL: _noting(self.tools, called)})
        request = RunRequest(task=self.task, strategy=strategy.name, budget=self.budget)
        log = MemoryLog()
        log.records = list(records)
        journal = Journal(log, records)
        if not records:
            await journal.keep(started(request, "main", prompts))
        parts = Parts(
            models=chat,
            tools=catalog,
            strategy=strategy,
            guard=self.guard,
            prompts=prompts,
            limits=self.limits,
        )
        last = await drive("run", request, journal, parts, ask_again=ask_again)
        return Ran(last, list(log.records), models, called)

    async def run_cut_everywhere(
        self, strategy: Strategy, script: Script | Mapping[str, Script]
    ) -> Ran:
        """Executes a run, then again over its log cut after every event.

        Each time it comes to the same answer, by the same events under the same keys; what the
        log has is not done again.
        """
        whole = await self.run(strategy, script)
        for cut in range(1, len(whole.records)):
            again = await self.run(strategy, script, whole.records[:cut])
            # Told in words: pytest explains the asserts of test modules alone.
            expected = _timeless(whole.last, again.last)
            assert again.last == expected, f"cut at {cut}: {again.last}, not {expected}"
            assert again.by_key() == whole.by_key(), f"cut at {cut}: {again.all(object)}"
            numbers = [record.seq for record in again.records]
            assert numbers == list(range(1, len(numbers) + 1))
        replayed = await self.run(strategy, script, whole.records)
        assert replayed.records == whole.records
        assert not any(model.seen for model in replayed.models.values())
        assert not replayed.called
        return whole


def _timeless(last: Any, other: Any) -> Any:
    if not isinstance(last, RunEnded) or not isinstance(other, RunEnded):
        return last
    spent = msgspec.structs.replace(last.spent, seconds=other.spent.seconds)
    return msgspec.structs.replace(last, spent=spent)


def _noting(
    tools: Sequence[tuple[ToolInfo, Call]], called: list[tuple[str, dict[str, Any]]]
) -> StaticToolset:
    def noting(name: str, call: Call) -> Call:
        async def noted(arguments: dict[str, Any], context: CallContext) -> ToolResult:
            called.append((name, arguments))
            return await call(arguments, context)

        return noted

    return StaticToolset(tuple((each, noting(each.name, call)) for each, call in tools))


def schema_of(options: GenerationOptions) -> dict[str, Any]:
    assert isinstance(options.constraint, JsonSchema)
    schema: dict[str, Any] = json.loads(options.constraint.schema)
    return schema
