"""What happens in a run, as typed events: the log that everything else is read from.

A run is its log. Its state, what it has spent, what a person sees of it, its trace and its replay
are all computed from these events; nothing of a run is kept elsewhere.

What always holds: `seq` counts from 1 without gaps; the first event is `RunStarted`; at most one
`RunEnded` stands there, and nothing after it. An effect (a question to a model, a call of a tool)
is written before it begins and after it has ended, both under its `key`, which is the same whenever
the run is executed again.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec


class Effect(StrEnum):
    """What calling a tool can do to the world."""

    READ = "read"  # changes nothing
    IDEMPOTENT = "idempotent"  # changes something; twice is as once
    WRITE = "write"  # changes something each time
    UNKNOWN = "unknown"  # nobody said

    @property
    def repeatable(self) -> bool:
        """Whether a call that may have happened can be made again unasked."""
        return self in (Effect.READ, Effect.IDEMPOTENT)


class Origin(StrEnum):
    """Where a piece of context comes from."""

    SYSTEM = "system"
    USER = "user"
    MODEL = "model"
    DOCUMENT = "document"
    TOOL = "tool"

    @property
    def trusted(self) -> bool:
        """Whether what it says may cause side effects; a model is as good as what it has read."""
        return self in (Origin.SYSTEM, Origin.USER)


class Outcome(StrEnum):
    """How a call of a tool ended."""

    OK = "ok"
    ERROR = "error"  # the tool, its server or its arguments failed; the text says how
    DENIED = "denied"  # a person or a rule said no
    UNKNOWN = "unknown"  # it began, and nobody knows whether it happened


class Status(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    ABSTAINED = "abstained"  # it ended well, without an answer that its sources support
    EXHAUSTED = "exhausted"  # a budget was spent
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether nothing more can happen."""
        return self not in (Status.RUNNING, Status.PAUSED)


class Budget(msgspec.Struct, frozen=True):
    """Most that a run may use, all its executions together; None is no limit.

    Attributes:
        steps: questions to models that decide something.
        tokens: of models, prompt and answer.
        seconds: while it executes; pauses do not count.
        cost: in the currency of the models' prices.
        calls: of tools.
    """

    steps: int = 20
    tokens: int | None = None
    seconds: float | None = 600.0
    cost: float | None = None
    calls: int = 100


class Spent(msgspec.Struct, frozen=True):
    """What a run has used so far; as `Budget`.

    Attributes:
        estimated: some of its tokens were counted by nobody; see `Usage`.
    """

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    cost: float = 0.0
    calls: int = 0
    estimated: bool = False


class ToolRecord(msgspec.Struct, frozen=True):
    """A tool as a run was told of it when it began; all its executions are told the same.

    Attributes:
        source: name of the server, or `local`.
        outbound: whether a call shows its arguments to others; logs that do not say have none.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    effect: Effect
    source: str
    outbound: bool = False


class PlannedCall(msgspec.Struct, frozen=True):
    """A call as a model asked for it.

    Attributes:
        id: names it within its run.
        arguments: JSON object, checked against the tool's schema.
    """

    id: str
    tool: str
    arguments: dict[str, Any]


class Citation(msgspec.Struct, frozen=True, omit_defaults=True):
    """One sentence that backs a claim, word for word.

    Attributes:
        number: of the sentence among those that the run was shown.
        quote: its text.
        call: whose result it stands in.
        document_id: of a stored document, with its code points `start` to `end`.
    """

    number: int
    quote: str
    call: str
    document_id: str | None = None
    start: int | None = None
    end: int | None = None


class Claim(msgspec.Struct, frozen=True, omit_defaults=True):
    """One statement of an answer and what backs it.

    Attributes:
        unsupported: nothing does; computed, so that whoever reads a log or an answer sees it.
    """

    text: str
    evidence: list[Citation] = []
    unsupported: bool = False

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "unsupported", not self.evidence)


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a run ends with.

    Attributes:
        text: the claims as one text.
        unsupported: how many claims nothing backs; computed. A text without claims is one of them.
    """

    text: str
    claims: list[Claim] = []
    unsupported: int = 0

    def __post_init__(self) -> None:
        bare = sum(claim.unsupported for claim in self.claims) if self.claims else bool(self.text)
        msgspec.structs.force_setattr(self, "unsupported", int(bare))


class PlanStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step of a plan.

    Attributes:
        id: such as `E1`.
        goal: what it is to find out or do.
        needs: ids of the steps whose results it takes.
        call: the tool and arguments of a step that is one call; strings in them may hold `#E1`.
    """

    id: str
    goal: str
    needs: list[str] = []
    tool: str | None = None
    arguments: dict[str, Any] | None = None


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens of one answer of a model, and what they cost.

    Attributes:
        estimated: the model did not count them all; what it left out is guessed by length.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost: float = 0.0
    estimated: bool = False


# --- Of the run itself ---

INTERRUPTED = "interrupted"
"""The reason of a pause that anybody ends who resumes the run."""


class RunStarted(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """The run as it was asked for.

    Attributes:
        options: of the strategy, as given.
        prompts: version of each prompt by name.
        parent: the run that it was forked from, or that handed it its task.
    """

    task: str
    strategy: str
    model: str
    budget: Budget
    options: dict[str, Any] = {}
    prompts: dict[str, str] = {}
    user: str = ""
    parent: str | None = None


class Equipped(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """The tools of the run; `problems` says in words which are missing and why."""

    tools: list[ToolRecord]
    problems: list[str] = []


class Paused(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """The run waits for a person.

    Attributes:
        reason: `approval` or `outcome_unknown`; `interrupted` waits for no decision, but for
            somebody who resumes it.
        calls: ids of the calls in question.
        error: code and message of what made an interrupted run stop, if it was not a person.
    """

    reason: str
    calls: list[str]
    error: dict[str, Any] | None = None


class Resumed(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """An execution began after the first.

    Attributes:
        by: whose.
        model: name of the main model, where it is not the one that the run began with.
        prompts: names of those that are others now.
    """

    by: str = ""
    model: str = ""
    prompts: list[str] = []


class RunEnded(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """The run's end.

    Attributes:
        error: code and message, of a run that failed or spent its budget, or whose model wrote
            nothing that could be used.
    """

    status: Status
    spent: Spent
    answer: Answer | None = None
    error: dict[str, Any] | None = None


# --- Effects: before and after ---


class ModelAsked(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """A question to a model is about to be sent.

    Attributes:
        purpose: such as `step`, `plan`, `verify`, `synthesis`.
        digest: sha256 of messages and options; a replay must ask the same.
        sources: labels of untrusted context in it.
    """

    key: str
    purpose: str
    model: str
    digest: str
    sources: list[str] = []


class ModelAnswered(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """What the model said, whole.

    Attributes:
        calls: [name, arguments as JSON text] of calls in the model's own format.
        error: code and message where it could not answer.
    """

    key: str
    text: str
    usage: Usage
    finish: str = "stop"
    calls: list[tuple[str, str]] = []
    error: dict[str, Any] | None = None


class ModelCut(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """An answer was broken off, because the run's time was over; it is no answer.

    Attributes:
        usage: of the prompt and of what had been said, estimated.
    """

    key: str
    usage: Usage


class ToolStarted(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """A call is about to be made; `attempt` counts from 1.

    Attributes:
        lent: cut from what the run had left, for a run that the tool begins.
    """

    key: str
    call: PlannedCall
    effect: Effect
    attempt: int = 1
    sources: list[str] = []
    lent: Budget | None = None


class Beside(msgspec.Struct, frozen=True):
    """Where a call stands among those that were made side by side.

    Attributes:
        group: key of the first of them.
        place: from 0, in the order in which they were asked for.
        of: how many there are.
    """

    group: str
    place: int
    of: int


class ToolEnded(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """What came of a call, as the model will read it.

    Attributes:
        text: at most the observation limit.
        first: number of its first sentence, counted over the run; 0 of a call beside others.
        beside: of such a one. The calls' sentences are numbered when the last of them has ended,
            in the order of the calls: whichever ends first, the numbers are the same.
        bytes: size of the whole result.
        documents: spans of stored documents in `text`: see `DocumentSpan`.
        spent: of what the call was lent; its seconds passed in this run too.
        citable: whether its sentences are numbered, so that an answer can rest on them.
    """

    key: str
    call: str
    outcome: Outcome
    text: str
    origin: Origin = Origin.TOOL
    first: int = 1
    bytes: int = 0
    truncated: bool = False
    documents: list["DocumentSpan"] = []
    spent: Spent | None = None
    beside: Beside | None = None
    citable: bool = True


class DocumentSpan(msgspec.Struct, frozen=True):
    """`text[at : at + end - start]` of an observation is `[start, end)` of a stored document."""

    at: int
    document_id: str
    start: int
    end: int


class ApprovalAsked(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """A call waits for a person's yes; `reasons` say why it needs one."""

    key: str
    call: PlannedCall
    effect: Effect
    reasons: list[str]


class ApprovalDecided(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """A person's word on a call: `approve` or `deny`; of an unknown outcome `done` or `retry`.

    Attributes:
        attempts: of the call that had begun by then; the word is about the next one alone.
    """

    call: str
    decision: str
    by: str = ""
    note: str = ""
    attempts: int = 0


# --- What a strategy made of it ---


class Decided(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """A step: a thought, then calls or an answer; or why the model's words were none."""

    key: str
    thought: str = ""
    calls: list[PlannedCall] = []
    final: Answer | None = None
    error: str | None = None


class Planned(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """A plan, the first or a later one; `reason` says why it was made anew."""

    key: str
    steps: list[PlanStep]
    reason: str = ""


class Verified(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """A check of a step's result or of a claim."""

    key: str
    subject: str
    passed: bool
    reason: str = ""


class Noted(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Anything else worth telling: a warning of the guard, a summary of what was dropped.

    Attributes:
        kind: such as `guard.link_removed`, `loop`, `memory.summarised`.
    """

    key: str
    kind: str
    text: str = ""
    data: dict[str, Any] = {}


RunEvent = (
    RunStarted
    | Equipped
    | Paused
    | Resumed
    | RunEnded
    | ModelAsked
    | ModelAnswered
    | ModelCut
    | ToolStarted
    | ToolEnded
    | ApprovalAsked
    | ApprovalDecided
    | Decided
    | Planned
    | Verified
    | Noted
)


class Record(msgspec.Struct, frozen=True):
    """An event in its log."""

    seq: int
    at: datetime
    event: RunEvent


def encode_event(event: RunEvent) -> bytes:
    """JSON of an event; its `type` names its class."""
    return _encoder.encode(event)


def decode_event(data: bytes | str) -> RunEvent:
    """The event of `encode_event`.

    Raises:
        msgspec.ValidationError: it is none.
    """
    event: RunEvent = _decoder.decode(data)
    return event


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(RunEvent)
