"""Schemas of tools' arguments: what a grammar can hold of them, and checking arguments afterwards.

Schemas come from servers that nobody here wrote. What always holds: no reference is fetched; a
check of arguments ends within its time, whatever the schema's references and patterns do; what is
wrong is said in words that a model can act on.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from time import monotonic
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
    from jsonschema import SchemaError  # type: ignore[import-untyped] # it ships no types

    if not isinstance(parameters, dict):
        return "the schema is no JSON object"
    if _depth(parameters) > MAX_DEPTH:
        return f"the schema is nested deeper than {MAX_DEPTH}"
    try:
        size = len(json.dumps(parameters))
    except (TypeError, ValueError) as error:
        return f"the schema is no JSON: {error}"
    if size > MAX_BYTES:
        return f"the schema is larger than {MAX_BYTES >> 10} KiB"
    if parameters.get("type", "object") != "object":
        return f"arguments are an object, the schema is of type {parameters['type']!r}"
    try:
        _validator_class().check_schema(parameters)
    except SchemaError as error:
        where = "".join(f"/{step}" for step in error.absolute_path) or "/"
        return f"the schema is not valid at {where}: {error.message[:200]}"
    except RecursionError:
        return "the schema is nested too deep"
    for pointer, schema in _schemas(parameters):
        reference = schema.get("$ref")
        if isinstance(reference, str) and not reference.startswith("#"):
            return f"$ref at {pointer} leaves the schema: {reference[:200]}"
    return None


def problems(parameters: Mapping[str, Any], arguments: Any) -> list[str]:
    """What is wrong with arguments, at most `MAX_PROBLEMS` things; empty where nothing is.

    Takes at most `CHECK_SECONDS`; what takes longer is itself reported.

    Args:
        parameters: a schema that is not `unusable`.
        arguments: JSON value.
    """
    from jsonschema.exceptions import UnknownType  # type: ignore[import-untyped] # as above
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    # The root is always an object; many schemas leave that out.
    validator = _validator_class()({"type": "object", **parameters}, registry=Registry())
    found: list[str] = []
    token = _deadline.set(monotonic() + CHECK_SECONDS)
    try:
        for problem in validator.iter_errors(arguments):
            found.append(f"{_path(problem.absolute_path)}: {problem.message[:300]}")
            if len(found) == MAX_PROBLEMS:
                break
    except TimeoutError:
        found.append("the arguments could not be checked in time; make them smaller")
    except (Unresolvable, UnknownType, RecursionError) as error:
        found.append(f"the schema cannot be evaluated: {str(error)[:200]}")
    finally:
        _deadline.reset(token)
    return found


_deadline: ContextVar[float] = ContextVar("deadline of the check of a tool's arguments")


@cache
def _validator_class() -> Any:
    """JSON Schema 2020-12 that looks at the clock and matches patterns within bounds.

    Drafts before it are read by it too: what tools use of them means the same, but for `items` as
    a list, which counts as no valid schema.
    """
    from jsonschema import Draft202012Validator, validators

    keywords = {
        **Draft202012Validator.VALIDATORS,
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
    }
    timed = {keyword: _timed(function) for keyword, function in keywords.items()}
    return validators.extend(Draft202012Validator, timed)


Keyword = Callable[[Any, Any, Any, Any], Iterator[Any] | None]


def _timed(function: Keyword) -> Keyword:
    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any] | None:
        # Checking a schema against its own schema has no deadline; that one is well behaved.
        if monotonic() > _deadline.get(float("inf")):
            raise TimeoutError
        return function(validator, value, instance, schema)

    return check


def _matches(pattern: str, text: str) -> bool:
    """As `re.search`; a pattern that Python does not read, ECMAScript's own, matches everything."""
    try:
        return regex.search(pattern, text, timeout=_PATTERN_SECONDS) is not None
    except regex.error:
        return True


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
