"""The calculator as a small model knows it: sums of the numbers that its task names.

What always holds: a sum in this grammar has no words but names of functions, and no number but
those of its task and of common units; whether it is the one that was meant, no grammar can tell.
"""

import re
from dataclasses import replace
from typing import Any

from rostra.agents import CallContext, Catalog, StaticToolset, ToolResult

CALCULATE = "calculate"

_NUMBER = re.compile(r"[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?")
# What is told apart of a task; one with more or longer numbers may have any.
_MOST_NUMBERS = 8
_MOST_CHARS = 64
_ANY = r"[0-9]{1,15}(?:\.[0-9]{1,9})?"
# Of units of time, halves and hundredths, squares.
_COMMON = ("2", "7", "12", "24", "60", "100", "365", "1000")
_FUNCTION = "(?:sqrt|mean|sum|min|max|abs|round)"
_BETWEEN = r"(?: ?(?:\*\*|//|[-+*/%]) ?|, )"
_MOST_MORE = 7


def calculating(catalog: Catalog, server: str, task: str) -> StaticToolset:
    """A calculator's `calculate` under its plain name, as models that ship know it.

    Its expression is a sum over the numbers of the task (`arithmetic_of`); where the task names
    none, there is no tool. Its result has the expression, so that whoever reads it sees what was
    computed.

    Args:
        catalog: that its server's tools are in.
        server: its name.
        task: of the run.
    """
    qualified = f"{server}__{CALCULATE}"
    info, pattern = catalog.find(qualified), arithmetic_of(task)
    properties = info.parameters.get("properties", {}) if info is not None else {}
    if info is None or pattern is None or "expression" not in properties:
        return StaticToolset()

    async def calculate(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        result = await catalog.call(qualified, arguments, context)
        return _as_equation(arguments["expression"], result)

    expression = {"type": "string", "pattern": pattern}
    parameters = {**info.parameters, "properties": {**properties, "expression": expression}}
    return StaticToolset(((replace(info, name=CALCULATE, parameters=parameters), calculate),))


def arithmetic_of(task: str) -> str | None:
    """The pattern of the sums over a task's numbers; None where it names none.

    A sum is up to eight numbers, each with a bracket before and behind it; brackets may be left
    open.
    """
    named = dict.fromkeys(one.replace(",", "") for one in _NUMBER.findall(task))
    if not named:
        return None
    numbers = _ANY
    if len(named) <= _MOST_NUMBERS and sum(map(len, named)) <= _MOST_CHARS:
        numbers = "|".join(re.escape(one) for one in dict.fromkeys((*named, *_COMMON)))
    # A full stop, as one ends the task.
    term = rf"(?:{_FUNCTION}?\()?-?(?:{numbers})\.?\)?"
    return f"^ ?{term}(?:{_BETWEEN}{term}){{0,{_MOST_MORE}}}$"


def _as_equation(expression: str, result: ToolResult) -> ToolResult:
    match result.structured:
        case {"value": str(value), "exact": bool(exact)} if not result.is_error:
            computed = f"{expression.strip().rstrip('.')} {'=' if exact else '≈'} {value}"
            return replace(result, text=computed)
    return result
