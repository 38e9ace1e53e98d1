"""Events as parts of the UI message stream: each one's, and what holds of a whole stream."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostra.agents.events import (
    Answer,
    ApprovalAsked,
    ApprovalDecided,
    Beside,
    Budget,
    Citation,
    Claim,
    Decided,
    DocumentSpan,
    Effect,
    Equipped,
    ModelAnswered,
    ModelAsked,
    ModelCut,
    Noted,
    Origin,
    Outcome,
    Paused,
    Planned,
    PlannedCall,
    PlanStep,
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
    Verified,
)
from rostra.agents.ui import UiMessage, ui_parts

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CALL = PlannedCall("c1", "search", {"query": "tea"})
NAMED = {"toolCallId": "c1", "toolName": "search", "dynamic": True}
INPUT = [
    {"type": "tool-input-start", **NAMED},
    {"type": "tool-input-available", **NAMED, "input": {"query": "tea"}},
]
SPENT = Spent(steps=1, tokens=12)
TOLD = {
    "status": "completed",
    # All of it, nothing left out for being as it began.
    "spent": {
        "steps": 1,
        "tokens": 12,
        "seconds": 0.0,
        "cost": 0.0,
        "calls": 0,
        "estimated": False,
    },
}
CITED = Claim("Tea is hot.", [Citation(3, "Tea is hot.", "c1", "d", 5, 16)])

# Members that the SDK's version 5 allows beside `type`, and those of them it needs.
SHAPES: dict[str, tuple[set[str], set[str]]] = {
    "start": ({"messageId", "messageMetadata"}, set()),
    "start-step": (set(), set()),
    "finish-step": (set(), set()),
    "text-start": ({"id", "providerMetadata"}, {"id"}),
    "text-delta": ({"id", "delta", "providerMetadata"}, {"id", "delta"}),
    "text-end": ({"id", "providerMetadata"}, {"id"}),
    "reasoning-start": ({"id", "providerMetadata"}, {"id"}),
    "reasoning-delta": ({"id", "delta", "providerMetadata"}, {"id", "delta"}),
    "reasoning-end": ({"id", "providerMetadata"}, {"id"}),
    "tool-input-start": (
        {"toolCallId", "toolName", "providerExecuted", "dynamic"},
        {"toolCallId", "toolName"},
    ),
    "tool-input-available": (
        {"toolCallId", "toolName", "input", "providerExecuted", "providerMetadata", "dynamic"},
        {"toolCallId", "toolName", "input"},
    ),
    "tool-output-available": (
        {"toolCallId", "output", "providerExecuted", "dynamic", "preliminary"},
        {"toolCallId", "output"},
    ),
    "tool-output-error": (
        {"toolCallId", "errorText", "providerExecuted", "dynamic"},
        {"toolCallId", "errorText"},
    ),
    "error": ({"errorText"}, {"errorText"}),
    "abort": ({"reason"}, set()),
    "finish": ({"finishReason", "messageMetadata"}, set()),
    "data-": ({"id", "data", "transient"}, {"data"}),
}

EVENTS: list[tuple[RunEvent, list[dict[str, Any]]]] = [
    (
        RunStarted("t", "react", "m", Budget()),
        [
            {
                "type": "start",
                "messageId": "r",
                "messageMetadata": {"strategy": "react", "model": "m", "task": "t"},
            }
        ],
    ),
    (
        Equipped([ToolRecord("search", "d", {}, Effect.READ, "local")], ["mail is away"]),
        [
            {
                "type": "data-tools",
                "id": "tools",
                "data": {"tools": ["search"], "problems": ["mail is away"]},
            }
        ],
    ),
    (
        ModelAsked("1", "step", "m", "0" * 64),
        [
            {"type": "start-step"},
            {"type": "data-step", "id": "1", "data": {"purpose": "step", "model": "m"}},
        ],
    ),
    (
        ModelAnswered("1", "secret words", Usage(5, 7)),
        [
            {
                "type": "data-usage",
                "id": "1",
                "data": {
                    "finish": "stop",
                    "usage": {"prompt_tokens": 5, "completion_tokens": 7},
                },
            },
            {"type": "finish-step"},
        ],
    ),
    (
        ModelAnswered("1", "", Usage(), "error", error={"code": "x", "message": "away"}),
        [
            {
                "type": "data-usage",
                "id": "1",
                "data": {
                    "finish": "error",
                    "usage": {},
                    "error": {"code": "x", "message": "away"},
                },
            },
            {"type": "finish-step"},
        ],
    ),
    (
        ModelCut("1", Usage(5, 2, estimated=True)),
        [
            {
                "type": "data-usage",
                "id": "1",
                "data": {
                    "finish": "cut",
                    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "estimated": True},
                },
            },
            {"type": "finish-step"},
        ],
    ),
    (
        Decided("2", "look it up", [CALL]),
        [
            {"type": "reasoning-start", "id": "2"},
            {"type": "reasoning-delta", "id": "2", "delta": "look it up"},
            {"type": "reasoning-end", "id": "2"},
            *INPUT,
        ],
    ),
    (
        Decided("2", error="no JSON"),
        [{"type": "data-mistake", "id": "2", "data": {"error": "no JSON"}}],
    ),
    # The answer is not yet looked at by the guard.
    (Decided("2", final=Answer("![x](http://evil)")), []),
    (ToolStarted("3", CALL, Effect.READ), INPUT),
    (
        ToolStarted("3", CALL, Effect.READ, attempt=2),
        [*INPUT, {"type": "data-attempt", "id": "c1", "data": {"attempt": 2}}],
    ),
    (
        ToolEnded(
            "3", "c1", Outcome.OK, "Tea.", Origin.DOCUMENT, 3, 4, True, [DocumentSpan(0, "d", 5, 9)]
        ),
        [
            {
                "type": "tool-output-available",
                "toolCallId": "c1",
                "dynamic": True,
                "output": {
                    "text": "Tea.",
                    "origin": "document",
                    "first": 3,
                    "bytes": 4,
                    "truncated": True,
                    "documents": [{"at": 0, "document_id": "d", "start": 5, "end": 9}],
                },
            }
        ],
    ),
    *(
        (
            ToolEnded("3", "c1", outcome, "why"),
            [
                {
                    "type": "tool-output-error",
                    "toolCallId": "c1",
                    "dynamic": True,
                    "errorText": f"{outcome}: why",
                }
            ],
        )
        for outcome in (Outcome.ERROR, Outcome.DENIED, Outcome.UNKNOWN)
    ),
    (
        ApprovalAsked("3", CALL, Effect.WRITE, ["it writes"]),
        [
            *INPUT,
            {
                "type": "data-approval",
                "id": "c1",
                "data": {
                    "call": "c1",
                    "tool": "search",
                    "arguments": {"query": "tea"},
                    "effect": "write",
                    "reasons": ["it writes"],
                },
            },
        ],
    ),
    (
        Paused("approval", ["c1"]),
        [{"type": "data-paused", "id": "7", "data": {"reason": "approval", "calls": ["c1"]}}],
    ),
    (
        ApprovalDecided("c1", "approve", "ada"),
        [
            {
                "type": "data-decision",
                "id": "c1",
                "data": {"decision": "approve", "by": "ada", "note": ""},
            }
        ],
    ),
    (Resumed("host:1"), [{"type": "data-resumed", "id": "7", "data": {}}]),
    (
        Planned("4", [PlanStep("E1", "find", tool="search", arguments={})], "again"),
        [
            {
                "type": "data-plan",
                "id": "4",
                "data": {
                    "steps": [{"id": "E1", "goal": "find", "tool": "search", "arguments": {}}],
                    "reason": "again",
                },
            }
        ],
    ),
    (
        Verified("5", "E1", False, "nothing there"),
        [
            {
                "type": "data-verification",
                "id": "5",
                "data": {"subject": "E1", "passed": False, "reason": "nothing there"},
            }
        ],
    ),
    (
        Noted("6", "loop", "twice", {"n": 2}),
        [
            {
                "type": "data-note",
                "id": "6",
                "data": {"kind": "loop", "text": "twice", "data": {"n": 2}},
            }
        ],
    ),
    (
        RunEnded(Status.COMPLETED, SPENT, Answer("Tea is hot.", [CITED])),
        [
            {"type": "text-start", "id": "answer"},
            {"type": "text-delta", "id": "answer", "delta": "Tea is hot."},
            {"type": "text-end", "id": "answer"},
            {
                "type": "data-answer",
                "id": "answer",
                "data": {
                    "claims": [
                        {
                            "text": "Tea is hot.",
                            "evidence": [
                                {
                                    "number": 3,
                                    "quote": "Tea is hot.",
                                    "call": "c1",
                                    "document_id": "d",
                                    "start": 5,
                                    "end": 16,
                                }
                            ],
                        }
                    ],
                    "unsupported": 0,
                },
            },
            {"type": "data-run", "id": "run", "data": TOLD},
            {"type": "finish", "finishReason": "stop", "messageMetadata": TOLD},
        ],
    ),
]


@pytest.mark.parametrize(("event", "parts"), EVENTS, ids=lambda v: type(v).__name__)
def test_each_event_has_its_parts(event: RunEvent, parts: list[dict[str, Any]]) -> None:
    record = Record(7, NOW, event)
    assert ui_parts(record, "r") == parts
    assert ui_parts(record, "r") == parts


def test_every_kind_of_event_is_here() -> None:
    assert {type(event) for event, _ in EVENTS} == set(RunEvent.__args__)


@pytest.mark.parametrize(
    ("status", "kinds", "reason"),
    [
        (Status.ABSTAINED, ["data-run", "finish"], "stop"),
        (Status.EXHAUSTED, ["data-run", "finish"], "length"),
        (Status.FAILED, ["data-run", "error", "finish"], "error"),
        (Status.CANCELLED, ["data-run", "abort", "finish"], "other"),
    ],
)
def test_how_a_run_ends(status: Status, kinds: list[str], reason: str) -> None:
    error = {"code": "c", "message": "m"} if status is Status.FAILED else None
    parts = ui_parts(Record(1, NOW, RunEnded(status, SPENT, error=error)))
    assert [part["type"] for part in parts] == kinds
    assert parts[-1]["finishReason"] == reason
    assert parts[-1]["messageMetadata"]["status"] == str(status)
    if error:
        assert parts[1] == {"type": "error", "errorText": "m"}


def test_what_nothing_backs_is_told_at_the_end() -> None:
    answer = Answer("Tea is hot. So is coffee.", [CITED, Claim("So is coffee.")])
    parts = ui_parts(Record(1, NOW, RunEnded(Status.COMPLETED, SPENT, answer)))
    [told] = [part["data"] for part in parts if part["type"] == "data-answer"]
    assert told["unsupported"] == 1
    assert "unsupported" not in told["claims"][0]
    assert told["claims"][1] == {"text": "So is coffee.", "unsupported": True}


def calls(number: int) -> PlannedCall:
    return PlannedCall(f"c{number}", "search", {"n": number})


some_calls = st.integers(1, 4).map(calls)
some_events = st.one_of(
    st.sampled_from([event for event, _ in EVENTS]),
    st.builds(lambda call: Decided("k", "t", [call]), some_calls),
    st.builds(lambda call: ToolStarted("k", call, Effect.READ), some_calls),
    st.builds(lambda call: ApprovalAsked("k", call, Effect.READ, []), some_calls),
    st.builds(
        lambda call, outcome: ToolEnded("k", call.id, outcome, "x"),
        some_calls,
        st.sampled_from(list(Outcome)),
    ),
)


@given(st.lists(some_events, max_size=30))
def test_a_stream_is_one_that_clients_take(events: list[RunEvent]) -> None:
    message = UiMessage("r")
    begun: set[str] = set()
    available: set[str] = set()
    open_blocks: set[str] = set()
    for seq, event in enumerate(events, 1):
        for part in message.parts(Record(seq, NOW, event)):
            kind = part["type"]
            allowed, needed = SHAPES["data-" if kind.startswith("data-") else kind]
            members = set(part) - {"type"}
            assert needed <= members <= allowed, part
            call = part.get("toolCallId", "")
            match kind:
                case "tool-input-start":
                    assert call not in begun
                    begun.add(call)
                case "tool-input-available":
                    assert call in begun
                    assert call not in available
                    available.add(call)
                case "tool-output-available" | "tool-output-error":
                    assert call in available
                case "text-start" | "reasoning-start":
                    assert part["id"] not in open_blocks
                    open_blocks.add(part["id"])
                case "text-delta" | "reasoning-delta":
                    assert part["id"] in open_blocks
                case "text-end" | "reasoning-end":
                    open_blocks.remove(part["id"])
    assert not open_blocks


def test_a_call_that_never_began_gets_an_input() -> None:
    message = UiMessage("r")
    (start, available, output) = message.parts(
        Record(1, NOW, ToolEnded("1", "c9", Outcome.ERROR, "There is no such tool."))
    )
    assert (start["type"], start["toolName"]) == ("tool-input-start", "unknown")
    assert (available["input"], output["toolCallId"]) == ({}, "c9")


def test_numbers_of_calls_side_by_side_are_told_when_all_have_ended() -> None:
    message = UiMessage("r")
    ends = [
        ToolEnded("1", "c1", Outcome.OK, "One. Two."),
        ToolEnded("3", "c3", Outcome.OK, "Late.", first=0, beside=Beside("2", 1, 2)),
        ToolEnded(
            "2", "c2", Outcome.OK, "An ant. A bee. A cat.", first=0, beside=Beside("2", 0, 2)
        ),
        ToolEnded("4", "c4", Outcome.OK, "Last.", first=7),
    ]
    told = [message.parts(Record(seq, NOW, event)) for seq, event in enumerate(ends, 1)]
    outputs = [part["output"] for parts in told for part in parts if "output" in part]
    assert [output.get("first") for output in outputs] == [1, None, None, 7]
    (numbers,) = [part for parts in told for part in parts if part["type"] == "data-sentences"]
    assert numbers == told[2][-1]
    assert numbers["data"] == {"first": {"c2": 3, "c3": 6}}
