"""The calculator as a small model knows it: it computes the sum that a task is.

What always holds: the expression is that sum and no other, so that a model decides at most whether
it is computed.
"""

from dataclasses import replace
from typing import Any

from rostra.agents import CallContext, Catalog, StaticToolset, ToolResult
from rostra.runtime.written_sums import written_sum

CALCULATE = "calculate"


def calculating(catalog: Catalog, server: str, task: str) -> StaticToolset:
    """A calculator's `calculate` under its plain name, as models that ship know it.

    Its expression is the sum that the task is (`written_sum`); where it is none, there is no tool.
    Its result has the expression, so that whoever reads it sees what was computed.

    Args:
        catalog: that its server's tools are in.
        server: its name.
        task: of the run.
    """
    qualified = f"{server}__{CALCULATE}"
    info, written = catalog.find(qualified), written_sum(task)
    properties = info.parameters.get("properties", {}) if info is not None else {}
    if info is None or written is None or "expression" not in properties:
        return StaticToolset()

    async def calculate(arguments: dict[str, Any], context: CallContext) -> ToolResult:
        result = await catalog.call(qualified, arguments, context)
        return _as_equation(arguments["expression"], result)

    expression = {"type": "string", "const": written.expression}
    parameters = {**info.parameters, "properties": {**properties, "expression": expression}}
    return StaticToolset(((replace(info, name=CALCULATE, parameters=parameters), calculate),))


def _as_equation(expression: str, result: ToolResult) -> ToolResult:
    match result.structured:
        case {"value": str(value), "exact": bool(exact)} if not result.is_error:
            computed = f"{expression} {'=' if exact else '≈'} {value}"
            return replace(result, text=computed)
    return result
