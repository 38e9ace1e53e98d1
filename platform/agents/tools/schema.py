"""Schemas of tools' arguments: what a grammar can hold of them, and checking arguments afterwards.

Schemas come from servers that nobody here wrote. What always holds: no reference is fetched; a
check of arguments ends within its time, whatever the schema's references and patterns do; what is
wrong is said in words that a model can act on.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from functools import cache
from time import thread_time
from typing import Any

import regex  # type: ignore[import-untyped] # it ships no types

MAX_BYTES = 256 << 10
MAX_DEPTH = 64
MAX_PROBLEMS = 5
CHECK_SECONDS = 0.5
_PATTERN_SECONDS = 0.05

_NOT_HELD: Mapping[str, str] = {
    "contains": "a grammar cannot count items of one kind among others",
    "minContains": "a grammar cannot count items of one kind among others",
    "maxContains": "a grammar cannot count items of one kind among others",
    "dependentSchemas": "what is required would depend on keys that come later",
    "dependentRequired": "what is required would depend on keys that come later",
    "dependencies": "what is required would depend on keys that come later",
    "if": "it needs the complement of a schema",
    "not": "it needs the complement of a schema",
    "oneOf": "that only one of several holds is not for a grammar to say",
    "unevaluatedProperties": "it depends on which branches hold",
    "unevaluatedItems": "it depends on which branches hold",
    "$dynamicRef": "it depends on the way a schema was reached",
    "$recursiveRef": "it depends on the way a schema was reached",
}
# Values under these are schemas; under the second kind by name, under the third in a list. What
# stands elsewhere (constants, defaults, examples) is data.
_ONE = frozenset(
    [
        "additionalItems",
        "additionalProperties",
        "contains",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    ]
)
_NAMED = frozenset(["$defs", "definitions", "dependentSchemas", "patternProperties", "properties"])
_LISTED = frozenset(["allOf", "anyOf", "items", "oneOf", "prefixItems"])
_IRREGULAR = regex.compile(r"\\[bBkGpP\d]|\(\?(?![:P<]|<(?![=!]))|\(\?P=")


def enforceable(parameters: Mapping[str, Any]) -> str | None:
    """Why a grammar cannot hold arguments to a schema in full; None where it can.

    A tool whose schema cannot be is still usable: its arguments are checked before it is called.
    """
    if (why := unusable(parameters)) is not None:
        return why
    for pointer, schema in _schemas(parameters):
        for keyword, reason in _NOT_HELD.items():
            if keyword in schema and not (keyword == "oneOf" and len(schema[keyword]) == 1):
                return f"{keyword} at {pointer}: {reason}"
        if schema.get("uniqueItems") is True and schema.get("maxItems", 2) > 1:
            return f"uniqueItems at {pointer}: a grammar does not remember items"
        if (step := schema.get("multipleOf")) is not None and not _power_of_ten(step):
            return f"multipleOf at {pointer}: {step} is no power of ten"
        patterns = [*schema.get("patternProperties", ())]
        if "pattern" in schema:
            patterns.append(schema["pattern"])
        for pattern in patterns:
            if _IRREGULAR.search(pattern):
                return f"pattern at {pointer}: {pattern!r} is not regular"
    return None


def unusable(parameters: Any) -> str | None:
    """Why no call can be checked against a schema; None where they can.

    That is so for what is no valid schema of an object, refers to something outside itself, or is
    too large (`MAX_BYTES`, `MAX_DEPTH`).
    """
    if not isinstance(parameters, dict):
        return "the schema is no JSON object"
    if _depth(parameters) > MAX_DEPTH:
        return f"the schema is nested deeper than {MAX_DEPTH}"
    try:
        size = len(json.dumps(parameters, allow_nan=False))
    except (TypeError, ValueError) as error:
        return f"the schema is no JSON: {error}"
    if size > MAX_BYTES:
        return f"the schema is larger than {MAX_BYTES >> 10} KiB"
    if parameters.get("type", "object") != "object":
        return f"arguments are an object, the schema is of type {parameters['type']!r}"
    for pointer, schema in _schemas(parameters):
        for keyword, value in schema.items():
            fits = _FITS.get(keyword)
            if fits is not None and not fits(value):
                where = f"{pointer.rstrip('/')}/{keyword}"
                return f"the schema is not valid at {where}: {repr(value)[:100]}"
        reference = schema.get("$ref", "#")
        if not reference.startswith("#"):
            return f"$ref at {pointer} leaves the schema: {reference[:200]}"
    return None


def problems(parameters: Mapping[str, Any], arguments: Any) -> list[str]:
    """What is wrong with arguments, at most `MAX_PROBLEMS` things; empty where nothing is.

    Takes at most `CHECK_SECONDS` of processor time; what takes longer twice is itself reported.
    (Once, it may have been another's time: a garbage collection counts for whoever sets it off.)

    Args:
        parameters: a schema that is not `unusable`.
        arguments: JSON value.
    """
    for _ in range(2):
        with suppress(TimeoutError):
            return _found(parameters, arguments)
    return ["the arguments could not be checked in time; make them smaller"]


def _found(parameters: Mapping[str, Any], arguments: Any) -> list[str]:
    """The same; raises TimeoutError once the time is up."""
    from jsonschema.exceptions import UnknownType  # type: ignore[import-untyped] # no types
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    # The root is always an object; many schemas leave that out.
    validator = _validator_class()({"type": "object", **parameters}, registry=Registry())
    found: list[str] = []
    token = _deadline.set(thread_time() + CHECK_SECONDS)
    try:
        for problem in validator.iter_errors(arguments):
            found.append(f"{_path(problem.absolute_path)}: {problem.message[:300]}")
            if len(found) == MAX_PROBLEMS:
                break
    except (Unresolvable, UnknownType, RecursionError) as error:
        found.append(f"the schema cannot be evaluated: {str(error)[:200]}")
    finally:
        _deadline.reset(token)
    return found


_deadline: ContextVar[float] = ContextVar("deadline of the check of a tool's arguments")


@cache
def _validator_class() -> Any:
    """JSON Schema 2020-12 that looks at the clock and matches patterns within bounds.

    Drafts before it are read by it too: what tools use of them means the same, once `items` may be
    a list as it was before `prefixItems`.
    """
    from jsonschema import (  # type: ignore[import-untyped] # it ships no types
        Draft202012Validator,
        validators,
    )

    keywords = {
        **Draft202012Validator.VALIDATORS,
        "items": _items(Draft202012Validator.VALIDATORS["items"]),
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
    }
    timed = {keyword: _timed(function) for keyword, function in keywords.items()}
    return validators.extend(Draft202012Validator, timed)


Keyword = Callable[[Any, Any, Any, Any], Iterator[Any] | None]


def _timed(function: Keyword) -> Keyword:
    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any] | None:
        if thread_time() > _deadline.get():
            raise TimeoutError
        return function(validator, value, instance, schema)

    return check


def _matches(pattern: str, text: str) -> bool:
    """As `re.search`; a pattern that Python does not read, ECMAScript's own, matches everything."""
    try:
        return regex.search(pattern, text, timeout=_PATTERN_SECONDS) is not None
    except regex.error:
        return True


def _items(since_2020: Keyword) -> Keyword:
    def check(validator: Any, items: Any, instance: Any, schema: Any) -> Iterator[Any] | None:
        if not isinstance(items, list):
            return since_2020(validator, items, instance, schema)
        heads: Keyword = validator.VALIDATORS["prefixItems"]
        return heads(validator, items, instance, schema)

    return check


def _pattern(validator: Any, pattern: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if validator.is_type(instance, "string") and not _matches(pattern, instance):
        yield ValidationError(f"{instance[:100]!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if validator.is_type(instance, "object"):
        for pattern, wanted in patterns.items():
            for name, value in instance.items():
                if _matches(pattern, name):
                    yield from validator.descend(value, wanted, path=name, schema_path=pattern)


def _additional_properties(validator: Any, rest: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if not validator.is_type(instance, "object"):
        return
    declared = schema.get("properties", {})
    patterns = schema.get("patternProperties", {})
    extra = [
        name
        for name in instance
        if name not in declared and not any(_matches(pattern, name) for pattern in patterns)
    ]
    if rest is False and extra:
        names = ", ".join(repr(name[:60]) for name in extra[:5])
        known = ", ".join(repr(name) for name in [*declared][:20]) or "none"
        yield ValidationError(f"unknown arguments {names}; known: {known}")
    elif isinstance(rest, dict):
        for name in extra:
            yield from validator.descend(instance[name], rest, path=name)


def _is_schema(value: Any) -> bool:
    return isinstance(value, dict | bool)


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_type(value: Any) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name in _TYPES for name in names)


def _are_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _are_schemas(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_schema, value))


def _are_named(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_schema, value.values()))


_TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
# What the values of keywords must be, for checks with them to make sense. The schema of schemas
# says the same, a hundred times as slowly: thousands of tools would take seconds.
_FITS: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(_ONE, _is_schema),
    **dict.fromkeys(_LISTED, _are_schemas),
    **dict.fromkeys(_NAMED, _are_named),
    "items": lambda value: _is_schema(value) or _are_schemas(value),
    "type": _is_type,
    "enum": lambda value: isinstance(value, list),
    "required": _are_strings,
    "dependentRequired": lambda value: (
        isinstance(value, dict) and all(map(_are_strings, value.values()))
    ),
    "uniqueItems": lambda value: isinstance(value, bool),
    "multipleOf": lambda value: _is_number(value) and value > 0,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _is_number),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _is_count),
    **dict.fromkeys(("minProperties", "maxProperties", "minContains", "maxContains"), _is_count),
    **dict.fromkeys(
        ("$ref", "$dynamicRef", "$id", "$anchor", "$dynamicAnchor", "pattern"),
        lambda value: isinstance(value, str),
    ),
}


def _schemas(root: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each schema in a schema, with a JSON pointer; `root` is valid."""
    waiting: list[tuple[str, Any]] = [("", root)]
    while waiting:
        pointer, schema = waiting.pop()
        if not isinstance(schema, dict):
            continue
        yield pointer or "/", schema
        for keyword, value in schema.items():
            here = f"{pointer}/{keyword}"
            if keyword in _NAMED and isinstance(value, dict):
                waiting += [(f"{here}/{name}", each) for name, each in value.items()]
            elif keyword in _LISTED and isinstance(value, list):
                waiting += [(f"{here}/{at}", each) for at, each in enumerate(value)]
            elif keyword in _ONE:
                waiting.append((here, value))


def _depth(value: Any) -> int:
    deepest, waiting = 0, [(value, 1)]
    while waiting and deepest <= MAX_DEPTH:
        each, depth = waiting.pop()
        deepest = max(deepest, depth)
        if isinstance(each, dict):
            waiting += [(item, depth + 1) for item in each.values()]
        elif isinstance(each, list):
            waiting += [(item, depth + 1) for item in each]
    return deepest


def _power_of_ten(step: Any) -> bool:
    text = repr(step)
    mantissa = text.lower().partition("e")[0].replace(".", "").strip("0")
    return mantissa == "1"


def _path(steps: Any) -> str:
    parts = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps]
    return "arguments" + "".join(parts)
