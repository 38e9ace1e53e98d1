"""Asking models for calls: one prompt, one form, and no abstention but an empty list."""

import json
from collections.abc import Sequence
from pathlib import Path

import jsonschema  # type: ignore[import-untyped] # it ships no types
import pytest

from evals.core import read_run, report_of
from evals.tool_answers import ask_for_calls, calls_of, calls_schema, json_schema, task_messages
from evals.tools import GoldCall, ToolTask, read_tool_tasks
from rostra.core import ChatMessage, GenerationOptions, JsonSchema, ModelUnavailable
from rostra.models import ScriptedModel, Turn
from tests.eval_agents import into

BFCL = Path(__file__).parents[4] / "shared/data/tools/bfcl"
AREA = {
    "type": "dict",
    "properties": {
        "sides": {"type": "tuple", "items": {"type": "float"}},
        "unit": {"type": "string", "enum": ["m", "ft"]},
        "extra": {"type": "any"},
    },
    "required": ["sides"],
}


def make(name: str, *gold: GoldCall) -> ToolTask:
    functions = {"maths.area": AREA}
    return ToolTask(name, "simple", (("user", name),), functions, {"maths.area": "Area."}, gold)


RIGHT = GoldCall("maths.area", {"sides": [[2, 3]], "unit": ["", "m"]})


async def test_a_model_is_asked_once_a_task(tmp_path: Path) -> None:
    def answer(messages: Sequence[ChatMessage], options: GenerationOptions) -> str | Turn:
        assert isinstance(options.constraint, JsonSchema)
        assert '"name": "maths.area", "description": "Area."' in messages[0].content
        match messages[-1].content:
            case "right":
                call = {"name": "maths.area", "arguments": {"sides": [2, 3]}}
                return json.dumps({"calls": [call]})
            case "idle" | "lazy":
                return '{"calls": []}'
            case "dead":
                return Turn(raises=ModelUnavailable("gone"))
        return "I cannot do that."

    model = ScriptedModel(answer)
    tasks = [
        make("right", RIGHT),
        make("lazy", RIGHT),
        make("dead", RIGHT),
        make("idle"),
        make("talks"),
    ]
    path = tmp_path / "run.jsonl"
    (row,) = await ask_for_calls(model, tasks, execute=into(path))
    assert len(model.seen) == 5
    (told,) = report_of(read_run(path)).tasks
    assert (told.failed, told.header.solver) == ({"model_unavailable": 1}, "scripted")
    accuracy = told.measure("tool call accuracy")
    assert accuracy is not None
    assert accuracy.estimate is not None
    assert (accuracy.estimate.n, accuracy.estimate.mean) == (4, 0.5)
    assert told.usage.prompt_tokens > 0
    assert row.right == 2
    assert dict(row.reasons) == {"missing_call": 1, "no_output": 1, "unparseable": 1}


@pytest.mark.parametrize("text", ['{"calls": [1]}', '{"calls": {}', "[]x", '{"calls": [], "a": 1}'])
def test_other_forms_stay_text(text: str) -> None:
    assert calls_of(text) == text


def test_types_become_json_types() -> None:
    assert json_schema(AREA) == {
        "type": "object",
        "properties": {
            "sides": {"type": "array", "items": {"type": "number"}},
            "unit": {"type": "string", "enum": ["m", "ft"]},
            "extra": {},
        },
        "required": ["sides"],
        "additionalProperties": False,
    }
    schema = calls_schema(make("x"))
    call = {"name": "maths.area", "arguments": {"sides": [1.5]}}
    jsonschema.validate({"calls": [call]}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"calls": [call | {"name": "other"}]}, schema)


@pytest.mark.skipif(not BFCL.is_dir(), reason="the BFCL set is not here")
def test_schemas_of_the_set_are_json_schema() -> None:
    for task in read_tool_tasks(BFCL)[::12]:
        jsonschema.Draft202012Validator.check_schema(calls_schema(task))
        assert task_messages(task)[-1].role == "user"
