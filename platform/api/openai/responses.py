"""Responses: OpenAI's newer surface over the same conversations, with state kept here if wanted.

What always holds: a response is kept only once it has ended, and only in memory; `instructions`
hold for their own response and are not carried on to the next.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import uuid4

import msgspec
from litestar import Request, Response, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import UNSET, Meta

from rostra.api.openai.body import MAX_BODY_BYTES, read_body
from rostra.api.openai.constraints import Held, constraint_of, schema_constraint
from rostra.api.openai.errors import UnsupportedParameter
from rostra.api.openai.fields import (
    DEFAULT_MODEL,
    Body,
    JsonObjectFormat,
    ModelName,
    NamedSchema,
    SamplingFields,
    StreamOptions,
    TextFormat,
    ToolChoiceMode,
    refuse,
)
from rostra.api.openai.generation import (
    INTERACTIVE,
    Caller,
    ChatRun,
    ChatStep,
    chat_steps,
    prepare_chat,
)
from rostra.api.openai.logprobs import token_logprobs
from rostra.api.openai.messages import SystemMessage, TemplateMessage, for_template
from rostra.api.openai.response_events import (
    CallItem,
    Event,
    MessageItem,
    ReasoningItem,
    ResponseView,
    ResponseWriter,
    event_bytes,
)
from rostra.api.openai.response_input import input_messages
from rostra.api.openai.response_store import KeptResponse
from rostra.api.openai.streaming import json_response, stream_response, while_connected
from rostra.api.openai.surface import Surface
from rostra.api.openai.template import TemplateKwargs, template_kwargs
from rostra.api.openai.tools import (
    FunctionDefinition,
    NamedChoice,
    NamedFunction,
    ToolName,
    toolset,
)
from rostra.core import AnyJson
from rostra.serving import InvalidParameter

_LOGPROBS = "message.output_text.logprobs"


class SchemaFormat(NamedSchema, tag_field="type", tag="json_schema"):
    """JSON of a schema."""


class TextConfig(Body):
    """The form of the answer."""

    format: TextFormat | JsonObjectFormat | SchemaFormat | None = None
    verbosity: str | None = None


class ResponseTool(Body, tag_field="type", tag="function"):
    """A function; functions are the only kind of tool."""

    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class NamedTool(Body, tag_field="type", tag="function"):
    """The tool that must be called."""

    name: str


class ReasoningConfig(Body):
    """How much to think, as far as the model's template knows of it."""

    effort: str | None = None
    summary: str | None = None


class ResponseBody(SamplingFields, kw_only=True):
    """What to respond to."""

    input: str | list[dict[str, Any]]
    model: ModelName = DEFAULT_MODEL
    instructions: str | None = None
    previous_response_id: str | None = None
    max_output_tokens: int | None = None
    tools: list[ResponseTool] | None = None
    tool_choice: ToolChoiceMode | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    text: TextConfig | None = None
    reasoning: ReasoningConfig | None = None
    include: Annotated[list[str], Meta(max_length=16)] | None = None
    top_logprobs: int | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    truncation: Literal["auto", "disabled"] | None = None
    background: bool | None = None
    metadata: dict[str, str] | None = None
    chat_template_kwargs: TemplateKwargs | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None


@dataclass(frozen=True, slots=True)
class ResponseRun:
    """A response ready to be made.

    Attributes:
        messages: the conversation up to it, instructions left out.
    """

    body: ResponseBody
    chat: ChatRun
    writer: ResponseWriter
    messages: list[TemplateMessage]


@post("/", status_code=200, request_max_body_size=MAX_BODY_BYTES)
async def create(
    request: Request[Any, Any, Any], surface: NamedDependency[Surface]
) -> Response[Any]:
    """Makes a response."""
    body = await read_body(request, ResponseBody)
    if not body.stream:
        work = complete_response(surface, body, INTERACTIVE)
        return json_response(await while_connected(request, work))
    run = await while_connected(request, _prepare(surface, body))
    return await stream_response(
        request,
        _frames(surface, run),
        surface.background,
        lambda error: event_bytes(run.writer.error(error)),
    )


@get("/{response_id:str}")
async def show(response_id: FromPath[str], surface: NamedDependency[Surface]) -> Response[bytes]:
    """A response that is kept."""
    return Response(surface.responses.get(response_id).body, media_type="application/json")


@delete("/{response_id:str}", status_code=200)
async def remove(response_id: FromPath[str], surface: NamedDependency[Surface]) -> Response[bytes]:
    """Forgets a response."""
    surface.responses.delete(response_id)
    return json_response({"id": response_id, "object": "response", "deleted": True})


async def complete_response(surface: Surface, body: ResponseBody, caller: Caller) -> ResponseView:
    """A response as a whole; `stream` is not looked at."""
    run = await _prepare(surface, body)
    async with aclosing(_events(surface, run, caller)) as events:
        async for _ in events:
            pass
    return run.writer.response


async def _prepare(surface: Surface, body: ResponseBody) -> ResponseRun:
    _refuse_unsupported(body)
    tools = toolset(
        None if body.tools is None else [_definition(tool) for tool in body.tools],
        _choice(body.tool_choice),
        body.parallel_tool_calls,
        inside="",
    )
    held = _held(body.text)
    if held is not None and tools.functions:
        raise InvalidParameter(
            "text.format: cannot be combined with tools that may be called",
            hint="Set tool_choice to none, or leave one of them out.",
            field="text.format",
        )
    constraint_of(None, None, tools)
    before: list[TemplateMessage] = []
    if body.previous_response_id is not None:
        before = surface.responses.get(body.previous_response_id, "previous_response_id").messages
    asked = input_messages(body.input)
    model = await surface.model(body.model)
    messages = [*before, *for_template(asked, model.tool_format)]
    instructions = [SystemMessage(content=body.instructions)] if body.instructions else []
    chat = await prepare_chat(
        model,
        [*for_template(instructions, model.tool_format), *messages],
        tools,
        held,
        body,
        max_tokens=body.max_output_tokens,
        limits={"max_tokens": "max_output_tokens", "logprobs": "top_logprobs"},
        logprobs=_logprobs(body),
        template_kwargs=template_kwargs(
            body.chat_template_kwargs, body.reasoning.effort if body.reasoning else None
        ),
        param="input",
    )
    return ResponseRun(body, chat, ResponseWriter(_view(body, model.name)), messages)


def _refuse_unsupported(body: ResponseBody) -> None:
    refuse("background", body.background, False, why="responses are made while one waits")
    refuse("truncation", body.truncation, "disabled", why="input is never cut")
    refuse("service_tier", body.service_tier, "auto", "default", why="there is one tier")
    if body.text is not None:
        refuse("text.verbosity", body.text.verbosity, "medium", why="models differ in no such way")
    if body.reasoning is not None:
        refuse("reasoning.summary", body.reasoning.summary, why="reasoning is shown as it is")
    for item in body.include or ():
        if item != _LOGPROBS:
            raise UnsupportedParameter(f"include: {item[:100]!r} is not offered", field="include")
    if body.top_logprobs and not body.include:
        raise InvalidParameter(
            f"top_logprobs needs include to have {_LOGPROBS!r}", field="top_logprobs"
        )


def _logprobs(body: ResponseBody) -> int | None:
    return body.top_logprobs or 0 if body.include else None


def _held(config: TextConfig | None) -> Held | None:
    match config.format if config is not None else None:
        case SchemaFormat() as named:
            return schema_constraint(named, "text.format")
        case JsonObjectFormat():
            return Held(AnyJson(), "text.format")
        case _:
            return None


def _definition(tool: ResponseTool) -> FunctionDefinition:
    return FunctionDefinition(
        name=tool.name,
        description=tool.description,
        parameters=tool.parameters,
        strict=tool.strict,
    )


def _choice(given: ToolChoiceMode | NamedTool | None) -> ToolChoiceMode | NamedChoice | None:
    if isinstance(given, NamedTool):
        return NamedChoice(function=NamedFunction(name=given.name))
    return given


def _view(body: ResponseBody, model: str) -> ResponseView:
    config = body.text.format if body.text is not None else None
    return ResponseView(
        id=f"resp_{uuid4().hex}",
        created_at=int(time.time()),
        model=model,
        instructions=body.instructions,
        max_output_tokens=body.max_output_tokens,
        metadata=body.metadata or {},
        output=[],
        parallel_tool_calls=body.parallel_tool_calls is not False,
        previous_response_id=body.previous_response_id,
        temperature=1.0 if body.temperature is None else body.temperature,
        text={"format": _plain(config) if config is not None else {"type": "text"}},
        tool_choice="auto" if body.tool_choice is None else msgspec.to_builtins(body.tool_choice),
        tools=[_tool_view(tool) for tool in body.tools or ()],
        top_p=1.0 if body.top_p is None else body.top_p,
        store=body.store is not False,
        user=UNSET if body.user is None else body.user,
    )


def _plain(value: Any) -> dict[str, Any]:
    """A part of the request as it is told again; what was not given stays out."""
    built: dict[str, Any] = msgspec.to_builtins(value)
    return {name: inner for name, inner in built.items() if inner is not None}


def _tool_view(tool: ResponseTool) -> dict[str, Any]:
    # Its parameters and whether they are strict are always told, as null if need be.
    return {"parameters": tool.parameters, "strict": tool.strict} | _plain(tool)


async def _frames(surface: Surface, run: ResponseRun) -> AsyncGenerator[bytes, None]:
    async with aclosing(_events(surface, run, INTERACTIVE)) as events:
        async for event in events:
            yield event_bytes(event)


async def _events(
    surface: Surface, run: ResponseRun, caller: Caller
) -> AsyncGenerator[Event, None]:
    writer, last = run.writer, None
    async with aclosing(chat_steps(run.chat, caller)) as steps:
        async for step in steps:
            if last is None:  # what was refused has no events
                for event in writer.begin():
                    yield event
            found = token_logprobs(run.chat.model.tokenizer, step.output.logprobs)
            for event in writer.step(step, found):
                yield event
            last = _later(last, step)
    cut_off = last is not None and last.cut_off
    errors = await run.chat.schema_errors(writer.text)
    for event in writer.end(cut_off=cut_off, schema_errors=errors):
        yield event
    if run.body.store is not False:
        _keep(surface, run)


def _later(last: ChatStep | None, step: ChatStep) -> ChatStep:
    """The step that says how the response ended; the usage may come after it."""
    return last if last is not None and last.output.finish_reason is not None else step


def _keep(surface: Surface, run: ResponseRun) -> None:
    response = run.writer.response
    body = msgspec.json.encode(response)
    messages = [*run.messages, _said(response)]
    size = len(body) + len(msgspec.json.encode(messages))
    surface.responses.put(response.id, KeptResponse(body, messages, size))


def _said(response: ResponseView) -> TemplateMessage:
    """A response as the next template reads it."""
    said: TemplateMessage = {"role": "assistant", "content": ""}
    for item in response.output:
        match item:
            case MessageItem():
                said["content"] += "".join(part.text for part in item.content)
            case ReasoningItem():
                said["reasoning_content"] = "".join(part.text for part in item.content)
            case CallItem():
                function = {"name": item.name, "arguments": item.arguments}
                call = {"id": item.call_id, "type": "function", "function": function}
                said.setdefault("tool_calls", []).append(call)
    return said


router = Router("/responses", route_handlers=[create, show, remove])
