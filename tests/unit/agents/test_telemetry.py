"""Spans of runs: the conventions' names, the events' times, and nothing that anybody said."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from rostra.agents.events import (
    Answer,
    Budget,
    Effect,
    Equipped,
    ModelAnswered,
    ModelAsked,
    ModelCut,
    Outcome,
    Paused,
    PlannedCall,
    Record,
    Resumed,
    RunEnded,
    RunEvent,
    RunStarted,
    Spent,
    Status,
    ToolEnded,
    ToolRecord,
    ToolStarted,
    Usage,
)
from rostra.agents.journal import MemoryLog
from rostra.agents.telemetry import SEMANTIC_CONVENTIONS, RunTracer, TracedLog
from rostra.models import OpenAIModel, ScriptedModel

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
CALL = PlannedCall("c1", "search", {"query": "SECRET arguments"})
START: list[RunEvent] = [
    RunStarted("SECRET task", "react", "llama", Budget()),
    Equipped([ToolRecord("search", "Finds pages.", {}, Effect.READ, "local")]),
]
STEP: list[RunEvent] = [
    ModelAsked("1", "step", "llama", "0" * 64),
    ModelAnswered("1", "SECRET words", Usage(50, 7, 40)),
    ToolStarted("2", CALL, Effect.READ),
    ToolEnded("2", "c1", Outcome.OK, "SECRET result"),
]
END = RunEnded(Status.COMPLETED, Spent(1, 57, 1.0, 0.0, 1), Answer("SECRET answer"))


def log(events: Sequence[RunEvent], first: int = 1) -> list[Record]:
    return [
        Record(first + at, BEGAN + timedelta(seconds=first + at), event)
        for at, event in enumerate(events)
    ]


def spans_of(
    records: Sequence[Record], *, earlier: Sequence[Record] = (), content: bool = False
) -> list[ReadableSpan]:
    """Ended spans, by their start; every one that was begun must be among them."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = RunTracer("run-1", earlier, content=content, tracers=provider)
    for record in records:
        tracer.tell(record)
    tracer.close()
    return sorted(exporter.get_finished_spans(), key=lambda span: (span.start_time or 0, span.name))


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_run_is_an_agents_span_with_a_chat_and_a_tool_in_it() -> None:
    agent, chat, tool = spans_of(log([*START, *STEP, END]))
    assert (agent.name, agent.kind) == ("invoke_agent react", SpanKind.INTERNAL)
    assert attributes(agent) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "rostra",
        "gen_ai.agent.name": "react",
        "gen_ai.conversation.id": "run-1",
        "gen_ai.request.model": "llama",
        "rostra.run.status": "completed",
        "rostra.run.steps": 1,
        "rostra.run.calls": 1,
        "rostra.run.tokens": 57,
    }
    assert (chat.name, chat.kind) == ("chat llama", SpanKind.CLIENT)
    assert attributes(chat) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "rostra",
        "gen_ai.request.model": "llama",
        "gen_ai.conversation.id": "run-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 50,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "rostra.purpose": "step",
    }
    assert (tool.name, tool.kind) == ("execute_tool search", SpanKind.INTERNAL)
    assert attributes(tool) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search",
        "gen_ai.tool.call.id": "c1",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.description": "Finds pages.",
        "gen_ai.conversation.id": "run-1",
        "rostra.tool.effect": "read",
        "rostra.tool.attempt": 1,
    }
    assert agent.parent is None
    for inner in (chat, tool):
        assert inner.parent is not None
        assert inner.parent.span_id == agent.context.span_id
        assert inner.status.status_code is StatusCode.UNSET
    seconds = [(span.end_time - span.start_time) / 1e9 for span in (agent, chat, tool)]
    assert seconds == [6, 1, 1]
    assert agent.start_time == int(log(START)[0].at.timestamp()) * 10**9
    scope = agent.instrumentation_scope
    assert scope is not None
    assert scope.schema_url == f"https://opentelemetry.io/schemas/{SEMANTIC_CONVENTIONS}"


def test_names_are_the_conventions() -> None:
    names = pytest.importorskip("opentelemetry.semconv._incubating.attributes.gen_ai_attributes")
    known = {value for key, value in vars(names).items() if key.startswith("GEN_AI_")}
    for span in spans_of(log([*START, *STEP, END]), content=True):
        used = {name for name in attributes(span) if name.startswith("gen_ai.")}
        assert used <= known


def test_spans_name_who_serves_each_model() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = RunTracer("run-1", tracers=provider)
    models = {
        "main": OpenAIModel("https://api.openai.com/v1", "large"),
        "judge": OpenAIModel("http://127.0.0.1:8000/v1", "small"),
        "planner": ScriptedModel(["x"], name="own"),
    }
    asked = [ModelAsked(str(at), "step", name, "0") for at, name in enumerate(("large", "small"))]
    first, *rest = log([*START, *asked, ModelAsked("9", "plan", "own", "0"), END])
    tracer.tell(first)  # The run's models are known only after it has begun.
    tracer.served_by(models)
    for record in rest:
        tracer.tell(record)
    names = {span.name: attributes(span) for span in exporter.get_finished_spans()}
    served = {name: told["gen_ai.provider.name"] for name, told in names.items()}
    assert served == {
        "invoke_agent react": "openai",
        "chat large": "openai",
        "chat small": "127.0.0.1",
        "chat own": "rostra",
    }


def test_nothing_that_was_said_is_in_a_span_unless_asked_for() -> None:
    records = log([*START, *STEP, END])
    assert "SECRET" not in "".join(span.to_json() for span in spans_of(records))
    agent, chat, tool = spans_of(records, content=True)
    assert json.loads(attributes(agent)["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "SECRET task"}]}
    ]
    (said,) = json.loads(attributes(agent)["gen_ai.output.messages"])
    assert said["parts"][0]["content"] == "SECRET answer"
    (said,) = json.loads(attributes(chat)["gen_ai.output.messages"])
    assert (said["finish_reason"], said["parts"][0]["content"]) == ("stop", "SECRET words")
    assert json.loads(attributes(tool)["gen_ai.tool.call.arguments"]) == CALL.arguments
    assert attributes(tool)["gen_ai.tool.call.result"] == "SECRET result"


def test_what_went_wrong_is_named() -> None:
    away = {"code": "model_unavailable", "message": "SECRET"}
    agent, chat, tool = spans_of(
        log(
            [
                *START,
                ModelAsked("1", "step", "llama", "0" * 64),
                ModelAnswered("1", "", Usage(), "error", error=away),
                ToolStarted("2", CALL, Effect.READ),
                ToolEnded("2", "c1", Outcome.ERROR, "SECRET"),
                RunEnded(Status.FAILED, Spent(), error=away),
            ]
        )
    )
    for span, error in ((agent, "model_unavailable"), (chat, "model_unavailable"), (tool, "error")):
        assert span.status.status_code is StatusCode.ERROR
        assert attributes(span)["error.type"] == error
        assert "SECRET" not in span.to_json()


def test_an_answer_that_was_cut_ends_its_span_with_what_it_used() -> None:
    asked = ModelAsked("1", "step", "llama", "0" * 64)
    cut = ModelCut("1", Usage(50, 3, estimated=True))
    spent = Spent(1, 53, 5.0, estimated=True)
    late = {"code": "budget_spent", "message": "the time is over"}
    agent, chat = spans_of(log([*START, asked, cut, RunEnded(Status.EXHAUSTED, spent, error=late)]))
    assert attributes(chat)["error.type"] == "cut"
    assert attributes(chat)["gen_ai.usage.input_tokens"] == 50
    assert attributes(chat)["gen_ai.usage.output_tokens"] == 3
    assert attributes(chat)["rostra.usage.estimated"] is True
    assert attributes(agent)["rostra.usage.estimated"] is True
    assert (chat.end_time or 0) < (agent.end_time or 0)
    told = attributes(spans_of(log([*START, *STEP, END]))[1])
    assert "rostra.usage.estimated" not in told


def test_a_pause_ends_the_span_and_the_next_execution_has_its_own() -> None:
    before = log([*START, Paused("approval", ["c1"])])
    (first,) = spans_of(before)
    assert attributes(first)["rostra.run.status"] == "paused"
    agent, tool = spans_of(log([Resumed(), *STEP[2:], END], first=10), earlier=before)
    assert agent.name == "invoke_agent react"
    assert attributes(agent)["gen_ai.conversation.id"] == "run-1"
    assert attributes(tool)["gen_ai.tool.description"] == "Finds pages."


def test_what_was_broken_off_is_ended_all_the_same() -> None:
    started = ToolStarted("2", CALL, Effect.READ)
    again = ToolStarted("2", CALL, Effect.READ, attempt=2)
    agent, first, after, second = spans_of(log([*START, started, Resumed(), again, STEP[3], END]))
    assert attributes(agent)["error.type"] == attributes(first)["error.type"] == "interrupted"
    assert (after.name, attributes(second)["rostra.tool.attempt"]) == ("invoke_agent react", 2)
    assert "error.type" not in attributes(second)


@given(st.lists(st.sampled_from([*START, *STEP, END, Resumed(), Paused("approval", [])])))
def test_every_span_ends_and_none_before_it_began(events: list[RunEvent]) -> None:
    begun = sum(
        isinstance(event, ModelAsked | ToolStarted | RunStarted | Resumed) for event in events
    )
    spans = spans_of(log(events))
    # One more agent's span wherever a log goes on without a beginning.
    without = sum(span.name.startswith("invoke_agent") for span in spans) - sum(
        isinstance(event, RunStarted | Resumed) for event in events
    )
    assert len(spans) == begun + without
    assert without >= 0
    for span in spans:
        assert span.end_time is not None
        assert span.start_time is not None
        assert span.end_time >= span.start_time


async def test_a_traced_log_tells_what_is_written() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    inner = MemoryLog()
    traced = TracedLog(inner, RunTracer("run-1", tracers=provider))
    records = log([*START, *STEP, END])
    await traced.append(records[:3])
    await traced.append(records[3:])
    assert inner.records == records
    assert len(exporter.get_finished_spans()) == 3


def test_without_an_sdk_nothing_happens() -> None:
    tracer = RunTracer("run-1")
    for record in log([*START, *STEP, END]):
        tracer.tell(record)
    tracer.close()
