"""What a step of an agent costs beside its model and its tool, against other harnesses.

A step is: a model says which tool to call, the call is checked and made, and what came of it goes
back to the model. Here the model is a script and the tool adds two numbers; what is timed is from
the end of one answer of the model to the beginning of the next question, so neither is part of it.
Each harness does the same runs of 20 steps, 19 calls and an answer, in turns.

Rostra writes each step to a log in the database that survives the death of the process, and once
more with one that survives the loss of power; pydantic-ai and smolagents keep nothing. The price of
the second is told in multiples of one fsync of the same disk, measured in the same run. Nobody
watches these runs but where it says so: a watcher reads the log again, in the same process.
"""

# mypy: disable-error-code="import-not-found,import-untyped,misc,untyped-decorator,unused-ignore"
# The peers need not be installed, and not all of them have types.
import asyncio
import importlib.util
import json
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from rostra.agents import (
    Agents,
    Budget,
    CallContext,
    Catalog,
    Effect,
    Parts,
    RunEnded,
    RunRequest,
    StaticToolset,
    Status,
    ToolInfo,
    ToolResult,
    default_guard,
    make_strategy,
    prompts,
)
from rostra.core import (
    ChatEvent,
    ChatMessage,
    Delta,
    Finish,
    FinishReason,
    GenerationOptions,
    Settings,
)
from rostra.store import open_database

_STEPS = 19  # that are followed by another question
_ROUNDS = 5
_RUNS = 4  # of each harness in a round
_TOGETHER = 100
_FSYNCS = 40  # in a round
_BUDGET = Budget(steps=_STEPS + 5, calls=_STEPS + 5)


@dataclass(slots=True)
class Stopwatch:
    """Times between a model's answers and the questions that follow; one run at a time.

    Attributes:
        spent: seconds of each step so far.
    """

    spent: list[float] = field(default_factory=list)
    _left: float | None = None

    def enter(self) -> None:
        """A question has come."""
        if self._left is not None:
            self.spent.append(time.perf_counter() - self._left)
        self._left = None

    def leave(self) -> None:
        """An answer is given back."""
        self._left = time.perf_counter()

    def stop(self) -> None:
        """The run is over; what follows is not part of it."""
        self._left = None


class CountingModel:
    """Calls `add` with other numbers each time, then answers.

    Attributes:
        answered: released once for each answer.
    """

    name = "script"

    def __init__(self, watch: Stopwatch | None = None) -> None:
        self._watch = watch
        self.answered = asyncio.Semaphore(0)

    async def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> AsyncIterator[ChatEvent]:
        """See `ChatModel.stream`."""
        if self._watch is not None:
            self._watch.enter()
        done = sum(message.role == "assistant" for message in messages)
        if done < _STEPS:
            action = [{"tool": "add", "args": {"a": done, "b": done + 1}}]
            said: dict[str, Any] = {"thought": "Go on.", "action": action}
        else:
            claims = [{"text": "They are added.", "evidence": [1]}]
            said = {"thought": "Done.", "final": {"claims": claims}}
            self.answered.release()
        yield Delta(json.dumps(said))
        if self._watch is not None:
            self._watch.leave()
        yield Finish(FinishReason.STOP, {"prompt_tokens": 0, "completion_tokens": 0})


async def run(settings: Settings, folders: Sequence[Path]) -> list[dict[str, Any]]:
    """One row a harness; then many runs at once: their `p50_ms` is all time over all steps."""
    with tempfile.TemporaryDirectory(dir=_disk(settings)) as home:
        watches: dict[str, Stopwatch] = {}
        fsyncs: list[float] = []
        for number in range(_ROUNDS):
            fsyncs += _fsyncs(Path(home))
            for name, measure in _harnesses(Path(home)).items():
                await measure(watches.setdefault(name, Stopwatch()))
            click.echo(f"  round {number + 1} of {_ROUNDS}", err=True)
        fsync = statistics.median(fsyncs)
        click.echo(f"  one fsync here takes {fsync * 1000:.2f} ms", err=True)
        rows = [_row(name, watch.spent) for name, watch in watches.items()]
        return [*_compared(rows, fsync), await _together(Path(home))]


def _harnesses(home: Path) -> dict[str, Callable[[Stopwatch], Awaitable[None]]]:
    async def process(watch: Stopwatch) -> None:
        await _rostra(home / "process.db", watch)

    async def watched(watch: Stopwatch) -> None:
        await _rostra(home / "watched.db", watch, watched=True)

    async def power(watch: Stopwatch) -> None:
        await _rostra(home / "power.db", watch, durable=True)

    found: dict[str, Callable[[Stopwatch], Awaitable[None]]] = {
        "rostra": process,
        "rostra, watched": watched,
        "rostra, survives power loss": power,
    }
    for name, module, measure in (
        ("pydantic-ai", "pydantic_ai", _pydantic_ai),
        ("smolagents", "smolagents", _smolagents),
    ):
        if importlib.util.find_spec(module) is None:
            click.echo(f"  {name} is not installed; see the group `peers`", err=True)
        else:
            found[name] = measure
    return found


# --- Rostra ---


async def _rostra(
    database: Path, watch: Stopwatch, *, durable: bool = False, watched: bool = False
) -> None:
    model = CountingModel(watch)
    async with _agents(database, model, durable=durable) as agents:
        for number in range(_RUNS):
            started = await agents.start(_request(number))
            if not watched:
                await model.answered.acquire()
            await _completed(agents, started)
            watch.stop()


def _request(number: int) -> RunRequest:
    return RunRequest(task=f"Add numbers, {number}.", strategy="react", budget=_BUDGET)


async def _completed(agents: Agents, run_id: UUID) -> bool:
    ended = (await agents.wait(run_id)).event
    return isinstance(ended, RunEnded) and ended.status is Status.COMPLETED


@asynccontextmanager
async def _agents(
    path: Path, model: CountingModel, *, durable: bool = False
) -> AsyncIterator[Agents]:
    catalog = await Catalog.open({"local": _tools()})
    parts = Parts(
        models={"main": model},
        tools=catalog,
        strategy=make_strategy("react"),
        guard=default_guard(),
        prompts=prompts,
    )

    @asynccontextmanager
    async def open_parts(request: RunRequest) -> AsyncIterator[Parts]:
        yield parts

    async with await open_database(f"sqlite:///{path}") as database:
        agents = Agents(database, open_parts, model="script", prompts=prompts, durable=durable)
        try:
            yield agents
        finally:
            await agents.close()


def _tools() -> StaticToolset:
    async def add(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        return ToolResult(f"The sum is {arguments['a'] + arguments['b']}.")

    number = {"type": "integer"}
    parameters = {
        "type": "object",
        "properties": {"a": number, "b": number},
        "required": ["a", "b"],
        "additionalProperties": False,
    }
    return StaticToolset(((ToolInfo("add", "Adds.", parameters, Effect.READ), add),))


async def _together(home: Path) -> dict[str, Any]:
    model = CountingModel()
    async with _agents(home / "together.db", model) as agents:
        began = time.perf_counter()
        started = [await agents.start(_request(number)) for number in range(_TOGETHER)]
        for _ in started:
            await model.answered.acquire()
        seconds = time.perf_counter() - began
        errors = sum([not await _completed(agents, run_id) for run_id in started])
    steps = _TOGETHER * (_STEPS + 1)
    return {
        "harness": f"rostra, {_TOGETHER} runs at once",
        "steps": steps,
        "p50_ms": 1000 * seconds / steps,
        "p95_ms": "-",
        "of_pydantic_ai": "-",
        "fsyncs_more": "-",
        "errors": errors,
    }


# --- Peers ---


async def _pydantic_ai(watch: Stopwatch) -> None:
    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
    from pydantic_ai.models.function import AgentInfo, FunctionModel
    from pydantic_ai.usage import UsageLimits

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        watch.enter()
        done = sum(isinstance(message, ModelResponse) for message in messages)
        if done < _STEPS:
            said = ModelResponse(parts=[ToolCallPart("add", {"a": done, "b": done + 1})])
        else:
            said = ModelResponse(parts=[TextPart("They are added.")])
        watch.leave()
        return said

    agent = Agent(FunctionModel(answer))

    @agent.tool_plain
    async def add(a: int, b: int) -> str:
        """Adds."""
        return f"The sum is {a + b}."

    for number in range(_RUNS):
        await agent.run(f"Add numbers, {number}.", usage_limits=UsageLimits(request_limit=None))
        watch.stop()


async def _smolagents(watch: Stopwatch) -> None:
    # It is synchronous; nothing else goes on meanwhile.
    _smolagents_now(watch)


def _smolagents_now(watch: Stopwatch) -> None:
    from smolagents import LogLevel, Model, Tool, ToolCallingAgent
    from smolagents.models import (
        ChatMessage as SmolMessage,
    )
    from smolagents.models import (
        ChatMessageToolCall,
        ChatMessageToolCallFunction,
        MessageRole,
        TokenUsage,
    )

    class Add(Tool):
        name = "add"
        description = "Adds."
        inputs = {  # noqa: RUF012 -- as the library wants it
            "a": {"type": "integer", "description": "One."},
            "b": {"type": "integer", "description": "Other."},
        }
        output_type = "string"

        def forward(self, a: int, b: int) -> str:
            return f"The sum is {a + b}."

    class Script(Model):
        def generate(self, messages: list[Any], **options: Any) -> Any:
            watch.enter()
            done = sum(message.role == MessageRole.TOOL_CALL for message in messages)
            if done < _STEPS:
                wanted = ChatMessageToolCallFunction({"a": done, "b": done + 1}, "add")
            else:
                wanted = ChatMessageToolCallFunction({"answer": "added"}, "final_answer")
            call = ChatMessageToolCall(wanted, f"call-{done}", "function")
            said = SmolMessage(MessageRole.ASSISTANT, "", [call], token_usage=TokenUsage(0, 0))
            watch.leave()
            return said

    for number in range(_RUNS):
        agent = ToolCallingAgent(
            [Add()], Script(), max_steps=_STEPS + 2, verbosity_level=LogLevel.OFF
        )
        agent.run(f"Add numbers, {number}.")
        watch.stop()


# --- Figures ---


def _row(name: str, spent: Sequence[float]) -> dict[str, Any]:
    return {
        "harness": name,
        "steps": len(spent),
        "p50_ms": 1000 * statistics.median(spent),
        "p95_ms": 1000 * statistics.quantiles(spent, n=20)[-1],
    }


def _compared(rows: Sequence[dict[str, Any]], fsync: float) -> list[dict[str, Any]]:
    """Adds each median over pydantic-ai's, and what surviving power loss costs more."""
    medians = {row["harness"]: row["p50_ms"] for row in rows}
    peer = medians.get("pydantic-ai")
    for row in rows:
        more = row["p50_ms"] - medians["rostra"]
        lasting = row["harness"] == "rostra, survives power loss"
        row["of_pydantic_ai"] = row["p50_ms"] / peer if peer else "-"
        row["fsyncs_more"] = more / (1000 * fsync) if lasting else "-"
        row["errors"] = _ROUNDS * _RUNS * _STEPS - row["steps"]
    return list(rows)


def _fsyncs(folder: Path) -> list[float]:
    """Seconds of fsyncs, each after 4 KiB were written to a file's end."""
    spent: list[float] = []
    with (folder / "fsync").open("ab", buffering=0) as file:
        for _ in range(_FSYNCS):
            file.write(os.urandom(4096))
            began = time.perf_counter()
            os.fsync(file.fileno())
            spent.append(time.perf_counter() - began)
    return spent


def _disk(settings: Settings) -> Path:
    """Where the platform's own database lies; temporary folders are often in memory."""
    settings.home.mkdir(parents=True, exist_ok=True)
    return settings.home
