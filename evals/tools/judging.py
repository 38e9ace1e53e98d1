"""Tool calls judged by their syntax tree: is a model's text the calls that a task asks for?

What always holds: the types are strict: a whole number stands for a float, a list for a tuple,
nothing else for another thing. Calls of one answer may come in any order. Text that cannot be read
is wrong everywhere, also where no call is the right answer.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evals.tools.reading import Call, Source, Unparseable, is_number, read_calls
from evals.tools.tasks import GoldCall, ToolTask

# What makes no difference between two strings, beside upper and lower case.
_IGNORED = re.compile(r"[ ,./\-_*^]")


def judge_output(task: ToolTask, text: str) -> str | None:
    """None if a text answers a task, otherwise why not; see `judge_calls`, or `unparseable`."""
    try:
        calls = read_calls(text)
    except Unparseable:
        return "unparseable"
    return judge_calls(task, calls)


def judge_calls(task: ToolTask, calls: Sequence[Call]) -> str | None:
    """None if calls answer a task, otherwise why not.

    Returns:
        `missing_call`, `extra_call`, `wrong_name`, `missing`, `unexpected`, `wrong_type` or
        `wrong_value`.
    """
    if len(calls) != len(task.gold):
        return "missing_call" if len(calls) < len(task.gold) else "extra_call"
    verdicts = [
        [judge_call(call, gold, task.functions.get(gold.name, {})) for call in calls]
        for gold in task.gold
    ]
    # Each gold call takes a call that fits it, and makes another give way where it must.
    taken: dict[int, int] = {}
    for row in range(len(verdicts)):
        if not _place(row, verdicts, taken, set()):
            free = [verdicts[row][at] for at in range(len(calls)) if at not in taken]
            return min((each for each in free if each), key=_severity, default="wrong_value")
    return None


def _place(
    row: int, verdicts: Sequence[Sequence[str | None]], taken: dict[int, int], tried: set[int]
) -> bool:
    for at, verdict in enumerate(verdicts[row]):
        if verdict is None and at not in tried:
            tried.add(at)
            if at not in taken or _place(taken[at], verdicts, taken, tried):
                taken[at] = row
                return True
    return False


def _severity(reason: str) -> int:
    order = ("wrong_value", "wrong_type", "unexpected", "missing", "wrong_name")
    return order.index(reason)


def judge_call(call: Call, gold: GoldCall, schema: Mapping[str, Any]) -> str | None:
    if call.name != gold.name:
        return "wrong_name"
    required = schema.get("required") or []
    return _judge_arguments(call.arguments, gold.options, schema.get("properties") or {}, required)


def _judge_arguments(
    values: Mapping[str, Any],
    options: Mapping[str, Sequence[Any]],
    properties: Mapping[str, Mapping[str, Any]],
    required: Sequence[str] = (),
) -> str | None:
    for name, right in options.items():
        if name not in values and (name in required or "" not in right):
            return "missing"
    for name, value in values.items():
        if name not in options:
            return "unexpected"
        verdicts = [_judge_value(value, each, properties.get(name, {})) for each in options[name]]
        if None not in verdicts:
            return "wrong_value" if "wrong_value" in verdicts else "wrong_type"
    return None


def _judge_value(value: Any, right: Any, schema: Mapping[str, Any]) -> str | None:
    """None if a value is what is right; lists and dicts are compared part by part."""
    declared = schema.get("type")
    match right:
        case bool() | None:
            same = type(value) is type(right)
            return "wrong_type" if not same else None if value == right else "wrong_value"
        case int() | float():
            floats = isinstance(right, float) or declared in ("float", "number", "any", None)
            if not is_number(value) or (
                isinstance(value, float) and (not floats or declared == "integer")
            ):
                return "wrong_type"
            return None if value == right else "wrong_value"
        case str():
            if not isinstance(value, str) or (isinstance(value, Source) and declared == "string"):
                return "wrong_type"
            return None if _same_text(value, right) else "wrong_value"
        case list() | tuple():
            if not isinstance(value, list | tuple):
                return "wrong_type"
            if len(value) != len(right):
                return "wrong_value"
            items = schema.get("items") or {}
            return _first(_judge_value(a, b, items) for a, b in zip(value, right, strict=True))
        case dict():
            if not isinstance(value, dict):
                return "wrong_type"
            listed = {
                key: each if isinstance(each, list) else [each] for key, each in right.items()
            }
            verdict = _judge_arguments(value, listed, schema.get("properties") or {})
            return "wrong_value" if verdict in ("missing", "unexpected") else verdict
    return "wrong_value"


def _first(verdicts: Iterator[str | None]) -> str | None:
    return next((verdict for verdict in verdicts if verdict), None)


def _same_text(one: str, other: str) -> bool:
    if not one or not other:
        return one == other
    return _bare(one) == _bare(other)


def _bare(text: str) -> str:
    return _IGNORED.sub("", text).lower().replace("'", '"')
