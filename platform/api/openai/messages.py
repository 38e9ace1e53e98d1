"""Messages of a conversation, as OpenAI's clients send them and as chat templates read them.

What always holds: a template sees text only, and ids of calls in a form that it takes.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Any, Literal

from msgspec import Meta

from rostra.api.openai.fields import Body
from rostra.serving import ToolFormat

TemplateMessage = dict[str, Any]

# Mistral's templates take no other call ids than nine letters and digits.
_MISTRAL_ID_LENGTH = 9


class TextPart(Body, tag="text"):
    """Text; images, audio and files are not read."""

    text: str


class RefusalPart(Body, tag="refusal"):
    """What the assistant refused with."""

    refusal: str


Text = str | list[TextPart]


class SystemMessage(Body, tag_field="role", tag="system"):
    """Instructions."""

    content: Text
    name: str | None = None


class DeveloperMessage(Body, tag_field="role", tag="developer"):
    """Instructions, by their newer name."""

    content: Text
    name: str | None = None


class UserMessage(Body, tag_field="role", tag="user"):
    """What the user says."""

    content: Text
    name: str | None = None


class CalledFunction(Body):
    """The function called, with its arguments as JSON text."""

    name: str
    arguments: str


class ToolCall(Body):
    """A call that the assistant made."""

    id: str
    function: CalledFunction
    type: Literal["function"] = "function"
    index: int | None = None  # what clients leave in that put a stream together


class AssistantMessage(Body, tag_field="role", tag="assistant"):
    """What the assistant said; clients send back what they were given, nulls included."""

    content: str | list[TextPart | RefusalPart] | None = None
    refusal: str | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    annotations: list[Any] | None = None
    audio: None = None
    function_call: None = None


class ToolMessage(Body, tag_field="role", tag="tool"):
    """What a call gave."""

    content: Text
    tool_call_id: str
    name: str | None = None


Message = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage
Messages = Annotated[list[Message], Meta(min_length=1)]


def for_template(messages: Sequence[Message], tool_format: ToolFormat) -> list[TemplateMessage]:
    """The messages as a chat template reads them."""
    return [_one(message, tool_format) for message in messages]


def text_of(content: str | Sequence[TextPart | RefusalPart] | None) -> str:
    """Content as one text."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part.text if isinstance(part, TextPart) else part.refusal for part in content)


def _one(message: Message, tool_format: ToolFormat) -> TemplateMessage:
    content = text_of(message.content)
    match message:
        case SystemMessage():
            return {"role": "system", "content": content}
        case DeveloperMessage():
            return {"role": "developer", "content": content}
        case UserMessage():
            return {"role": "user", "content": content}
        case ToolMessage():
            shown: TemplateMessage = {
                "role": "tool",
                "content": content,
                "tool_call_id": _call_id(message.tool_call_id, tool_format),
            }
            return shown | ({"name": message.name} if message.name else {})
        case AssistantMessage():
            shown = {"role": "assistant", "content": content or message.refusal or ""}
            if thought := message.reasoning_content or message.reasoning:
                shown["reasoning_content"] = thought
            if message.tool_calls:
                shown["tool_calls"] = [_call(call, tool_format) for call in message.tool_calls]
            return shown


def _call(call: ToolCall, tool_format: ToolFormat) -> dict[str, Any]:
    return {
        "id": _call_id(call.id, tool_format),
        "type": "function",
        "function": {
            "name": call.function.name,
            "arguments": call.function.arguments,
        },
    }


def _call_id(given: str, tool_format: ToolFormat) -> str:
    if tool_format != "mistral" or (len(given) == _MISTRAL_ID_LENGTH and given.isalnum()):
        return given
    return sha256(given.encode()).hexdigest()[:_MISTRAL_ID_LENGTH]
