"""The input of a response: messages, calls and their results, as a chat template reads them.

What always holds: neighbouring items that make up one turn of the assistant become one message;
kinds of items that this server does not know are refused by their place in the list.
"""

from typing import Any, Literal

from rostra.api.openai.body import convert
from rostra.api.openai.errors import InvalidBody, UnsupportedParameter
from rostra.api.openai.fields import Body
from rostra.api.openai.messages import (
    AssistantMessage,
    CalledFunction,
    Message,
    SystemMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from rostra.core import InvalidRequest


class InputText(Body, tag="input_text"):
    """What a user or the instructions say."""

    text: str


class OutputText(Body, tag="output_text"):
    """What the assistant said, as a response told it."""

    text: str
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None


class RefusalText(Body, tag="refusal"):
    """What the assistant refused with."""

    refusal: str


Parts = list[InputText | OutputText | RefusalText]


class InputMessage(Body):
    """A message."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | Parts
    type: Literal["message"] = "message"
    id: str | None = None
    status: str | None = None
    phase: str | None = None


class InputCall(Body):
    """A call that the assistant made."""

    call_id: str
    name: str
    arguments: str
    type: Literal["function_call"] = "function_call"
    id: str | None = None
    status: str | None = None


class InputCallOutput(Body):
    """What a call gave."""

    call_id: str
    output: str | Parts
    type: Literal["function_call_output"] = "function_call_output"
    id: str | None = None
    status: str | None = None
    name: str | None = None


class ReasoningText(Body):
    """A part of what was thought."""

    type: str
    text: str


class InputReasoning(Body):
    """What was thought before the answer."""

    summary: list[ReasoningText] | None = None
    content: list[ReasoningText] | None = None
    type: Literal["reasoning"] = "reasoning"
    id: str | None = None
    status: str | None = None
    encrypted_content: str | None = None


Item = InputMessage | InputCall | InputCallOutput | InputReasoning

_SHAPES: dict[str, type[Item]] = {
    "message": InputMessage,
    "function_call": InputCall,
    "function_call_output": InputCallOutput,
    "reasoning": InputReasoning,
}


def input_messages(given: str | list[dict[str, Any]]) -> list[Message]:
    """The input as messages.

    Raises:
        InvalidBody: an item is malformed.
        UnsupportedParameter: an item is of a kind that is not known here.
    """
    if isinstance(given, str):
        return [UserMessage(content=given)]
    if not given:
        raise InvalidBody("input is empty", field="input")
    messages: list[Message] = []
    thought = ""
    for at, raw in enumerate(given):
        match _item(at, raw):
            case InputReasoning() as item:
                thought += "".join(part.text for part in item.content or ())
            case InputMessage(role="assistant") as item:
                messages.append(
                    AssistantMessage(content=_text(item.content), reasoning_content=thought or None)
                )
                thought = ""
            case InputMessage() as item:
                text = _text(item.content)
                kind = UserMessage if item.role == "user" else SystemMessage
                messages.append(kind(content=text))
            case InputCall() as item:
                call = ToolCall(
                    id=item.call_id,
                    function=CalledFunction(name=item.name, arguments=item.arguments),
                )
                last = messages[-1] if messages else None
                if not isinstance(last, AssistantMessage) or thought:
                    last = AssistantMessage(reasoning_content=thought or None)
                    messages.append(last)
                    thought = ""
                last.tool_calls = [*(last.tool_calls or ()), call]
            case InputCallOutput() as item:
                messages.append(ToolMessage(content=_text(item.output), tool_call_id=item.call_id))
    return messages


def _item(at: int, raw: dict[str, Any]) -> Item:
    kind = raw.get("type", "message")
    shape = _SHAPES.get(kind) if isinstance(kind, str) else None
    if shape is None:
        raise UnsupportedParameter(
            f"input[{at}]: items of type {str(kind)[:100]!r} are not supported",
            field=f"input[{at}].type",
        )
    try:
        return convert(raw, shape)
    except InvalidRequest as error:
        inner = error.details.get("field")
        place = f"input[{at}].{inner}" if inner else f"input[{at}]"
        raise type(error)(f"input[{at}]: {error.message}", field=place) from None


def _text(content: str | Parts) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.refusal if isinstance(part, RefusalText) else part.text for part in content)
