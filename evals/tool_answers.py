"""Asks a model for tool calls: the functions in the prompt, the answer held to a JSON object.

What always holds: every task is asked once, in one form for all models, so that a model that cannot
call natively is measured too; the only way to abstain is an empty list of calls. An answer that was
cut off, or that a model without grammars wrote otherwise, stays as it is and is unparseable.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from evals.agents.executed import Execute, executed
from evals.agents.scorers.effort import Effort
from evals.core.runner import Task
from evals.core.samples import Problem
from evals.core.states import State, usage_of
from evals.tools import Call, ToolCallAccuracy, ToolScores, ToolTask, read_calls
from evals.tools.scored import rows_of, with_output
from evals.tools.tasks import tool_datasets, tool_task
from rostra.core import ChatMessage, ChatModel, GenerationOptions, JsonSchema, Role
from rostra.models import complete

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


class AskForCalls:
    """A solver that asks a model once for each task, greedily.

    Args:
        max_tokens: most of an answer.
    """

    def __init__(self, model: ChatModel, *, max_tokens: int = 1024) -> None:
        self._model = model
        self._max_tokens = max_tokens

    @property
    def name(self) -> str:
        """The model's."""
        return self._model.name

    def config(self) -> dict[str, Any]:
        """The model, the most of an answer, and the prompt as a digest."""
        prompt = hashlib.sha256(_SYSTEM.encode()).hexdigest()
        return {"model": self._model.name, "max_tokens": self._max_tokens, "prompt": prompt}

    async def __call__(self, state: State, seed: int) -> State:
        """Asks for a sample's calls.

        Raises:
            RostraError: the model cannot answer.
        """
        task = tool_task(state.sample)
        constraint = JsonSchema(json.dumps(calls_schema(task)), strict=False)
        options = GenerationOptions(max_tokens=self._max_tokens, constraint=constraint)
        said = await complete(self._model, task_messages(task), options)
        solved = with_output(state, calls_of(said.text))
        return msgspec.structs.replace(solved, steps=1, usage=usage_of(said.usage))


async def ask_for_calls(
    model: ChatModel,
    tasks: Sequence[ToolTask],
    *,
    problems: Mapping[str, Sequence[Problem]] | None = None,
    max_tokens: int = 1024,
    execute: Execute = executed,
) -> list[ToolScores]:
    """Asks a model for the calls of all tasks and scores them, one row a category.

    Args:
        model: greedy.
        problems: by category, lines of the set that could not be used; the run keeps them.
        max_tokens: most of an answer.
        execute: does the tasks of the evaluation.
    """
    solver = AskForCalls(model, max_tokens=max_tokens)
    scorers = (ToolCallAccuracy(), Effort())
    made = [Task(dataset, solver, scorers) for dataset in tool_datasets(tasks, problems)]
    return rows_of(await execute(made))


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
