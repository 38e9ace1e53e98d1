"""The shapes of requests and answers, as the OpenAPI document shows them.

What always holds: a request with a field not named here is refused, and whatever a client sends has
a bound, here or, where settings decide it, in the rooms below. Offsets count Unicode code points.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from rostra.agents import Answer as RunAnswer
from rostra.agents import Budget, PlannedCall, Spent
from rostra.answer import AnswerMode
from rostra.core import QueryStrategyName
from rostra.retrieval import SearchMode
from rostra.store import DEFAULT_COLLECTION, RatingValue

Name = Annotated[str, Meta(min_length=1, max_length=128, examples=["default"])]
Names = Annotated[
    Name | Annotated[list[Name], Meta(min_length=1, max_length=20)],
    Meta(description="A collection's name, or 1 to 20 names that are ranked as one."),
]
JobStatus = Literal["queued", "running", "paused", "succeeded", "failed", "cancelled"]
RunStatus = Literal[
    "running", "paused", "completed", "abstained", "exhausted", "cancelled", "failed"
]


Expand = Annotated[
    Annotated[list[QueryStrategyName], Meta(max_length=6)] | None,
    Meta(
        description="Query strategies, which need a generator; null takes those of the settings, "
        "an empty list none.",
        examples=[["rewrite", "multi"]],
    ),
]


Share = Annotated[float, Meta(ge=0, le=1)]


class Request(Struct, forbid_unknown_fields=True):
    """Base of all request bodies."""


class NewCollection(Request):
    """A collection to be made."""

    name: Name
    description: Annotated[str, Meta(max_length=2000)] = ""


class SearchBody(Request):
    """What to look for; bounds on `query` and `k` that settings decide are checked later."""

    query: Annotated[str, Meta(examples=["create an index without blocking writes"])]
    k: Annotated[int, Meta(ge=1, le=10_000)] = 10
    collection: Names = DEFAULT_COLLECTION
    mode: SearchMode = SearchMode.HYBRID
    filters: dict[str, Any] = {}
    rerank: bool | None = None
    diversity: Share | None = None
    min_probability: Share | None = None
    expand: Expand = None
    graph: bool = False


class AskBody(Request):
    """A question; within a chat the collection is the chat's own unless one is named."""

    question: Annotated[str, Meta(examples=["How do I create an index without blocking writes?"])]
    collection: Name | None = None
    chat_id: UUID | None = None
    k: Annotated[int, Meta(ge=1, le=50)] | None = None
    filters: dict[str, Any] = {}
    expand: Expand = None


class NewChat(Request):
    """A conversation to be begun."""

    collection: Name = DEFAULT_COLLECTION
    title: Annotated[str, Meta(max_length=500)] = ""


class RatingBody(Request):
    """What a person thinks of an answer, and why if they say so."""

    value: RatingValue
    note: Annotated[str, Meta(max_length=2000, examples=["It leaves out the second step."])] = ""


class BudgetBody(Request):
    """Most that a run may use; what is not given is as in the settings, or has no limit there."""

    steps: Annotated[int, Meta(ge=1, le=1000)] | None = None
    tokens: Annotated[int, Meta(ge=1, le=2**40)] | None = None
    seconds: Annotated[float, Meta(gt=0, le=86_400)] | None = None
    cost: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    calls: Annotated[int, Meta(ge=0, le=10_000)] | None = None


ToolNames = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=128)]], Meta(max_length=100)
]


class RunPrompt(Request):
    """A prompt of an MCP server, filled in."""

    server: Name
    name: Annotated[str, Meta(min_length=1, max_length=256)]
    arguments: Annotated[
        dict[
            Annotated[str, Meta(min_length=1, max_length=256)],
            Annotated[str, Meta(max_length=20_000)],
        ],
        Meta(max_length=100),
    ] = {}


class NewRun(Request):
    """A task for an agent: one's own, or the `prompt` of an MCP server, but not both.

    A prompt is its server's word: calls that change something are then asked about. `tools` are
    patterns of the names of the tools that may be used, null is all; `approve` names tools whose
    calls need no further approval, unless a document or a tool's text led to them.
    """

    task: Annotated[str, Meta(examples=["How many days lie between the two last releases?"])] = ""
    prompt: RunPrompt | None = None
    strategy: Name = "react"
    tools: ToolNames | None = None
    budget: BudgetBody = msgspec.field(default_factory=BudgetBody)
    options: dict[str, Any] = {}
    approve: ToolNames = []


class RunDecision(Request):
    """A person's word on a call: `approve` or `deny`; of an unknown outcome `done` or `retry`."""

    call: Annotated[str, Meta(min_length=1, max_length=256)]
    decision: Literal["approve", "deny", "done", "retry"]
    note: Annotated[str, Meta(max_length=2000)] = ""


class ForkBody(Request):
    """After how many steps to part, and what is to be different."""

    step: Annotated[int, Meta(ge=0, le=100_000)]
    budget: BudgetBody | None = None
    approve: ToolNames | None = None


class FieldError(Struct):
    """One field of a request that cannot be taken."""

    field: str
    message: str


class Problem(Struct, omit_defaults=True):
    """A failure, RFC 9457; `code` is stable and tells errors apart."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str | None = None
    errors: list[FieldError] | None = None


class Embedding(Struct):
    """The space a collection's vectors live in."""

    model: str
    dimensions: int


class CollectionView(Struct):
    """A collection and how much it holds."""

    id: UUID
    name: str
    description: str
    documents: int
    chunks: int
    generation: int
    embedding: Embedding
    created_at: datetime
    updated_at: datetime


class CollectionPage(Struct):
    """Some collections, by name."""

    items: list[CollectionView]
    total: int


class DocumentView(Struct):
    """A stored document without its text; `bytes` is the size of its source."""

    id: UUID
    collection: str
    uri: str
    title: str
    media_type: str
    bytes: int
    chunks: int
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class DocumentPage(Struct):
    """Some documents of a collection, by uri."""

    items: list[DocumentView]
    total: int


class SpanView(Struct):
    """A part of a document's text; `level` is a heading's level or a page's number."""

    kind: str
    start: int
    end: int
    level: int


class DocumentDetail(DocumentView):
    """A stored document with its parts; `length` is that of its text."""

    length: int
    spans: list[SpanView]


class TextSlice(Struct):
    """`[start, end)` of a document's text, as it was cut."""

    document_id: UUID
    start: int
    end: int
    length: int
    text: str


class JobProgress(Struct):
    """Files done, files in all, chunks embedded."""

    done: int = 0
    total: int = 0
    chunks: int = 0


class FileFailure(Struct):
    """A file that was not ingested, and why."""

    uri: str
    error: str
    code: str = ""
    hint: str | None = None


class JobResult(Struct):
    """What an ingest did."""

    documents: int
    chunks: int
    unchanged: int
    failed: list[FileFailure]
    seconds: float


class JobView(Struct):
    """An ingest under way or done, or a folder that is followed.

    `source` says what it reads, `stage` how far it is, `not_before` when it is tried again.
    """

    id: UUID
    kind: str
    collection: str
    source: str
    status: JobStatus
    stage: str
    progress: JobProgress
    result: JobResult | None
    error: str | None
    error_code: str | None
    attempts: int
    not_before: datetime | None
    created_at: datetime
    updated_at: datetime


class JobPage(Struct):
    """Some jobs, and how many there are."""

    items: list[JobView]
    total: int


class SourceBody(Request):
    """What to read into a collection: one of `urls`, `sitemap` and `watch`."""

    urls: (
        Annotated[
            list[Annotated[str, Meta(max_length=2000)]],
            Meta(min_length=1, max_length=1000, description="Pages, as http or https URLs."),
        ]
        | None
    ) = None
    sitemap: Annotated[str, Meta(max_length=2000, description="URL of a sitemap.")] | None = None
    hosts: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=253)]],
        Meta(max_length=100, description="Further hosts whose pages a sitemap may list."),
    ] = []
    delete_missing: Annotated[
        bool, Meta(description="Delete stored pages that the sitemap lists no more.")
    ] = False
    watch: (
        Annotated[str, Meta(min_length=1, max_length=4096, description="Folder to follow.")] | None
    ) = None


class HitScoresView(Struct):
    """Partial scores; null where a stage did not score the hit."""

    dense: float | None
    lexical: float | None
    fused: float | None
    rerank: float | None


class HitView(Struct):
    """A chunk that was found; `text` is the document's `[start, end)`.

    `near_duplicates` are ids of other chunks that would stand here too and say nearly the same.
    """

    chunk_id: UUID
    document_id: UUID
    collection: str
    uri: str
    title: str
    context: str
    text: str
    start: int
    end: int
    page: int | None
    metadata: dict[str, Any]
    score: float
    scores: HitScoresView
    near_duplicates: list[UUID]


class SpentView(Struct):
    """What a query strategy used; `estimated` where the model did not count its tokens."""

    calls: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    cost: float
    estimated: bool


class StrategyView(Struct):
    """What became of a query strategy, and the queries it added."""

    name: QueryStrategyName
    outcome: Literal["used", "nothing", "skipped", "timeout", "failed", "nonsense"]
    queries: list[str]
    spent: SpentView


class ExpansionView(Struct):
    """What was added to a question before it was searched for.

    `filters` were taken from the question; where no document passed them they were dropped again.
    """

    strategies: list[StrategyView]
    filters: dict[str, Any]
    filters_dropped: bool
    seconds: float


class SearchView(Struct, omit_defaults=True):
    """What was found, best first; a plain search has no `expansion`.

    Hits were `reranked` where that was done in time; `probability` is that of the likeliest hit to
    be relevant, where something says so.
    """

    query: str
    hits: list[HitView]
    timings_ms: dict[str, float]
    expansion: ExpansionView | None = None
    reranked: bool = False
    probability: float | None = None


class PassageView(Struct):
    """A passage that an answer is made from; `near_duplicates` are left out for it."""

    document_id: UUID
    uri: str
    title: str
    start: int
    end: int
    page: int | None
    score: float
    near_duplicates: list[UUID]


class CitationView(Struct):
    """A span of a document that backs `[answer_start, answer_end)` of the answer."""

    document_id: UUID
    uri: str
    title: str
    start: int
    end: int
    page: int | None
    quote: str
    answer_start: int
    answer_end: int


class AnswerView(Struct, omit_defaults=True):
    """A finished and stored answer; without `expansion` where its search was a plain one."""

    answer: str
    mode: AnswerMode
    found: bool
    citations: list[CitationView]
    timings_ms: dict[str, float]
    chat_id: UUID
    message_id: UUID
    expansion: ExpansionView | None = None


class ChatView(Struct):
    """A conversation without its turns."""

    id: UUID
    title: str
    collection: str
    messages: int
    created_at: datetime
    updated_at: datetime


class ChatPage(Struct):
    """Some conversations, the last used first."""

    items: list[ChatView]
    total: int


class RatingView(Struct):
    """What a person thinks of an answer."""

    value: RatingValue
    note: str
    rated_at: datetime


class TurnView(Struct):
    """One message; `mode`, `found`, `citations` and `rating` are of answers only."""

    id: UUID
    role: Literal["user", "assistant"]
    text: str
    mode: AnswerMode | None
    found: bool | None
    citations: list[CitationView]
    created_at: datetime
    rating: RatingView | None


class ChatDetail(ChatView):
    """A conversation with its turns, oldest first."""

    turns: list[TurnView]


class RunView(Struct):
    """A run without what happened in it.

    `executing`: whether a server works on it now; `events`: how many its log has.
    """

    id: UUID
    task: str
    strategy: str
    status: RunStatus
    executing: bool
    events: int
    parent: UUID | None
    created_at: datetime
    updated_at: datetime


class RunPage(Struct):
    """Some runs, the newest first."""

    items: list[RunView]
    total: int


class WaitingView(Struct):
    """A call that a person is to decide on, why, and what can be said."""

    call: PlannedCall
    effect: str
    reason: Literal["approval", "outcome_unknown"]
    why: list[str]
    decisions: list[str]


class RunDetail(RunView):
    """A run and what came of it so far; `problems` says which tools are missing and why."""

    model: str
    budget: Budget
    spent: Spent
    tools: list[str]
    problems: list[str]
    waiting: list[WaitingView]
    answer: RunAnswer | None
    error: dict[str, Any] | None


class RecordView(Struct):
    """An event of a run; its `type` tells events apart."""

    seq: int
    at: datetime
    event: dict[str, Any]


class RunLogPage(Struct):
    """Some events of a run, in their order."""

    items: list[RecordView]


class MemoryView(Struct):
    """A fact about the user; `source` says who said so, `expires_at` until when it holds."""

    id: UUID
    text: str
    source: str
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime


class MemoryPage(Struct):
    """Some facts, the last said first."""

    items: list[MemoryView]
    total: int


class Health(Struct):
    """Whether the server lives, or can answer."""

    status: str


ModelState = Literal["idle", "loading", "ready", "failed", "closed"]


class DecoderView(Struct):
    """The decoder that writes answers; what it says of itself is null until it is loaded."""

    name: str
    state: ModelState
    progress: float
    failure: str | None
    architecture: str | None
    dtype: str | None
    weights: str
    device: str | None
    context: int | None
    weight_bytes: int | None
    kv_bytes: int | None


class ReaderView(Struct):
    """The small model that comes with Rostra, where it runs agents or answers.

    It loads when it is first needed; `failure` says why it could not, and `hint` what to do.
    """

    name: str
    answers: bool
    state: ModelState
    failure: str | None
    hint: str | None


class ScorerView(Struct):
    """The model that picks what is quoted, where it is to.

    `failure` says why similarity picks instead, and `hint` what to do.
    """

    failure: str | None
    hint: str | None


class StatusView(Struct):
    """What this server is; the model's facts are null when it cannot be loaded.

    `generator` writes answers and `agents` runs agents, each the name of a model or null.
    """

    version: str
    mode: Literal["quote", "generate"]
    embedding_model: str
    dimensions: int | None
    device: str
    generator: str | None
    agents: str | None
    reader: ReaderView | None
    scorer: ScorerView | None
    decoder: DecoderView | None
    reranker: str | None
    collections: int


def view(shape: type[Struct], value: Any, **more: Any) -> Any:
    """A dataclass as one of the shapes above, by attribute name; `more` fills in what it lacks."""
    fields = {
        name: getattr(value, name) for name in shape.__struct_fields__ if hasattr(value, name)
    }
    return msgspec.convert(fields | more, shape, from_attributes=True)
