"""Chat completions as OpenAI-compatible endpoints take and send them.

What always holds: a request says nothing that was not asked for; what an endpoint sends is taken
leniently in form (fields missing, null or new, half a character) and checked for type.

Source: OpenAI's API reference, "Create chat completion" and "Chat completion chunk".
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from rostra.core import (
    AnyJson,
    ChatMessage,
    Choice,
    Constraint,
    Ebnf,
    GenerationOptions,
    InvalidRequest,
    JsonSchema,
    Regex,
    Role,
    StructuralTag,
)
from rostra.models.errors import UnsupportedConstraint

# --- What is sent ---


def request_body(
    model: str,
    messages: Sequence[ChatMessage],
    options: GenerationOptions,
    *,
    limit_field: str = "max_tokens",
    structured_outputs: bool = False,
    logprobs: bool = False,
    more: Mapping[str, Any] | None = None,
) -> bytes:
    """A request for a stream, as JSON.

    Args:
        limit_field: what the endpoint calls the most new tokens.
        structured_outputs: the endpoint takes vLLM's parameter of this name, as Rostra's does.
        logprobs: ask for the tokens' log probabilities.
        more: further fields; None leaves one out.

    Raises:
        UnsupportedConstraint: the endpoint has no way to keep it.
        InvalidRequest: a message is malformed, or tools stand beside a constraint.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": [_message(message) for message in messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        limit_field: options.max_tokens,
        "temperature": options.temperature,
    }
    if options.seed is not None:
        body["seed"] = options.seed
    if options.stop:
        body["stop"] = list(options.stop)
    if logprobs:
        body["logprobs"] = True
    if options.tools:
        if options.constraint is not None:
            raise InvalidRequest("tools and a constraint exclude each other", field="tools")
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                },
            }
            for tool in options.tools
        ]
    if options.constraint is not None:
        body |= _held(options.constraint, structured_outputs)
    for name, value in (more or {}).items():
        body[name] = value
    try:
        return msgspec.json.encode(
            {name: value for name, value in body.items() if value is not None}
        )
    except UnicodeEncodeError:
        raise InvalidRequest("a message has half of a surrogate pair, which is no text") from None


def _message(message: ChatMessage) -> dict[str, Any]:
    said: dict[str, Any] = {"role": str(message.role), "content": message.content}
    if message.role is Role.TOOL:
        if message.call_id is None:
            raise InvalidRequest("a tool's message does not say which call it answers")
        said["tool_call_id"] = message.call_id
    if message.calls:
        # An empty text beside calls is refused by some endpoints.
        said["content"] = message.content or None
        said["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.calls
        ]
    return said


def _held(constraint: Constraint, structured_outputs: bool) -> dict[str, Any]:
    match constraint:
        case JsonSchema(schema, strict):
            form = {"name": "answer", "schema": _schema(schema), "strict": strict}
            return {"response_format": {"type": "json_schema", "json_schema": form}}
        case AnyJson():
            return {"response_format": {"type": "json_object"}}
        case _ if not structured_outputs:
            pass
        case Regex(pattern):
            return {"structured_outputs": {"regex": pattern}}
        case Choice(options):
            return {"structured_outputs": {"choice": list(options)}}
        case Ebnf(grammar):
            return {"structured_outputs": {"grammar": grammar}}
        case StructuralTag(tag):
            return {"structured_outputs": {"structural_tag": tag}}
    raise UnsupportedConstraint(
        f"a remote model cannot be held to a constraint of kind {type(constraint).__name__}",
        hint="Ask for JSON of a schema, or set a decoder of this machine (`model`).",
        constraint=type(constraint).__name__,
    )


def _schema(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UnsupportedConstraint(f"the schema is no JSON object: {error}") from None


# --- What comes back ---


class FunctionPart(msgspec.Struct):
    """More of a called function; some endpoints send arguments as an object."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class CallPart(msgspec.Struct):
    """A call, or more of one; some endpoints leave `index` out."""

    index: int | None = None
    id: str | None = None
    function: FunctionPart | None = None


class TextPart(msgspec.Struct):
    """Content in parts, of which those that are no text are left out."""

    type: str = ""
    text: str | None = None


class DeltaPart(msgspec.Struct):
    """What a chunk adds to the message."""

    content: str | list[TextPart] | None = None
    refusal: str | None = None
    tool_calls: list[CallPart] | None = None

    @property
    def text(self) -> str:
        """The text that it adds; a refusal is what the model says, too."""
        if isinstance(self.content, list):
            said = "".join(part.text or "" for part in self.content if part.type == "text")
        else:
            said = self.content or ""
        return said + (self.refusal or "")


class TokenPart(msgspec.Struct):
    """A token's natural log probability."""

    logprob: float | None = None


class LogprobsPart(msgspec.Struct):
    """Those of a chunk's tokens."""

    content: list[TokenPart] | None = None


class ChoicePart(msgspec.Struct):
    """What a chunk says of one of the answers; an endpoint that does not stream says it at once."""

    index: int = 0
    delta: DeltaPart | None = None
    message: DeltaPart | None = None
    finish_reason: str | None = None
    logprobs: LogprobsPart | None = None


class PromptDetails(msgspec.Struct):
    """Of the prompt's tokens."""

    cached_tokens: int | None = None


class UsagePart(msgspec.Struct):
    """Token counts."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None


class Chunk(msgspec.Struct):
    """A piece of an answer, or an error in its place."""

    choices: list[ChoicePart] | None = None
    usage: UsagePart | None = None
    error: Any = None


def read_chunk(data: bytes) -> Chunk:
    """An event's data; halves of surrogate pairs in it become U+FFFD.

    Raises:
        msgspec.MsgspecError, UnicodeDecodeError, RecursionError: it is no chunk.
    """
    try:
        return _decoder.decode(data)
    except msgspec.DecodeError:
        # An endpoint that cuts its text where a character is half said, or whose model says halves,
        # would say the same when it is asked again.
        if not _ESCAPED_HALF.search(data) or (whole := _without_halves(data)) is None:
            raise
    return _decoder.decode(whole)


def _without_halves(data: bytes) -> bytes | None:
    """The same JSON with text that can be written; None if it is none, or has no half."""
    try:
        text = json.dumps(json.loads(data), ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    return _HALF.sub("\ufffd", text).encode() if _HALF.search(text) else None


def told_error(data: bytes) -> tuple[str, str]:
    """What the body of a failure says, in words and as a code; either may be empty."""
    try:
        body = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _one_line(data.decode(errors="replace")), ""
    return error_words(body)


def error_words(body: object) -> tuple[str, str]:
    """The same for a body already read: OpenAI's shape, a problem document, or what is near."""
    if isinstance(body, list) and body:
        body = body[0]  # Google's endpoints wrap it
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        if not isinstance(inner, Mapping):
            return _one_line(str(inner)), ""
        words = inner.get("message") or inner.get("detail") or inner.get("title") or inner
        code = inner.get("code") or inner.get("type") or ""
        return _one_line(str(words)), str(code)[:100]
    return _one_line(str(body)), ""


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text[:2000]).split())[:500]


_decoder = msgspec.json.Decoder(Chunk)
_ESCAPED_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_HALF = re.compile("[\ud800-\udfff]")
