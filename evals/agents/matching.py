"""Calls that were made beside calls that are right.

A gold call is `{"tool": NAME}`, and further either `"args": {...}`, the arguments, each exactly
these; or `"options": {NAME: [values]}`, for each argument all values that are right, as the
Berkeley set has them (an empty string: it may be left out); or neither, and any arguments will do.

What always holds: a value equals another one as JSON, where true is no number and 1 is 1.0. In
`options`, texts are compared as the judge of tool calls does it, without case and punctuation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evals.core.states import Call
from evals.tools.judging import judge_call
from evals.tools.reading import Call as ToolCall
from evals.tools.tasks import GoldCall


@dataclass(frozen=True, slots=True)
class Expected:
    """A call that is right.

    Attributes:
        args: exactly these; None where `options` says more, or any will do.
        options: by argument, the values that are right.
    """

    tool: str
    args: Mapping[str, Any] | None = None
    options: Mapping[str, Sequence[Any]] | None = None


def expected_calls(rows: Sequence[Mapping[str, Any]]) -> list[Expected]:
    """Gold calls as a sample has them."""
    return [Expected(row["tool"], row.get("args"), row.get("options")) for row in rows]


def fits(call: Call, gold: Expected) -> bool:
    """Whether a call is the one that is expected."""
    if call.tool != gold.tool:
        return False
    if gold.args is not None:
        return same(dict(call.arguments), dict(gold.args))
    if gold.options is not None:
        return (
            judge_call(ToolCall(call.tool, call.arguments), GoldCall(gold.tool, gold.options), {})
            is None
        )
    return True


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def is_exactly(calls: Sequence[Call], gold: Sequence[Expected]) -> bool:
    """Whether the calls are the gold ones, in their order, and no others."""
    return len(calls) == len(gold) and all(map(fits, calls, gold))


def is_in_order(calls: Sequence[Call], gold: Sequence[Expected]) -> bool:
    """Whether the gold calls were made in their order; others may stand between them."""
    rest = iter(calls)
    # The first call that fits is as good as any later one.
    return all(any(fits(call, wanted) for call in rest) for wanted in gold)


def matched(calls: Sequence[Call], gold: Sequence[Expected]) -> int:
    """Most gold calls that can be given a call each, in any order; no call twice."""
    taken: dict[int, int] = {}

    def place(row: int, tried: set[int]) -> bool:
        for at, call in enumerate(calls):
            if at not in tried and fits(call, gold[row]):
                tried.add(at)
                if at not in taken or place(taken[at], tried):
                    taken[at] = row
                    return True
        return False

    return sum(place(row, set()) for row in range(len(gold)))
