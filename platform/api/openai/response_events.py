"""A response while it is made: its items, and the events that tell of them.

What always holds: every event has the next number; an item that was begun is ended before the next
begins; the last event carries the response as it would have come without a stream.
"""

import time
from collections.abc import Iterator
from typing import Any, Literal
from uuid import uuid4

from msgspec import UNSET, Struct, UnsetType

from rostra.api.openai.errors import ErrorBody
from rostra.api.openai.generation import ChatStep, UsageCount
from rostra.api.openai.logprobs import TokenLogprob
from rostra.api.sse import json_line
from rostra.serving import ContentDelta, ParsedDelta, ReasoningDelta, ToolCallDelta

Status = Literal["in_progress", "completed", "incomplete", "failed"]
Event = dict[str, Any]


class TextContent(Struct):
    """The text of a message."""

    text: str = ""
    logprobs: list[TokenLogprob] = []
    annotations: list[Any] = []
    type: Literal["output_text"] = "output_text"


class ReasoningContent(Struct):
    """What was thought."""

    text: str = ""
    type: Literal["reasoning_text"] = "reasoning_text"


class MessageItem(Struct, kw_only=True):
    """What the model says."""

    id: str
    status: Status
    content: list[TextContent]
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"


class ReasoningItem(Struct, kw_only=True):
    """What the model thinks before."""

    id: str
    status: Status
    content: list[ReasoningContent]
    summary: list[Any] = []
    type: Literal["reasoning"] = "reasoning"


class CallItem(Struct, kw_only=True):
    """A call of a tool; the arguments are JSON text."""

    id: str
    status: Status
    call_id: str
    name: str
    arguments: str = ""
    type: Literal["function_call"] = "function_call"


Item = MessageItem | ReasoningItem | CallItem


class InputDetails(Struct):
    """Of the input, what the prefix cache had; nothing is billed for writing to it."""

    cached_tokens: int
    cache_write_tokens: int = 0


class OutputDetails(Struct):
    """Of the output, what was spent on reasoning."""

    reasoning_tokens: int


class ResponseUsage(Struct):
    """Token counts."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class Incomplete(Struct):
    """Why a response ends early."""

    reason: Literal["max_output_tokens"] = "max_output_tokens"


class ResponseView(Struct, kw_only=True):
    """A response."""

    id: str
    created_at: int
    model: str
    status: Status = "in_progress"
    error: None = None
    incomplete_details: Incomplete | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    metadata: dict[str, str] = {}
    object: Literal["response"] = "response"
    output: list[Item] = []
    parallel_tool_calls: bool = True
    previous_response_id: str | None = None
    temperature: float | None = 1.0
    text: dict[str, Any] = {}
    tool_choice: Any = "auto"
    tools: list[dict[str, Any]] = []
    top_p: float | None = 1.0
    truncation: Literal["disabled"] = "disabled"
    background: Literal[False] = False
    store: bool = True
    completed_at: int | None = None
    user: str | UnsetType = UNSET
    usage: ResponseUsage | UnsetType = UNSET
    schema_errors: list[str] | UnsetType = UNSET


class ResponseWriter:
    """Builds a response out of steps and tells of it."""

    def __init__(self, response: ResponseView) -> None:
        self.response = response
        self._number = -1
        self._count = UsageCount()
        self._open: Item | None = None

    @property
    def text(self) -> str:
        """What the messages say."""
        return "".join(
            part.text
            for item in self.response.output
            if isinstance(item, MessageItem)
            for part in item.content
        )

    def begin(self) -> Iterator[Event]:
        """The first events."""
        for name in ("response.created", "response.in_progress"):
            yield self._event(name, response=self.response)

    def step(self, step: ChatStep, logprobs: list[TokenLogprob]) -> Iterator[Event]:
        """What a step adds; log probabilities go with its text."""
        self._count.add(step.output.usage)
        self._count.reasoning_tokens += step.reasoning_tokens
        for delta in step.deltas:
            with_text = logprobs if isinstance(delta, ContentDelta) else []
            yield from self._add(delta, with_text)
            if with_text:
                logprobs = []
        if logprobs and isinstance(self._open, MessageItem):
            yield from self._add(ContentDelta(""), logprobs)

    def end(self, *, cut_off: bool, schema_errors: list[str]) -> Iterator[Event]:
        """The last events.

        Args:
            cut_off: the token limit was reached.
            schema_errors: how the answer differs from a schema that is not strict.
        """
        response = self.response
        if not response.output:
            yield from self._begin_item(MessageItem(id=_id("msg"), status=OPEN, content=[]))
        yield from self._end_item("incomplete" if cut_off else "completed")
        response.status = "incomplete" if cut_off else "completed"
        response.incomplete_details = Incomplete() if cut_off else None
        response.completed_at = None if cut_off else int(time.time())
        if schema_errors:
            response.schema_errors = schema_errors
        count = self._count
        response.usage = ResponseUsage(
            count.prompt_tokens,
            InputDetails(count.cached_tokens),
            count.completion_tokens,
            OutputDetails(count.reasoning_tokens),
            count.total_tokens,
        )
        yield self._event(f"response.{response.status}", response=response)

    def error(self, body: ErrorBody) -> Event:
        """The event that ends a stream which failed."""
        return self._event(
            "error",
            code=body.error.code,
            message=body.error.message,
            param=body.error.param,
        )

    def _event(self, type_: str, **fields: Any) -> Event:
        self._number += 1
        return {"type": type_, "sequence_number": self._number} | fields

    @property
    def _index(self) -> int:
        return len(self.response.output) - 1

    def _add(self, delta: ParsedDelta, logprobs: list[TokenLogprob]) -> Iterator[Event]:
        match delta:
            case ContentDelta(text):
                if not isinstance(self._open, MessageItem):
                    item = MessageItem(id=_id("msg"), status=OPEN, content=[])
                    yield from self._begin_item(item)
                content = self._message().content[0]
                content.text += text
                content.logprobs += logprobs
                yield self._part_event("output_text.delta", delta=text, logprobs=logprobs)
            case ReasoningDelta(text):
                if not isinstance(self._open, ReasoningItem):
                    thought = ReasoningItem(id=_id("rs"), status=OPEN, content=[])
                    yield from self._begin_item(thought)
                self._reasoning().content[0].text += text
                yield self._part_event("reasoning_text.delta", delta=text)
            case ToolCallDelta(_, arguments, id_, name):
                if id_ is not None:
                    call = CallItem(id=_id("fc"), status=OPEN, call_id=id_, name=name or "")
                    yield from self._begin_item(call)
                if isinstance(self._open, CallItem):
                    self._open.arguments += arguments
                    yield self._item_event("function_call_arguments.delta", delta=arguments)

    def _begin_item(self, item: Item) -> Iterator[Event]:
        yield from self._end_item("completed")
        self._open = item
        self.response.output.append(item)
        yield self._event("response.output_item.added", output_index=self._index, item=item)
        match item:
            case MessageItem():
                item.content = [TextContent(logprobs=[])]
                yield self._part_event("content_part.added", part=item.content[0])
            case ReasoningItem():
                item.content = [ReasoningContent()]
                yield self._part_event("content_part.added", part=item.content[0])

    def _end_item(self, status: Status) -> Iterator[Event]:
        item = self._open
        if item is None:
            return
        match item:
            case MessageItem():
                part = item.content[0]
                yield self._part_event("output_text.done", text=part.text, logprobs=part.logprobs)
                yield self._part_event("content_part.done", part=part)
            case ReasoningItem():
                thought = item.content[0]
                yield self._part_event("reasoning_text.done", text=thought.text)
                yield self._part_event("content_part.done", part=thought)
            case CallItem():
                yield self._item_event(
                    "function_call_arguments.done", name=item.name, arguments=item.arguments
                )
        item.status = status
        self._open = None
        yield self._event("response.output_item.done", output_index=self._index, item=item)

    def _item_event(self, kind: str, **fields: Any) -> Event:
        item = self.response.output[-1]
        return self._event(f"response.{kind}", item_id=item.id, output_index=self._index, **fields)

    def _part_event(self, kind: str, **fields: Any) -> Event:
        return self._item_event(kind, content_index=0, **fields)

    def _message(self) -> MessageItem:
        if not isinstance(self._open, MessageItem):
            raise RuntimeError("no message is open")
        return self._open

    def _reasoning(self) -> ReasoningItem:
        if not isinstance(self._open, ReasoningItem):
            raise RuntimeError("no reasoning is open")
        return self._open


OPEN: Status = "in_progress"


def event_bytes(event: Event) -> bytes:
    """An event as it is sent."""
    return b"event: %s\ndata: %s\n\n" % (event["type"].encode(), json_line(event))


def _id(prefix: str) -> str:
    return f"{prefix}_{uuid4().hex}"
