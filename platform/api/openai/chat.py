"""Chat completions: a conversation is continued, at once or as a stream of chunks.

What always holds: each choice's first chunk names the role and its last one the reason it ended;
the usage comes last, when it was asked for; `finish_reason` is `tool_calls` exactly when the
message calls a tool and was not cut off.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from uuid import uuid4

from litestar import Request, Response, Router, post
from litestar.di import NamedDependency
from msgspec import UNSET, Meta, Struct, UnsetType

from rostra.api.openai.body import MAX_BODY_BYTES, read_body
from rostra.api.openai.constraints import constraint_of
from rostra.api.openai.fields import (
    DEFAULT_MODEL,
    ModelName,
    ResponseFormat,
    SamplingFields,
    StreamOptions,
    StructuredOutputs,
    checked_n,
    refuse,
)
from rostra.api.openai.generation import (
    INTERACTIVE,
    Caller,
    ChatRun,
    ChatStep,
    UsageCount,
    UsageView,
    chat_steps,
    prepare_chat,
    usage_view,
)
from rostra.api.openai.logprobs import ChoiceLogprobs, TokenLogprob, token_logprobs
from rostra.api.openai.messages import Messages, for_template
from rostra.api.openai.streaming import (
    DONE,
    data_frame,
    json_response,
    stream_response,
    while_connected,
)
from rostra.api.openai.surface import Surface
from rostra.api.openai.template import TemplateKwargs, template_kwargs
from rostra.api.openai.tools import FunctionTool, ToolChoice, toolset
from rostra.serving import ContentDelta, InvalidParameter, ReasoningDelta, ToolCallDelta

FinishReason = Literal["stop", "length", "tool_calls"]


class ChatBody(SamplingFields, kw_only=True):
    """A conversation to be continued."""

    messages: Messages
    model: ModelName = DEFAULT_MODEL
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    reasoning_effort: str | None = None
    # Beyond OpenAI, as vLLM has them.
    structured_outputs: StructuredOutputs | None = None
    chat_template_kwargs: TemplateKwargs | None = None
    return_token_ids: bool | None = None
    # What tells OpenAI who asks and how to bill: taken, and of no effect.
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    service_tier: str | None = None
    modalities: Annotated[list[str], Meta(max_length=8)] | None = None


class FunctionCall(Struct):
    """The function called; the arguments are JSON text."""

    name: str
    arguments: str


class ToolCallView(Struct):
    """A call that the model makes."""

    id: str
    function: FunctionCall
    type: Literal["function"] = "function"


class MessageView(Struct):
    """What the model says."""

    content: str | None
    role: Literal["assistant"] = "assistant"
    refusal: None = None
    tool_calls: list[ToolCallView] | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET


class Choice(Struct):
    """One of the `n` messages."""

    index: int
    message: MessageView
    finish_reason: FinishReason
    logprobs: ChoiceLogprobs | None = None
    stop_reason: str | int | None = None
    token_ids: list[int] | UnsetType = UNSET
    schema_errors: list[str] | UnsetType = UNSET


class ChatCompletion(Struct, kw_only=True):
    """An answer as a whole."""

    id: str
    created: int
    model: str
    choices: list[Choice]
    usage: UsageView
    object: Literal["chat.completion"] = "chat.completion"
    prompt_token_ids: list[int] | UnsetType = UNSET


class FunctionChunk(Struct):
    """The name, or more of the arguments, of a function called."""

    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET


class ToolCallChunk(Struct):
    """A call begun, or more of one."""

    index: int
    function: FunctionChunk
    id: str | UnsetType = UNSET
    type: Literal["function"] | UnsetType = UNSET


class DeltaView(Struct):
    """What a chunk adds to a message."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[ToolCallChunk] | UnsetType = UNSET


class ChunkChoice(Struct):
    """What a chunk says of one choice."""

    index: int
    delta: DeltaView
    finish_reason: FinishReason | None = None
    logprobs: ChoiceLogprobs | UnsetType = UNSET
    stop_reason: str | int | UnsetType = UNSET
    token_ids: list[int] | UnsetType = UNSET
    schema_errors: list[str] | UnsetType = UNSET


class ChatChunk(Struct, kw_only=True):
    """A piece of an answer."""

    id: str
    created: int
    model: str
    choices: list[ChunkChoice]
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    usage: UsageView | UnsetType | None = UNSET
    prompt_token_ids: list[int] | UnsetType = UNSET


@dataclass(slots=True)
class Told:
    """What was gathered of one choice."""

    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[ToolCallView] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    token_ids: list[int] = field(default_factory=list)

    def take(self, run: ChatRun, step: ChatStep) -> None:
        """Adds what a step shows."""
        self.logprobs += token_logprobs(run.model.tokenizer, step.output.logprobs)
        self.token_ids += step.output.token_ids
        for delta in step.deltas:
            match delta:
                case ContentDelta(text):
                    self.content.append(text)
                case ReasoningDelta(text):
                    self.reasoning.append(text)
                case ToolCallDelta(index, arguments, id_, name):
                    if index == len(self.calls):
                        self.calls.append(ToolCallView(id_ or "", FunctionCall(name or "", "")))
                    self.calls[index].function.arguments += arguments

    def message(self) -> MessageView:
        """The message as a whole."""
        content = "".join(self.content)
        return MessageView(
            content=content if content or not self.calls else None,
            tool_calls=self.calls or UNSET,
            reasoning_content="".join(self.reasoning) or UNSET,
        )


@post("/completions", status_code=200, request_max_body_size=MAX_BODY_BYTES)
async def create(
    request: Request[Any, Any, Any], surface: NamedDependency[Surface]
) -> Response[Any]:
    """Continues a conversation."""
    body = await read_body(request, ChatBody)
    if not body.stream:
        work = complete_chat(surface, body, INTERACTIVE)
        return json_response(await while_connected(request, work))
    run = await while_connected(request, _prepare(surface, body))
    return await stream_response(request, _frames(run, body), surface.background)


async def complete_chat(surface: Surface, body: ChatBody, caller: Caller) -> ChatCompletion:
    """An answer as a whole; `stream` is not looked at."""
    run = await _prepare(surface, body)
    told = [Told() for _ in range(run.n)]
    ends: dict[int, ChatStep] = {}
    count = UsageCount()
    async with aclosing(chat_steps(run, caller)) as steps:
        async for step in steps:
            told[step.index].take(run, step)
            _count(count, step)
            if step.output.finish_reason is not None:
                ends[step.index] = step
    choices = []
    for index, gathered in enumerate(told):
        message = gathered.message()
        choice = Choice(index, message, finish_reason(ends.get(index)))
        if body.logprobs:
            choice.logprobs = ChoiceLogprobs(gathered.logprobs)
        if (end := ends.get(index)) is not None:
            choice.stop_reason = end.output.stop
        if body.return_token_ids:
            choice.token_ids = gathered.token_ids
        if errors := await run.schema_errors(message.content or ""):
            choice.schema_errors = errors
        choices.append(choice)
    whole = ChatCompletion(
        id=_new_id(),
        created=int(time.time()),
        model=run.model.name,
        choices=choices,
        usage=usage_view(count),
    )
    if body.return_token_ids:
        whole.prompt_token_ids = run.prompt
    return whole


def finish_reason(end: ChatStep | None) -> FinishReason:
    """Why a choice ended, in OpenAI's words."""
    if end is not None and end.cut_off:
        return "length"
    return "tool_calls" if end is not None and end.calls else "stop"


async def _prepare(surface: Surface, body: ChatBody) -> ChatRun:
    refuse("store", body.store, False, why="chat completions are not stored")
    refuse("service_tier", body.service_tier, "auto", "default", why="there is one tier")
    refuse("modalities", body.modalities, ["text"], why="only text is generated")
    if body.top_logprobs is not None and not body.logprobs:
        raise InvalidParameter("top_logprobs needs logprobs to be true", field="top_logprobs")
    if body.stream_options is not None and not body.stream:
        raise InvalidParameter("stream_options needs stream to be true", field="stream_options")
    n = checked_n(body.n)
    tools = toolset(
        None if body.tools is None else [tool.function for tool in body.tools],
        body.tool_choice,
        body.parallel_tool_calls,
    )
    held = constraint_of(body.response_format, body.structured_outputs, tools)
    model = await surface.model(body.model)
    return await prepare_chat(
        model,
        for_template(body.messages, model.tool_format),
        tools,
        held,
        body,
        max_tokens=_either(body.max_tokens, body.max_completion_tokens),
        limits=_limits(body),
        n=n,
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        template_kwargs=template_kwargs(body.chat_template_kwargs, body.reasoning_effort),
    )


def _either(older: int | None, newer: int | None) -> int | None:
    if older is not None and newer is not None and older != newer:
        raise InvalidParameter(
            "max_tokens and max_completion_tokens differ", field="max_completion_tokens"
        )
    return newer if newer is not None else older


def _limits(body: ChatBody) -> dict[str, str]:
    """How the request names what the engine limits."""
    names = {"logprobs": "top_logprobs"}
    if body.max_completion_tokens is not None:
        names["max_tokens"] = "max_completion_tokens"
    return names


async def _frames(run: ChatRun, body: ChatBody) -> AsyncGenerator[bytes, None]:
    writer = _ChunkWriter(run, body)
    async with aclosing(chat_steps(run, INTERACTIVE)) as steps:
        async for step in steps:
            for chunk in await writer.chunks(step):
                yield data_frame(chunk)
    if body.stream_options is not None and body.stream_options.include_usage:
        yield data_frame(writer.last())
    yield DONE


class _ChunkWriter:
    """Steps as chunks; what has no delta to go with waits for the next."""

    def __init__(self, run: ChatRun, body: ChatBody) -> None:
        self._run = run
        self._body = body
        self._id = _new_id()
        self._created = int(time.time())
        self._count = UsageCount()
        self._begun: set[int] = set()
        self._waiting = [Told() for _ in range(run.n)]
        self._content: list[list[str]] = [[] for _ in range(run.n)]

    async def chunks(self, step: ChatStep) -> list[ChatChunk]:
        """What to send for one step."""
        _count(self._count, step)
        index, output = step.index, step.output
        waiting = self._waiting[index]
        waiting.logprobs += token_logprobs(self._run.model.tokenizer, output.logprobs)
        waiting.token_ids += output.token_ids
        chunks: list[ChatChunk] = []
        if index not in self._begun:
            chunk = self._chunk(ChunkChoice(index, DeltaView(role="assistant", content="")))
            if self._body.return_token_ids and not self._begun:
                chunk.prompt_token_ids = self._run.prompt
            self._begun.add(index)
            chunks.append(chunk)
        for delta in step.deltas:
            if self._run.afterwards is not None and isinstance(delta, ContentDelta):
                self._content[index].append(delta.text)
            chunks.append(self._chunk(self._with_tokens(ChunkChoice(index, _shown(delta)))))
        if output.finish_reason is not None:
            last = self._with_tokens(ChunkChoice(index, DeltaView(), finish_reason(step)))
            if output.stop is not None:
                last.stop_reason = output.stop
            if errors := await self._run.schema_errors("".join(self._content[index])):
                last.schema_errors = errors
            chunks.append(self._chunk(last))
        return chunks

    def last(self) -> ChatChunk:
        """The usage."""
        chunk = self._chunk()
        chunk.usage = usage_view(self._count)
        return chunk

    def _chunk(self, *choices: ChunkChoice) -> ChatChunk:
        chunk = ChatChunk(
            id=self._id,
            created=self._created,
            model=self._run.model.name,
            choices=list(choices),
        )
        if self._body.stream_options is not None and self._body.stream_options.include_usage:
            chunk.usage = None
        return chunk

    def _with_tokens(self, choice: ChunkChoice) -> ChunkChoice:
        waiting = self._waiting[choice.index]
        if self._body.logprobs and waiting.logprobs:
            choice.logprobs = ChoiceLogprobs(waiting.logprobs)
        if self._body.return_token_ids and waiting.token_ids:
            choice.token_ids = waiting.token_ids
        waiting.logprobs, waiting.token_ids = [], []
        return choice


def _shown(delta: ContentDelta | ReasoningDelta | ToolCallDelta) -> DeltaView:
    match delta:
        case ContentDelta(text):
            return DeltaView(content=text)
        case ReasoningDelta(text):
            return DeltaView(reasoning_content=text)
        case ToolCallDelta(index, arguments, id_, name):
            call = ToolCallChunk(index, FunctionChunk(arguments=arguments))
            if id_ is not None and name is not None:
                call.id, call.type, call.function.name = id_, "function", name
            return DeltaView(tool_calls=[call])


def _count(count: UsageCount, step: ChatStep) -> None:
    count.add(step.output.usage)
    count.reasoning_tokens += step.reasoning_tokens


def _new_id() -> str:
    return f"chatcmpl-{uuid4().hex}"


router = Router("/chat", route_handlers=[create])
