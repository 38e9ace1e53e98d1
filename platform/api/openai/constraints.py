"""What a generated text is held to, out of `response_format` and `structured_outputs`.

What always holds: a request has one constraint at most; two that contradict each other are refused,
not weighed.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from rostra.api.openai.fields import (
    JsonObjectFormat,
    JsonSchemaFormat,
    NamedSchema,
    ResponseFormat,
    StructuredOutputs,
)
from rostra.api.openai.tools import Toolset
from rostra.core import AnyJson, Choice, Constraint, Ebnf, JsonSchema, Regex, StructuralTag
from rostra.serving import InvalidParameter


@dataclass(frozen=True, slots=True)
class Held:
    """A constraint, and the field of the request that it came from."""

    constraint: Constraint
    field: str


def constraint_of(
    response_format: ResponseFormat | None,
    structured: StructuredOutputs | None,
    tools: Toolset,
) -> Held | None:
    """The constraint that a request names; calls of tools are not part of it.

    Raises:
        InvalidParameter: several at once, or one beside tools that may be called.
    """
    held = _formatted(response_format)
    if structured is not None:
        if held is not None:
            raise InvalidParameter(
                "structured_outputs and response_format exclude each other",
                field="structured_outputs",
            )
        held = _structured(structured)
    if held is not None and tools.functions:
        field = "response_format" if structured is None else "structured_outputs"
        raise InvalidParameter(
            f"{field}: cannot be combined with tools that may be called",
            hint="Set tool_choice to none, or leave one of them out.",
            field=field,
        )
    return held


def schema_constraint(given: NamedSchema, field: str) -> Held:
    """A named schema; without a schema any JSON object will do."""
    if given.schema is None:
        if given.strict:
            raise InvalidParameter(f"{field}: a strict schema needs `schema`", field=field)
        return Held(AnyJson(), field)
    return Held(JsonSchema(_text(given.schema), strict=bool(given.strict)), f"{field}.schema")


def _formatted(response_format: ResponseFormat | None) -> Held | None:
    match response_format:
        case JsonSchemaFormat():
            return schema_constraint(response_format.json_schema, "response_format.json_schema")
        case JsonObjectFormat():
            return Held(AnyJson(), "response_format")
        case _:
            return None


def _structured(given: StructuredOutputs) -> Held:
    field = "structured_outputs"
    named = [
        name
        for name in StructuredOutputs.__struct_fields__
        if getattr(given, name) not in (None, False)
    ]
    if len(named) != 1:
        raise InvalidParameter(f"{field}: exactly one constraint is needed", field=field)
    return Held(_named(given, named[0]), f"{field}.{named[0]}")


def _named(given: StructuredOutputs, name: str) -> Constraint:
    match name:
        case "json":
            return JsonSchema(_text(given.json), strict=False)
        case "regex":
            return Regex(given.regex or "")
        case "choice":
            return Choice(tuple(given.choice or ()))
        case "grammar":
            return Ebnf(given.grammar or "")
        case "structural_tag":
            return StructuralTag(_text(given.structural_tag))
        case _:
            return AnyJson()


def _text(value: dict[str, Any] | str | None) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
