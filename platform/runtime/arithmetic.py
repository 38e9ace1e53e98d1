"""The calculator as a small model knows it: sums of the numbers that its task names.

What always holds: a sum in this grammar has no words but names of functions. Where the task has few
numbers, it has no others but those and the ones of common units; where the task is one sum in
signs, it begins with that. Whether it is the one that was meant, no grammar can tell.
"""

import re
from dataclasses import replace
from typing import Any

from rostra.agents import CallContext, Catalog, StaticToolset, ToolResult
from rostra.runtime.written_sums import NUMBER, written_sum

CALCULATE = "calculate"

# What is told apart of a task; one with more or longer numbers may have any.
_MOST_NUMBERS = 8
_MOST_CHARS = 64
_ANY = r"[0-9]{1,15}(?:\.[0-9]{1,9})?"
# Of units of time, halves and hundredths, squares.
_COMMON = ("2", "7", "12", "24", "60", "100", "365", "1000")
_FUNCTION = "(?:sqrt|mean|sum|min|max|abs|round)"
_BETWEEN = r"(?: ?(?:\*\*|//|[-+*/%]) ?|, )"
_MOST_MORE = 7
_MOST_FOLLOWS = 3


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
    open. Where all numbers of the task stand in one sum in signs (`written_sum`), it is that one;
    where there are words of other things too, up to three numbers of common units may follow.
    """
    named = dict.fromkeys(one.replace(",", "") for one in NUMBER.findall(task))
    if not named:
        return None
    written = written_sum(task)
    if written is not None:
        exactly = _escaped(written.expression)
        if written.is_all:
            return f"^ ?{exactly}$"
        return _sum(rf"\(?{exactly}\)?", _term("|".join(_COMMON)), _MOST_FOLLOWS)
    numbers = _ANY
    if len(named) <= _MOST_NUMBERS and sum(map(len, named)) <= _MOST_CHARS:
        numbers = "|".join(map(_escaped, dict.fromkeys((*named, *_COMMON))))
    return _sum(_term(numbers), _term(numbers), _MOST_MORE)


def _sum(first: str, other: str, most: int) -> str:
    """The pattern of a first term and up to `most` others."""
    return f"^ ?{first}(?:{_BETWEEN}{other}){{0,{most}}}$"


def _term(numbers: str) -> str:
    """The pattern of one of these numbers; with a full stop, as one ends the task."""
    return rf"(?:{_FUNCTION}?\()?-?(?:{numbers})\.?\)?"


def _escaped(text: str) -> str:
    """A pattern of numbers, signs and brackets; `re.escape` has backslashes before others, too."""
    return re.sub(r"[()*+.]", r"\\\g<0>", text)


def _as_equation(expression: str, result: ToolResult) -> ToolResult:
    match result.structured:
        case {"value": str(value), "exact": bool(exact)} if not result.is_error:
            computed = f"{expression.strip().rstrip('.')} {'=' if exact else '≈'} {value}"
            return replace(result, text=computed)
    return result
