"""What a strategy works with: it asks models, calls tools and notes what it made of both.

A strategy is an ordinary coroutine over a `Scope`. Every effect goes through it and is written to
the run's log under a key that depends on nothing but the order of effects in its scope; so a
strategy that is executed again, after a crash or for a replay, is given what the log has and goes
on where the log ends. In return a strategy must be deterministic: no clock, no chance, no
concurrency but `branch` and `call`.

What always holds: budgets, approvals, loop detection and the bound on observations are the scope's
work; a strategy cannot leave them out.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from rostra.agents.errors import RunPaused
from rostra.agents.events import Answer, Origin, Outcome, PlannedCall, RunEvent
from rostra.agents.tools.tool import ToolInfo
from rostra.core import GenerationOptions, Role, ToolCall

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of context and where it comes from.

    Attributes:
        source: names it, such as a tool's or a document's name; empty for our own.
    """

    text: str
    origin: Origin = Origin.SYSTEM
    source: str = ""

    @property
    def label(self) -> str | None:
        """Names an untrusted source, as in `Reply.sources`; None of what may cause side effects.

        A model's words have none: what it had read is told beside them.
        """
        if self.origin.trusted or self.origin is Origin.MODEL:
            return None
        return f"{self.origin}:{self.source}"


@dataclass(frozen=True, slots=True)
class Message:
    """A message whose pieces keep their provenance."""

    role: Role
    pieces: tuple[Piece, ...]
    calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None

    @property
    def text(self) -> str:
        """The pieces as one text."""
        return "".join(piece.text for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's whole answer; `calls` are those in its own format, `sources` what it had read."""

    text: str
    calls: tuple[ToolCall, ...] = ()
    finish: str = "stop"
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sentence:
    """A numbered sentence of an observation.

    Attributes:
        number: counts from 1 over the whole run; what an answer's evidence names.
        call: whose result it stands in.
        document_id: of the stored document that it is a verbatim part of, if it is one, with its
            code points `start` to `end` there.
    """

    number: int
    text: str
    call: str
    document_id: str | None = None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What came of a call, bounded, its sentences numbered.

    Attributes:
        text: as the model should read it: numbered sentences, or an error.
    """

    call: PlannedCall
    outcome: Outcome
    text: str
    origin: Origin = Origin.TOOL
    sentences: tuple[Sentence, ...] = ()

    @property
    def piece(self) -> Piece:
        """As a piece of context."""
        return Piece(self.text, self.origin, self.call.tool)


@dataclass(frozen=True, slots=True)
class Step:
    """What a model decided: calls, or an answer, or neither and why.

    Attributes:
        error: what was wrong with its words, for the model to read.
        sources: untrusted sources that the deciding model had read.
    """

    thought: str = ""
    calls: tuple[PlannedCall, ...] = ()
    final: Answer | None = None
    error: str | None = None
    sources: tuple[str, ...] = field(default=())


class Scope(Protocol):
    """See this module."""

    @property
    def task(self) -> str:
        """What the run is to do, in the user's words."""
        ...

    @property
    def tools(self) -> Sequence[ToolInfo]:
        """All tools of the run, in a stable order."""
        ...

    @property
    def sentences(self) -> Sequence[Sentence]:
        """All numbered sentences of the run by number, for those who look at it from outside.

        A strategy goes by the sentences of its own observations: these here depend on what other
        branches have done by now, and in a second execution on what the log has.
        """
        ...

    async def ask(
        self,
        purpose: str,
        messages: Sequence[Message],
        options: GenerationOptions,
        *,
        model: str = "main",
    ) -> Reply:
        """Asks a model; counts as a step of the budget.

        Args:
            model: the role that it has, or several as `judge/planner`: the first that a model of
                its own has, else `main`.

        Raises:
            BudgetSpent: nothing is left; the run ends.
            ModelUnavailable, Overloaded: after retries.
        """
        ...

    async def call(
        self, calls: Sequence[PlannedCall], *, sources: Sequence[str] = ()
    ) -> list[Observation]:
        """Makes calls side by side; gives one observation each, in their order.

        Args:
            sources: untrusted sources that influenced the arguments.

        Raises:
            RunPaused: one of them waits for a person; the others are done.
            BudgetSpent: nothing is left; the run ends.
        """
        ...

    async def note(self, event: RunEvent) -> None:
        """Writes what the strategy made of it: `Decided`, `Planned`, `Verified`, `Noted`."""
        ...

    def key(self) -> str:
        """The next key of this scope, for an event to be noted."""
        ...

    def branch(self, name: str, *, steps: int | None = None) -> "Scope":
        """A scope of its own keys, for work that goes on beside other work.

        Args:
            steps: most questions in it and in its branches; one more raises `BudgetSpent`.
        """
        ...

    def prompt(self, name: str, **values: Any) -> str:
        """A prompt of the library, filled in; its version is recorded with the run."""
        ...


async def together(*branches: Coroutine[Any, Any, T]) -> list[T]:
    """Runs work of several branches side by side; results in their order.

    Every branch goes on until it ends or waits, whatever becomes of the others: breaking one off
    would leave its calls with an unknown outcome.

    Raises:
        RunPaused: some wait for a person; those that wait for the same reason are named together.
        Exception: the first other error, in the order of the branches.
    """
    results = await asyncio.gather(*branches, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    pauses = [error for error in errors if isinstance(error, RunPaused)]
    for error in errors:
        if not isinstance(error, RunPaused):
            raise error
    if pauses:
        reason = pauses[0].reason
        same = [call for pause in pauses if pause.reason == reason for call in pause.calls]
        raise RunPaused(reason, same, error=pauses[0].error)
    return [result for result in results if not isinstance(result, BaseException)]
