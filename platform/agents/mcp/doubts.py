"""What is odd about a schema that is valid: what it says cannot be checked, or never holds.

What always holds: only what can be seen within one schema is found, so a schema without doubts may
still be one that nothing satisfies; a schema is walked once.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import regex  # type: ignore[import-untyped] # it ships no types

_NAMED = frozenset(["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"])
_DATA = frozenset(["const", "default", "enum", "examples"])
_COUNTS = ("Length", "Items", "Properties")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int, float),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_LONGEST = 60


def doubt(parameters: Mapping[str, Any]) -> str | None:
    """The first thing that is odd; None where nothing is seen.

    Args:
        parameters: a schema that is not `unusable`.
    """
    for pointer, schema in _schemas(parameters):
        for keyword, pattern in _patterns(schema):
            if not _readable(pattern):
                told = repr(pattern)[:_LONGEST]
                return f"{keyword} at {pointer}: {told} cannot be read, so nothing is held to it"
        if (why := _never(schema)) is not None:
            return f"nothing satisfies the schema at {pointer}: {why}"
    return None


def _patterns(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if isinstance(schema.get("pattern"), str):
        yield "pattern", schema["pattern"]
    for pattern in schema.get("patternProperties", ()):
        yield "patternProperties", pattern


def _readable(pattern: str) -> bool:
    try:
        regex.compile(pattern)
    except (regex.error, RecursionError):
        return False
    return True


def _never(schema: Mapping[str, Any]) -> str | None:
    for what in _COUNTS:
        least, most = f"min{what}", f"max{what}"
        if schema.get(least, 0) > schema.get(most, schema.get(least, 0)):
            return f"{least} {schema[least]}, {most} {schema[most]}"
    for least in ("minimum", "exclusiveMinimum"):
        for most in ("maximum", "exclusiveMaximum"):
            if least not in schema or most not in schema:
                continue
            strict = (least, most) != ("minimum", "maximum")
            if schema[least] > schema[most] or (strict and schema[least] == schema[most]):
                return f"{least} {schema[least]}, {most} {schema[most]}"
    return _no_value(schema) or _no_object(schema)


def _no_value(schema: Mapping[str, Any]) -> str | None:
    if schema.get("enum") == []:
        return "enum is empty"
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not kinds:
        return None
    wanted = " or ".join(kinds)
    if "enum" in schema and not any(_is(value, kinds) for value in schema["enum"]):
        return f"no value of enum is of type {wanted}"
    if "const" in schema and not _is(schema["const"], kinds):
        return f"const is not of type {wanted}"
    return None


def _no_object(schema: Mapping[str, Any]) -> str | None:
    properties = schema.get("properties", {})
    closed = schema.get("additionalProperties") is False and not schema.get("patternProperties")
    for name in schema.get("required", ()):
        if properties.get(name, not closed) is False:
            return f"{name[:_LONGEST]!r} is required and never allowed"
    return None


def _is(value: Any, kinds: list[str]) -> bool:
    return any(
        isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
        for kind in kinds
    )


def _schemas(root: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each schema in a schema, with a JSON pointer."""
    waiting: list[tuple[str, Any]] = [("", root)]
    while waiting:
        pointer, schema = waiting.pop()
        if not isinstance(schema, dict):
            continue
        yield pointer or "/", schema
        for keyword, value in schema.items():
            here = f"{pointer}/{keyword}"
            if keyword in _DATA:
                continue
            if keyword in _NAMED and isinstance(value, dict):
                waiting += [(f"{here}/{name}", each) for name, each in value.items()]
            elif isinstance(value, list):
                waiting += [(f"{here}/{at}", each) for at, each in enumerate(value)]
            else:
                waiting.append((here, value))
