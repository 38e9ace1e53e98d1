"""States: all that a solver found out about a sample, as it is logged and scored.

What always holds: a state is plain data; scoring it again from the log needs nothing else.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from evals.core.samples import Sample


class Passage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A piece of a document that was found, best first.

    Attributes:
        document: the document's id or uri, as the sample's judgements name it.
        start, end: `[start, end)` code points of the document's text; -1 where unknown.
    """

    document: str
    text: str = ""
    score: float | None = None
    start: int = -1
    end: int = -1


class Cited(msgspec.Struct, frozen=True, omit_defaults=True):
    """A quote that an answer rests on, at its place in a stored document.

    Attributes:
        claim: place of the claim that it supports among the answer's; -1 supports all of it.
        exact: whether it equals the stored text there; None where that was not looked up.
    """

    document: str
    start: int
    end: int
    quote: str
    claim: int = -1
    exact: bool | None = None


class Call(msgspec.Struct, frozen=True, omit_defaults=True):
    """A call of a tool."""

    tool: str
    arguments: dict[str, Any] = {}
    result: str = ""
    outcome: str = "ok"


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a solver or a scorer used up.

    Attributes:
        estimated: whether a token count is a guess, as the model told none.
        cost: in the currency of the model's prices.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost: float = 0.0
    estimated: bool = False

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.cost + other.cost,
            self.estimated or other.estimated,
        )


def usage_of(told: Mapping[str, float]) -> Usage:
    """A model's counts as those of an evaluation."""
    return Usage(
        prompt_tokens=int(told.get("prompt_tokens", 0)),
        completion_tokens=int(told.get("completion_tokens", 0)),
        cached_tokens=int(told.get("cached_tokens", 0)),
        cost=float(told.get("cost", 0.0)),
        estimated=bool(told.get("estimated", 0)),
    )


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A sample and what came of it; solvers replace fields with `msgspec.structs.replace`.

    Attributes:
        output: the answer's text.
        claims: the answer's claims, where it is made of some.
        abstained: whether it was said that there is no answer.
        passages: found, best first.
        citations: of the answer.
        calls: of tools, in order.
        steps: questions to models.
        trace: id of the OpenTelemetry trace, in hex; empty for none.
        data: whatever else the scorers need; JSON.
    """

    sample: Sample
    output: str = ""
    claims: list[str] = []
    abstained: bool = False
    passages: list[Passage] = []
    citations: list[Cited] = []
    calls: list[Call] = []
    steps: int = 0
    usage: Usage = Usage()
    trace: str = ""
    data: dict[str, Any] = {}
