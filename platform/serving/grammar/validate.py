"""Reading schemas, and checking a text against one after it was written.

What always holds: no reference is ever fetched; numbers of schemas are finite.
"""

import json
from collections.abc import Iterable
from typing import Any, Protocol, Self

from jsonschema import (  # type: ignore[import-untyped] # it ships no types
    Draft4Validator,
    Draft7Validator,
    Draft202012Validator,
    FormatChecker,
    SchemaError,
)
from jsonschema.exceptions import UnknownType  # type: ignore[import-untyped]
from jsonschema.validators import validator_for  # type: ignore[import-untyped]
from referencing import Registry
from referencing.exceptions import Unresolvable

from rostra.serving.errors import InvalidGrammar

MAX_PROBLEMS = 10


class Problem(Protocol):
    """The part of jsonschema's errors that is used here."""

    json_path: str
    message: str


class Validator(Protocol):
    """The part of jsonschema's validators that is used here."""

    def evolve(self, *, schema: Any) -> Self: ...

    def is_valid(self, instance: Any) -> bool: ...

    def iter_errors(self, instance: Any) -> Iterable[Problem]: ...


def parse_schema(text: str) -> Any:
    """The schema that a JSON text is.

    Raises:
        InvalidGrammar: if it is no JSON, or neither object nor boolean.
    """
    try:
        schema = json.loads(text, parse_constant=_refuse_constant)
    except ValueError as error:
        raise InvalidGrammar(f"The schema is no JSON: {error}") from error
    if not isinstance(schema, dict | bool):
        raise InvalidGrammar("A schema is a JSON object, or true or false.")
    return schema


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def make_validator(schema: Any, *, formats: bool = False) -> Validator:
    """A validator of the schema's own draft; 2020-12, else 7 or 4, where it names none.

    Args:
        formats: check those that jsonschema knows, too.

    Raises:
        InvalidGrammar: if the schema is not valid itself; the message has the pointer.
    """
    named = isinstance(schema, dict) and "$schema" in schema
    candidates: list[Any] = (
        [validator_for(schema, default=Draft202012Validator)]
        if named
        else [Draft202012Validator, Draft7Validator, Draft4Validator]
    )
    first: SchemaError | None = None
    for candidate in candidates:
        try:
            candidate.check_schema(schema)
        except SchemaError as error:
            first = first or error
            continue
        validator: Validator = candidate(
            schema, registry=Registry(), format_checker=FormatChecker() if formats else None
        )
        return validator
    if first is None:
        raise InvalidGrammar("The schema's draft is not known.")
    pointer = "".join(f"/{step}" for step in first.absolute_path)
    raise InvalidGrammar(
        f"The schema is not valid at {pointer or '/'}: {first.message[:200]}",
        pointer=pointer or "/",
    )


def validate_afterwards(schema: str, text: str) -> list[str]:
    """What is wrong with a text, as an instance of a schema; empty where nothing is.

    Takes time that only the schema bounds (its patterns may be exponential): call it where it can
    be killed, as `GrammarCompiler.validate` does.

    Raises:
        InvalidGrammar: if the schema cannot be read.
    """
    validator = make_validator(parse_schema(schema), formats=True)
    try:
        instance = json.loads(text, parse_constant=_refuse_constant)
    except ValueError as broken:
        return [f"The text is no JSON: {broken}"]
    problems: list[str] = []
    try:
        for problem in validator.iter_errors(instance):
            problems.append(f"{problem.json_path}: {problem.message[:300]}")
            if len(problems) == MAX_PROBLEMS:
                break
    except (Unresolvable, UnknownType, RecursionError) as error:
        problems.append(f"The schema cannot be evaluated: {str(error)[:200]}")
    return problems
