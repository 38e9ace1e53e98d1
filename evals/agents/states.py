"""What came of a run, as a state that is logged and scored.

What always holds: `calls` are those that were begun, in the order in which they were, whatever came
of them; calls that were refused are told apart. `data` has `status`, `error`, `spent` (without
seconds, which no two runs share), `usages` (prompt and answer of each question), `evidence` (the
quote of each claim, wherever it stands), `asked` and `refused` (tools), and `world`.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from evals.agents.runs import RunLogged
from evals.core.samples import Sample
from evals.core.states import Call, Cited, Passage, State, Usage
from rostra.agents import (
    Answer,
    ApprovalAsked,
    ModelAnswered,
    ModelAsked,
    ModelCut,
    Outcome,
    RunEnded,
    Status,
    ToolEnded,
    ToolStarted,
)


def state_of(sample: Sample, logged: RunLogged, world: Mapping[str, Any], trace: str = "") -> State:
    """The state of a sample whose run came to this end.

    Args:
        world: what the run has done to the world; JSON.
        trace: id of its trace; empty for none.
    """
    ended = logged.last if isinstance(logged.last, RunEnded) else None
    answer = ended.answer if ended is not None else None
    status = ended.status if ended is not None else Status.PAUSED
    asked = [event.call.tool for event in logged.of(ApprovalAsked)]
    data: dict[str, Any] = {
        "status": str(status),
        "usages": [
            [event.usage.prompt_tokens, event.usage.completion_tokens]
            for event in logged.of(ModelAnswered)
        ],
        "evidence": _evidence(answer),
        "asked": asked,
        "refused": sum(event.outcome is Outcome.DENIED for event in logged.of(ToolEnded)),
        "world": dict(world),
    }
    if ended is not None:
        spent = msgspec.to_builtins(ended.spent)
        data["spent"] = {name: spent[name] for name in spent if name != "seconds"}
        if ended.error is not None:
            data["error"] = str(ended.error.get("code", ""))
    return State(
        sample=sample,
        output=answer.text if answer is not None else "",
        claims=[claim.text for claim in answer.claims] if answer is not None else [],
        abstained=status is Status.ABSTAINED,
        passages=_passages(logged),
        citations=_citations(answer),
        calls=_calls(logged),
        steps=len(logged.of(ModelAsked)),
        usage=_usage(logged),
        trace=trace,
        data=data,
    )


def _calls(logged: RunLogged) -> list[Call]:
    ended = {event.key: event for event in logged.of(ToolEnded)}
    calls: dict[str, Call] = {}
    for begun in logged.of(ToolStarted):
        end = ended.get(begun.key)
        outcome = str(end.outcome) if end is not None else str(Outcome.UNKNOWN)
        text = end.text if end is not None else ""
        # Another attempt is the same call.
        calls[begun.key] = Call(begun.call.tool, begun.call.arguments, text, outcome)
    return list(calls.values())


def _passages(logged: RunLogged) -> list[Passage]:
    """Parts of stored documents that were shown, in the order in which they were."""
    return [
        Passage(
            span.document_id,
            ended.text[span.at : span.at + span.end - span.start],
            start=span.start,
            end=span.end,
        )
        for ended in logged.of(ToolEnded)
        for span in ended.documents
    ]


def _citations(answer: Answer | None) -> list[Cited]:
    """Quotes of stored documents; those of other results are `evidence` alone."""
    if answer is None:
        return []
    return [
        Cited(cited.document_id, cited.start, cited.end, cited.quote, at)
        for at, claim in enumerate(answer.claims)
        for cited in claim.evidence
        if cited.document_id is not None and cited.start is not None and cited.end is not None
    ]


def _evidence(answer: Answer | None) -> list[dict[str, Any]]:
    if answer is None:
        return []
    return [
        {"claim": at, "quote": cited.quote, "call": cited.call}
        for at, claim in enumerate(answer.claims)
        for cited in claim.evidence
    ]


def _usage(logged: RunLogged) -> Usage:
    """Of all questions, those whose answer was broken off included."""
    told = [event.usage for event in (*logged.of(ModelAnswered), *logged.of(ModelCut))]
    return sum(
        (
            Usage(
                each.prompt_tokens,
                each.completion_tokens,
                each.cached_tokens,
                each.cost,
                each.estimated,
            )
            for each in told
        ),
        Usage(),
    )
