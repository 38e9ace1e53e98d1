"""A server with one of everything that the conformance suite asks servers for; for tests only.

What each tool, resource and prompt must be is written in the suite's scenarios, so the words here
are the suite's. It shows that the protocol library, set up as our servers set it up, passes: what
fails here is not the fault of `/mcp`.

Run as `python -m tests.conformance.everything_server`.
"""

import asyncio
import base64
import json
import socket
import struct
import zlib
from typing import Annotated, Any

import uvicorn
from mcp.server.mcpserver import Context, MCPServer, RequestStateSecurity
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import Prompt, UserMessage
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.shared.exceptions import MCPError
from mcp.types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    Completion,
    CompletionArgument,
    CompletionContext,
    ContentBlock,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    InputRequest,
    InputRequiredResult,
    JSONRPCMessage,
    ListRootsRequest,
    ListRootsResult,
    PromptReference,
    ResourceTemplateReference,
    SamplingMessage,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from pydantic import BaseModel, Field

Asked = str | InputRequiredResult


def png() -> bytes:
    """A picture of one red pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(b"\0\xff\0\0")
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")
    )


def wav() -> bytes:
    """A recording of one silent sample."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
    data = struct.pack("<4sIh", b"data", 2, 0)
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form) + len(data), b"WAVE") + form + data


PNG, WAV = (base64.b64encode(made).decode() for made in (png(), wav()))


def text(words: str) -> TextContent:
    return TextContent(type="text", text=words)


def image() -> ImageContent:
    return ImageContent(type="image", data=PNG, mime_type="image/png")


def resource(uri: str, words: str, kind: str = "text/plain") -> EmbeddedResource:
    contents = TextResourceContents(uri=uri, mime_type=kind, text=words)
    return EmbeddedResource(type="resource", resource=contents)


# --- Tools that answer ---
async def test_simple_text() -> str:
    """Gives one text."""
    return "This is a simple text response for testing."


async def test_image_content() -> list[ContentBlock]:
    """Gives a picture."""
    return [image()]


async def test_audio_content() -> list[ContentBlock]:
    """Gives a recording."""
    return [AudioContent(type="audio", data=WAV, mime_type="audio/wav")]


async def test_embedded_resource() -> list[ContentBlock]:
    """Gives a resource."""
    return [resource("test://embedded-resource", "This is an embedded resource content.")]


async def test_multiple_content_types() -> list[ContentBlock]:
    """Gives three kinds at once."""
    data = json.dumps({"test": "data", "value": 123})
    mixed = resource("test://mixed-content-resource", data, "application/json")
    return [text("Multiple content types test:"), image(), mixed]


async def test_error_handling() -> str:
    """Fails."""
    raise ToolError("This tool intentionally returns an error for testing")


async def json_schema_2020_12_tool() -> str:
    """Tool with JSON Schema 2020-12 features"""
    return "done"


JSON_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        **{name: {"type": "string"} for name in ("name", "phone", "email")},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


async def test_x_mcp_header(
    region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})] = "",
) -> str:
    """Takes an argument that is sent as a header too."""
    return region


# --- Tools that tell what goes on ---
async def test_tool_with_logging(ctx: Context) -> str:
    """Logs three times."""
    for words in ("started", "", "completed"):
        told = f"Tool execution {words}" if words else "Tool processing data"
        await ctx.info(told)
        await asyncio.sleep(0.05)
    return "logged"


async def test_logging_tool(ctx: Context) -> str:
    """Logs once."""
    await ctx.info("logged")
    return "logged"


async def test_tool_with_progress(ctx: Context) -> str:
    """Reports progress three times."""
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100)
        await asyncio.sleep(0.05)
    return "done"


async def test_reconnection(ctx: Context) -> str:
    """Closes its stream before it answers."""
    await ctx.close_sse_stream()
    await asyncio.sleep(0.2)
    return "Reconnection test completed"


# --- Tools that ask the client, as until 2025-11-25 ---
async def test_sampling(prompt: str, ctx: Context) -> str:
    """Asks the client's model."""
    answer = await ctx.session.create_message(
        [SamplingMessage(role="user", content=text(prompt))],
        max_tokens=100,
        related_request_id=ctx.request_id,
    )
    said = answer.content.text if isinstance(answer.content, TextContent) else ""
    return f"LLM response: {said}"


class Person(BaseModel):
    """What `test_elicitation` asks for."""

    username: str = Field(description="User's response")
    email: str = Field(description="User's email address")


class Defaults(BaseModel):
    """One value of each kind, with a default (SEP-1034)."""

    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: str = Field("active", json_schema_extra={"enum": ["active", "inactive", "pending"]})
    verified: bool = True


def choices(*words: str) -> list[dict[str, str]]:
    return [{"const": word, "title": word.title()} for word in words]


OPTIONS = ["option1", "option2", "option3"]


class Enums(BaseModel):
    """The five ways to write an enumeration (SEP-1330)."""

    untitledSingle: str = Field(json_schema_extra={"enum": [*OPTIONS]})
    titledSingle: str = Field(json_schema_extra={"oneOf": [*choices("value1", "value2")]})
    legacyEnum: str = Field(
        json_schema_extra={"enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]}
    )
    untitledMulti: list[str] = Field(
        json_schema_extra={"items": {"type": "string", "enum": [*OPTIONS]}}
    )
    titledMulti: list[str] = Field(
        json_schema_extra={"items": {"anyOf": [*choices("value1", "value2")]}}
    )


async def elicited(ctx: Context, message: str, schema: type[BaseModel]) -> str:
    answer = await ctx.elicit(message, schema)
    content = answer.data.model_dump() if answer.action == "accept" else {}
    return f"action={answer.action}, content={json.dumps(content)}"


async def test_elicitation(message: str, ctx: Context) -> str:
    """Asks the client's user."""
    return "User response: " + await elicited(ctx, message, Person)


async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
    """Asks with defaults."""
    return "Elicitation completed: " + await elicited(ctx, "Who are you?", Defaults)


async def test_elicitation_sep1330_enums(ctx: Context) -> str:
    """Asks with enumerations."""
    return "Elicitation completed: " + await elicited(ctx, "Choose.", Enums)


# --- Tools that ask by their result, as from 2026-07-28 on (SEP-2322) ---
def question(message: str, field: str, kind: str = "string") -> ElicitRequest:
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def prompted(prompt: str, tokens: int) -> CreateMessageRequest:
    messages = [SamplingMessage(role="user", content=text(prompt))]
    params = CreateMessageRequestParams(messages=messages, max_tokens=tokens)
    return CreateMessageRequest(params=params)


def given(ctx: Context, name: str) -> Any:
    """The client's answer to a request; None where there is none that fits."""
    answer = (ctx.input_responses or {}).get(name)
    match answer:
        case ElicitResult(action="accept", content=dict(content)):
            return next(iter(content.values()), None)
        case CreateMessageResult(content=TextContent(text=said)):
            return said
        case ListRootsResult(roots=roots):
            return [str(root.uri) for root in roots]
    return None


def required(state: str | None = None, **requests: InputRequest) -> InputRequiredResult:
    return InputRequiredResult(input_requests=requests, request_state=state)


async def test_input_required_result_elicitation(ctx: Context) -> Asked:
    """Asks for a name."""
    name = given(ctx, "user_name")
    return f"Hello, {name}!" if name else required(user_name=question("What is your name?", "name"))


async def test_input_required_result_sampling(ctx: Context) -> Asked:
    """Asks the model."""
    said = given(ctx, "capital_question")
    return said or required(capital_question=prompted("What is the capital of France?", 100))


async def test_input_required_result_list_roots(ctx: Context) -> Asked:
    """Asks for roots."""
    roots = given(ctx, "client_roots")
    return required(client_roots=ListRootsRequest()) if roots is None else ", ".join(roots)


async def test_input_required_result_request_state(ctx: Context) -> Asked:
    """Keeps its state with the client."""
    if ctx.request_state == "asked" and given(ctx, "confirm") is not None:
        return "state-ok"
    return required("asked", confirm=question("Please confirm", "ok", "boolean"))


async def test_input_required_result_tampered_state(ctx: Context) -> Asked:
    """Keeps its state with the client, who must not change it."""
    return await test_input_required_result_request_state(ctx)


async def test_input_required_result_multiple_inputs(ctx: Context) -> Asked:
    """Asks for three things at once."""
    names = ("user_name", "greeting", "client_roots")
    answers = [given(ctx, name) for name in names]
    if all(answer is not None for answer in answers):
        return json.dumps(answers)
    return required(
        "asked",
        user_name=question("What is your name?", "name"),
        greeting=prompted("Generate a greeting", 50),
        client_roots=ListRootsRequest(),
    )


async def test_input_required_result_multi_round(ctx: Context) -> Asked:
    """Asks for one thing after the other."""
    name, color = given(ctx, "step1"), given(ctx, "step2")
    if ctx.request_state and color:
        return f"{json.loads(ctx.request_state)['name']} likes {color}"
    if name:
        state = json.dumps({"name": name})
        return required(state, step2=question("Step 2: What is your favorite color?", "color"))
    return required("{}", step1=question("Step 1: What is your name?", "name"))


async def test_input_required_result_capabilities(ctx: Context) -> Asked:
    """Asks for what the client can do."""
    can = ctx.client_capabilities
    requests: dict[str, InputRequest] = {}
    if can is not None and can.sampling is not None:
        requests["sample"] = prompted("Say hello", 50)
    if can is not None and can.elicitation is not None:
        requests["ask"] = question("What is your name?", "name")
    return required("asked", **requests)


async def test_streaming_elicitation(ctx: Context) -> Asked:
    """Asks, after it has reported progress."""
    await ctx.report_progress(1, 2)
    return await test_input_required_result_elicitation(ctx)


async def test_missing_capability(ctx: Context) -> str:
    """Needs a client that samples."""
    can = ctx.client_capabilities
    if can is None or can.sampling is None:
        raise MCPError(
            code=MISSING_REQUIRED_CLIENT_CAPABILITY,
            message="sampling is needed",
            data={"requiredCapabilities": {"sampling": {}}},
        )
    return "sampling is there"


TOOLS = [
    *(test_simple_text, test_image_content, test_audio_content, test_embedded_resource),
    *(test_multiple_content_types, test_error_handling, test_x_mcp_header),
    *(test_tool_with_logging, test_logging_tool, test_tool_with_progress, test_reconnection),
    *(test_sampling, test_elicitation, test_elicitation_sep1034_defaults),
    *(test_elicitation_sep1330_enums, test_input_required_result_elicitation),
    *(test_input_required_result_sampling, test_input_required_result_list_roots),
    *(test_input_required_result_request_state, test_input_required_result_tampered_state),
    *(test_input_required_result_multiple_inputs, test_input_required_result_multi_round),
    *(test_input_required_result_capabilities, test_streaming_elicitation),
    *(test_missing_capability, json_schema_2020_12_tool),
]


# --- Prompts ---
async def test_simple_prompt() -> list[UserMessage]:
    """One message."""
    return [UserMessage(text("This is a simple prompt for testing."))]


async def test_prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
    """A message made of arguments."""
    return [UserMessage(text(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"))]


async def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:
    """A message with a resource."""
    return [
        UserMessage(resource(resourceUri, "Embedded resource content for testing.")),
        UserMessage(text("Please process the embedded resource above.")),
    ]


async def test_prompt_with_image() -> list[UserMessage]:
    """A message with a picture."""
    return [UserMessage(image()), UserMessage(text("Please analyze the image above."))]


async def test_input_required_result_prompt(
    ctx: Context,
) -> list[UserMessage] | InputRequiredResult:
    """A prompt that asks first."""
    context = given(ctx, "user_context")
    if context is None:
        return required(user_context=question("What context should the prompt use?", "context"))
    return [UserMessage(text(f"In the context of {context}."))]


PROMPTS = [
    *(test_simple_prompt, test_prompt_with_arguments, test_prompt_with_embedded_resource),
    *(test_prompt_with_image, test_input_required_result_prompt),
]


# --- The rest ---
class Events(EventStore):
    """What was sent on each stream, for clients that come back for it."""

    def __init__(self) -> None:
        self._sent: list[tuple[str, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        self._sent.append((stream_id, message))
        return str(len(self._sent))

    async def replay_events_after(
        self, last_event_id: str, send_callback: EventCallback
    ) -> str | None:
        seen = int(last_event_id) if last_event_id.isdigit() else 0
        if not 0 < seen <= len(self._sent):
            return None
        stream, _ = self._sent[seen - 1]
        for number, (of, message) in enumerate(self._sent[seen:], seen + 1):
            if of == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


def build() -> MCPServer:
    """The server, on no transport yet."""
    server: MCPServer = MCPServer(
        "everything", version="0", request_state_security=RequestStateSecurity(keys=[bytes(32)])
    )
    for tool in TOOLS:
        server.add_tool(tool, structured_output=False)
    # The library makes schemas from type hints alone; this one is given.
    focal = server._tool_manager.get_tool("json_schema_2020_12_tool")
    if focal is None:
        raise RuntimeError("the library lost a tool")
    focal.parameters = JSON_SCHEMA
    for prompt in PROMPTS:
        server.add_prompt(Prompt.from_function(prompt))

    async def test_trigger_tool_change(ctx: Context) -> str:
        """Changes the list of tools."""
        await ctx.notify_tools_changed()
        return "changed"

    async def test_trigger_prompt_change(ctx: Context) -> str:
        """Changes the list of prompts."""
        await ctx.notify_prompts_changed()
        return "changed"

    server.add_tool(test_trigger_tool_change)
    server.add_tool(test_trigger_prompt_change)

    @server.resource("test://static-text", mime_type="text/plain")
    def static_text() -> str:
        """A text."""
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> bytes:
        """A picture."""
        return base64.b64decode(PNG)

    @server.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:
        """A text made of its address."""
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})

    @server.resource("test://watched-resource", mime_type="text/plain")
    def watched() -> str:
        """A text that can be subscribed to."""
        return "Watched."

    @server.completion()
    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion:
        found = [word for word in ("paris", "park", "party") if word.startswith(argument.value)]
        return Completion(values=found, total=len(found), has_more=False)

    async def agree(ctx: Any, params: Any) -> EmptyResult:
        return EmptyResult()

    low = server._lowlevel_server
    low.add_request_handler("logging/setLevel", SetLevelRequestParams, agree)
    low.add_request_handler("resources/subscribe", SubscribeRequestParams, agree)
    low.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, agree)
    return server


def main() -> None:
    """Serves on a free port, and says which on stdout."""
    app = build().streamable_http_app(event_store=Events(), retry_interval=100)
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app, http="h11", log_level="error")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
