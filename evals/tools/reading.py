"""Reads the calls that a model's text consists of, as Python or as JSON.

What always holds: text is read, never executed. Text that cannot be read as calls is told apart
from an empty list of calls, which is an abstention.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

_MAX_CHARACTERS = 100_000
_MAX_DIGITS = 4_000  # of a number that arithmetic makes


class Unparseable(ValueError):
    """A text is no list of calls; the message says why."""


class Source(str):
    """Python code that stands where a value should: a variable, an index, a call."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A call as a model wrote it."""

    name: str
    arguments: Mapping[str, Any]


def read_calls(text: str) -> tuple[Call, ...]:
    """The calls that a text consists of; a code fence around it is ignored.

    Python: `[first(a=1), other.name(b='x')]` or one call. JSON: a list of `{"name": {arguments}}`
    or of `{"name": ..., "arguments": {...} or its text}`, or one of these. `[]` is no call.

    Raises:
        Unparseable: it is anything else.
    """
    if len(text) > _MAX_CHARACTERS:
        raise Unparseable(f"more than {_MAX_CHARACTERS} characters")
    bare = text.strip()
    if fenced := re.fullmatch(r"```\w*\s*\n(.*?)\n?\s*```", bare, re.DOTALL):
        bare = fenced[1].strip()
    try:
        value = json.loads(bare, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError:
        return _python_calls(bare)
    except RecursionError as error:
        raise Unparseable("nested too deeply") from error
    return tuple(_json_call(each) for each in (value if isinstance(value, list) else [value]))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise Unparseable("a key is there twice")
    return dict(pairs)


def _no_constant(name: str) -> NoReturn:
    raise Unparseable(f"{name} is no JSON")


def _json_call(value: Any) -> Call:
    match value:
        case {"function": {"name": _, "arguments": _} as inner}:
            return _json_call(inner)
        case {"name": str(name), "arguments": str(text)}:
            try:
                inner = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
            except (json.JSONDecodeError, RecursionError) as error:
                raise Unparseable("the arguments are no JSON") from error
            if isinstance(inner, dict):
                return Call(name, inner)
        case {"name": str(name), "arguments": dict(arguments)}:
            return Call(name, arguments)
        case dict() if len(value) == 1:
            name, arguments = next(iter(value.items()))
            if isinstance(arguments, dict):
                return Call(name, arguments)
    raise Unparseable("JSON that is no call")


def _python_calls(text: str) -> tuple[Call, ...]:
    try:
        body = ast.parse(text, mode="eval").body
        nodes = body.elts if isinstance(body, ast.List | ast.Tuple) else [body]
        return tuple(_python_call(node) for node in nodes)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        # `ast.parse` gives any of these for text that is no Python.
        raise error if isinstance(error, Unparseable) else Unparseable(str(error)) from error


def _python_call(node: ast.expr) -> Call:
    if not isinstance(node, ast.Call):
        raise Unparseable(f"{type(node).__name__} where a call should be")
    if not all(isinstance(part, ast.Name | ast.Attribute) for part in _chain(node.func)):
        raise Unparseable("the function has no plain name")
    if node.args:
        raise Unparseable("an argument without a name")
    arguments: dict[str, Any] = {}
    for keyword in node.keywords:
        value = _literal(keyword.value)
        if keyword.arg is not None:
            named = {keyword.arg: value}
        elif isinstance(value, dict):
            named = value  # `**{'class': 1}`, for names that Python keeps for itself
        else:
            raise Unparseable("** of something that is no dict")
        if named.keys() & arguments.keys():
            raise Unparseable("an argument is there twice")
        arguments |= named
    return Call(ast.unparse(node.func), arguments)


def _chain(node: ast.expr) -> Iterator[ast.expr]:
    yield node
    while isinstance(node, ast.Attribute):
        node = node.value
        yield node


def _literal(node: ast.expr) -> Any:
    """A node's value as far as it is one; code otherwise."""
    match node:
        case ast.Constant(value=value) if not isinstance(value, bytes | complex) and (
            value is not Ellipsis
        ):
            return value
        case ast.List(elts=elements) | ast.Set(elts=elements):
            return [_literal(each) for each in elements]
        case ast.Tuple(elts=elements):
            return tuple(_literal(each) for each in elements)
        case ast.Dict(keys=keys, values=values):
            names = [_literal(key) if key is not None else None for key in keys]
            if not all(isinstance(name, str) for name in names) or len({*names}) < len(names):
                raise Unparseable("a dict whose keys are no distinct strings")
            return dict(zip(names, map(_literal, values), strict=True))
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            value = _literal(operand)
            if is_number(value):
                return -value if isinstance(sign, ast.USub) else value
        case ast.BinOp(left=left, op=operator, right=right):
            value = _arithmetic(_literal(left), operator, _literal(right))
            if value is not None:
                return value
    return Source(ast.unparse(node))


def _arithmetic(left: Any, operator: ast.operator, right: Any) -> int | float | None:
    """Of two numbers, such as `3 / 4`; None where it is no number of bounded size."""
    if not (is_number(left) and is_number(right)):
        return None
    try:
        match operator:
            case ast.Add():
                value = left + right
            case ast.Sub():
                value = left - right
            case ast.Mult():
                value = left * right
            case ast.Div():
                value = left / right
            case ast.Pow() if abs(right) <= 64 and abs(left) <= 1e6:
                value = left**right
            case _:
                return None
    except (ArithmeticError, ValueError):
        return None
    if isinstance(value, complex) or (isinstance(value, int) and value.bit_length() > _MAX_DIGITS):
        return None
    return value  # type: ignore[no-any-return] # two numbers give a number


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
