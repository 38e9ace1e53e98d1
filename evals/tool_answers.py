"""Asks a model for tool calls: the functions in the prompt, the answer held to a JSON object.

What always holds: every task is asked once, in one form for all models, so that a model that cannot
call natively is measured too; the only way to abstain is an empty list of calls. An answer that was
cut off, or that a model without grammars wrote otherwise, stays as it is and is unparseable.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evals.tools import Call, ToolTask, read_calls
from rostra.core import (
    ChatMessage,
    ChatModel,
    Delta,
    GenerationOptions,
    JsonSchema,
    Role,
    RostraError,
)

_SYSTEM = """\
Answer with one JSON object {{"calls": [{{"name": ..., "arguments": {{...}}}}]}}: the calls of
functions that do what the user asks, none left out and none beside them. Name only arguments that
the user's words settle. If no function can do it, or an argument that it needs is not given, the
list is empty: {{"calls": []}}.

Functions:
{functions}"""

# The set's names of types -> those of JSON Schema. A type of any value has none.
_TYPES: Mapping[str, str | None] = {
    "dict": "object",
    "float": "number",
    "tuple": "array",
    "any": None,
}
_MOST_CALLS = 16
_AT_ONCE = 8


async def ask_for_calls(
    model: ChatModel,
    tasks: Sequence[ToolTask],
    *,
    max_tokens: int = 1024,
    on_task: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, str | Sequence[Call]]:
    """A model's outputs by task, for `score_outputs`; tasks that it failed on are left out.

    Args:
        model: greedy.
        tasks: all are asked, a few at a time.
        max_tokens: most of an answer.
        on_task: called with the number done and the total.
    """
    outputs: dict[str, str | Sequence[Call]] = {}
    gate, done = asyncio.Semaphore(_AT_ONCE), 0

    async def one(task: ToolTask) -> None:
        nonlocal done
        constraint = JsonSchema(json.dumps(calls_schema(task)), strict=False)
        options = GenerationOptions(max_tokens=max_tokens, constraint=constraint)
        async with gate:
            try:
                text = await _ask(model, task_messages(task), options)
                outputs[task.id] = calls_of(text)
            except RostraError:
                # Of one request; the task then has no output, which is wrong.
                pass
        done += 1
        on_task(done, len(tasks))

    async with asyncio.TaskGroup() as group:
        for task in tasks:
            group.create_task(one(task))
    return outputs


def calls_of(text: str) -> str | Sequence[Call]:
    """The calls of an answer in the form asked for, or the answer as it is."""
    try:
        value = json.loads(text)
        if isinstance(value, dict) and value.keys() == {"calls"}:
            return read_calls(json.dumps(value["calls"]))
    except (ValueError, RecursionError):
        # `Unparseable` among them: the scorer says so again.
        pass
    return text


def task_messages(task: ToolTask) -> list[ChatMessage]:
    """The prompt of a task."""
    functions = "\n".join(
        json.dumps(
            {
                "name": name,
                "description": task.descriptions.get(name, ""),
                "parameters": json_schema(parameters),
            },
            ensure_ascii=False,
        )
        for name, parameters in task.functions.items()
    )
    return [
        ChatMessage(Role.SYSTEM, _SYSTEM.format(functions=functions)),
        *(ChatMessage(Role(role), content) for role, content in task.messages),
    ]


def calls_schema(task: ToolTask) -> dict[str, Any]:
    """JSON schema of an answer to a task."""
    call = [
        {
            "type": "object",
            "properties": {"name": {"const": name}, "arguments": json_schema(parameters)},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for name, parameters in task.functions.items()
    ]
    calls = {"type": "array", "items": {"anyOf": call}, "maxItems": _MOST_CALLS}
    return {
        "type": "object",
        "properties": {"calls": calls},
        "required": ["calls"],
        "additionalProperties": False,
    }


def json_schema(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A schema of the set as JSON Schema; what is neither type nor structure is description."""
    kind = parameters.get("type")
    made: dict[str, Any] = {}
    if (known := _TYPES.get(kind, kind) if isinstance(kind, str) else None) is not None:
        made["type"] = known
    for keyword in ("description", "enum"):
        if keyword in parameters:
            made[keyword] = parameters[keyword]
    if isinstance(parameters.get("items"), Mapping):
        made["items"] = json_schema(parameters["items"])
    if isinstance(parameters.get("properties"), Mapping):
        properties = parameters["properties"]
        made["properties"] = {name: json_schema(each) for name, each in properties.items()}
        made["required"] = [name for name in parameters.get("required") or [] if name in properties]
        made["additionalProperties"] = False
    return made


async def _ask(
    model: ChatModel, messages: Sequence[ChatMessage], options: GenerationOptions
) -> str:
    parts = [
        event.text async for event in model.stream(messages, options) if isinstance(event, Delta)
    ]
    return "".join(parts)
