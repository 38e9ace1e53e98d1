"""Spans of runs, made from their events: OpenTelemetry's conventions for generative AI, v1.41.0.

One `invoke_agent` span an execution, from its start to its pause or end; in it a `chat` span a
question to a model and an `execute_tool` span an attempt of a call. All executions of a run have
its id as `gen_ai.conversation.id`. Times are the events' own, so that a log gives the same spans
whenever it is read. Only OpenTelemetry's API is used: without an SDK in the process nothing
happens.

What always holds: what people, models and tools said is left out unless `content` asks for it;
every span that is begun is ended, at the latest by `close`.

Source: https://github.com/open-telemetry/semantic-conventions/tree/v1.41.0/docs/gen-ai (status:
development, therefore pinned).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, TracerProvider

from rostra.agents.events import (
    Answer,
    Equipped,
    ModelAnswered,
    ModelAsked,
    ModelCut,
    Outcome,
    Paused,
    Record,
    Resumed,
    RunEnded,
    RunStarted,
    Status,
    ToolEnded,
    ToolStarted,
    Usage,
)
from rostra.agents.journal import Log
from rostra.core import ChatModel
from rostra.models import provider_of

SEMANTIC_CONVENTIONS = "1.41.0"
_SCHEMA_URL = f"https://opentelemetry.io/schemas/{SEMANTIC_CONVENTIONS}"
# Of a span whose process died, or whose run ended, before its own end was written.
_INTERRUPTED = "interrupted"
# Of an answer that was broken off because the run's time was over.
_CUT = "cut"
# Who serves models, until the run's models are known.
_OWN = "rostra"

Attributes = Mapping[str, str | int | float | Sequence[str]]


class RunTracer:
    """The spans of one run's records, told one after the other.

    Args:
        run_id: of the run.
        earlier: what its log had before, which other executions have told.
        content: record tasks, answers, arguments and results too.
        tracers: makes the tracer; the process's own by default.
    """

    def __init__(
        self,
        run_id: str,
        earlier: Iterable[Record] = (),
        *,
        content: bool = False,
        tracers: TracerProvider | None = None,
    ) -> None:
        self._run_id = run_id
        self._content = content
        self._providers: dict[str, str] = {}
        self._provider = _OWN
        self._tracer: Tracer = trace.get_tracer(
            "rostra.agents", _own_version(), tracers, _SCHEMA_URL
        )
        self._started: RunStarted | None = None
        self._descriptions: dict[str, str] = {}
        self._agent: Span | None = None
        self._open: dict[str, Span] = {}
        self._last: int | None = None
        for record in earlier:
            self._learn(record)

    def tell(self, record: Record) -> None:
        """Makes of a record what it is to the trace."""
        self._learn(record)
        at = _nanoseconds(record.at)
        self._last = at
        match record.event:
            case RunStarted() | Resumed():
                self._end_all(at)
                self._begin_agent(at)
            case ModelAsked() as event:
                self._begin(
                    f"model {event.key}",
                    f"chat {event.model}",
                    SpanKind.CLIENT,
                    at,
                    {
                        "gen_ai.operation.name": "chat",
                        "gen_ai.provider.name": self._providers.get(event.model, self._provider),
                        "gen_ai.request.model": event.model,
                        "gen_ai.conversation.id": self._run_id,
                        "rostra.purpose": event.purpose,
                    },
                )
            case ModelAnswered() as event:
                self._end(f"model {event.key}", at, self._answered(event), _code(event.error))
            case ModelCut() as event:
                self._end(f"model {event.key}", at, _used(event.usage), _CUT)
            case ToolStarted() as event:
                self._begin(
                    f"tool {event.key}",
                    f"execute_tool {event.call.tool}",
                    SpanKind.INTERNAL,
                    at,
                    self._called(event),
                )
            case ToolEnded() as event:
                error = None if event.outcome is Outcome.OK else str(event.outcome)
                told = {"gen_ai.tool.call.result": event.text} if self._content else {}
                self._end(f"tool {event.key}", at, told, error)
            case Paused() as event:
                self._finish(at, {"rostra.run.status": str(Status.PAUSED)}, None)
            case RunEnded() as event:
                self._finish(at, self._ended(event), _code(event.error))

    def served_by(self, models: Mapping[str, ChatModel]) -> None:
        """Names who serves the models of the run from now on, the agent's span included.

        Args:
            models: by role; the `main` one's provider is the agent's.
        """
        self._providers = {model.name: provider_of(model) for model in models.values()}
        self._provider = provider_of(models["main"])
        if self._agent is not None:
            self._agent.set_attribute("gen_ai.provider.name", self._provider)

    def close(self) -> None:
        """Ends what is open, as of the last record."""
        if self._last is not None:
            self._end_all(self._last)

    # --- What a span says ---

    def _called(self, event: ToolStarted) -> Attributes:
        told: dict[str, str | int] = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": event.call.tool,
            "gen_ai.tool.call.id": event.call.id,
            "gen_ai.tool.type": "function",
            "gen_ai.conversation.id": self._run_id,
            "rostra.tool.effect": str(event.effect),
            "rostra.tool.attempt": event.attempt,
        }
        if description := self._descriptions.get(event.call.tool):
            told["gen_ai.tool.description"] = description
        if self._content:
            told["gen_ai.tool.call.arguments"] = _json(event.call.arguments)
        return told

    def _answered(self, event: ModelAnswered) -> Attributes:
        told: dict[str, str | int | Sequence[str]] = {
            "gen_ai.response.finish_reasons": [event.finish],
            **_used(event.usage),
        }
        if self._content:
            told["gen_ai.output.messages"] = _message("assistant", event.text, event.finish)
        return told

    def _ended(self, event: RunEnded) -> Attributes:
        told: dict[str, str | int] = {
            "rostra.run.status": str(event.status),
            "rostra.run.steps": event.spent.steps,
            "rostra.run.calls": event.spent.calls,
            "rostra.run.tokens": event.spent.tokens,
        }
        if event.spent.estimated:
            told["rostra.usage.estimated"] = True
        if self._content and isinstance(event.answer, Answer):
            told["gen_ai.output.messages"] = _message("assistant", event.answer.text, "stop")
        return told

    # --- Spans ---

    def _learn(self, record: Record) -> None:
        match record.event:
            case RunStarted() as event:
                self._started = event
            case Equipped(tools=tools):
                self._descriptions = {tool.name: tool.description for tool in tools}

    def _begin_agent(self, at: int) -> None:
        started = self._started
        name = started.strategy if started else "agent"
        told: dict[str, str | int] = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": self._provider,
            "gen_ai.agent.name": name,
            "gen_ai.conversation.id": self._run_id,
        }
        if started is not None:
            if started.model:
                told["gen_ai.request.model"] = started.model
            if self._content:
                told["gen_ai.input.messages"] = _message("user", started.task)
        self._agent = self._tracer.start_span(
            f"invoke_agent {name}", kind=SpanKind.INTERNAL, attributes=told, start_time=at
        )

    def _begin(self, key: str, name: str, kind: SpanKind, at: int, told: Attributes) -> None:
        self._end(key, at, {}, _INTERRUPTED)  # an attempt whose end was never written
        if self._agent is None:
            self._begin_agent(at)
        parent = trace.set_span_in_context(self._agent or trace.INVALID_SPAN)
        self._open[key] = self._tracer.start_span(
            name, context=parent, kind=kind, attributes=dict(told), start_time=at
        )

    def _end(self, key: str, at: int, told: Attributes, error: str | None) -> None:
        span = self._open.pop(key, None)
        if span is not None:
            _finish(span, at, told, error)

    def _finish(self, at: int, told: Attributes, error: str | None) -> None:
        for key in list(self._open):
            self._end(key, at, {}, _INTERRUPTED)
        if self._agent is not None:
            _finish(self._agent, at, told, error)
            self._agent = None

    def _end_all(self, at: int) -> None:
        self._finish(at, {}, _INTERRUPTED)


class TracedLog:
    """A log whose new records are also told to a tracer, once they are written."""

    def __init__(self, log: Log, tracer: RunTracer) -> None:
        self._log = log
        self._tracer = tracer

    async def append(self, records: Sequence[Record]) -> None:
        """See `Log.append`."""
        await self._log.append(records)
        for record in records:
            self._tracer.tell(record)


def _finish(span: Span, at: int, told: Attributes, error: str | None) -> None:
    span.set_attributes(dict(told))
    if error is not None:
        span.set_attribute("error.type", error)
        span.set_status(StatusCode.ERROR)
    span.end(at)


def _nanoseconds(at: datetime) -> int:
    # Through whole microseconds: a float of seconds since 1970 has no room for them all.
    return round(at.timestamp() * 1_000_000) * 1000


def _used(usage: Usage) -> dict[str, str | int | Sequence[str]]:
    """Tokens of an answer; whether they are a guess the conventions have no name for."""
    told: dict[str, str | int | Sequence[str]] = {
        "gen_ai.usage.input_tokens": usage.prompt_tokens,
        "gen_ai.usage.output_tokens": usage.completion_tokens,
    }
    if usage.cached_tokens:
        told["gen_ai.usage.cache_read.input_tokens"] = usage.cached_tokens
    if usage.estimated:
        told["rostra.usage.estimated"] = True
    return told


def _code(error: Mapping[str, Any] | None) -> str | None:
    return None if error is None else str(error.get("code", "_OTHER"))


def _message(role: str, text: str, finish: str | None = None) -> str:
    """One message in the conventions' form, as JSON."""
    message: dict[str, Any] = {"role": role, "parts": [{"type": "text", "content": text}]}
    if finish is not None:
        message["finish_reason"] = finish
    return _json([message])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _own_version() -> str:
    try:
        return version("rostra")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"
