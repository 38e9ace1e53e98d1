"""JSON schemas made fit for a grammar: of bounded depth and size, and without rare keywords.

What always holds for `fitted(schema)`: a grammar can hold the result in full and is small; apart
from depth and from keys that nobody declared, whatever the schema takes the result takes too, so
what was left out is checked once the text is there. A part of which no sense can be made becomes
any value of bounded depth.

Lengths above `MOST_COUNTED` are left out: a grammar that counts characters has states for each of
them, and the number of tokens bounds the text anyway.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_COUNTED = 200
MOST_COUNTED_ITEMS = 16
MOST_OPEN_KEYS = 16
MOST_DEPTH = 12
MOST_PARTS = 500
MOST_ENUM = 500
MOST_PATTERN = 200

THOUGHT: Mapping[str, Any] = {"type": "string", "pattern": r'^[^"\\\x00-\x1f]{0,300}$'}
"""The schema of a short text on one line, without quotes and escapes, which makes it cheap to
count: what a model thinks before it decides."""

_FORMATS = frozenset({"date", "date-time", "time", "uuid", "ipv4", "email"})
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
# Escapes that all dialects read alike. Beside them: groups that are more than groups, possessive
# quantifiers, and other escapes.
_PLAIN_ESCAPE = re.compile(r"\\[dwsDWS.\\/^$*+?()\[\]{}|]")
_IRREGULAR = re.compile(r"\(\?(?!:)|[*+?}]\+|\\")


class _Unfit(Exception):
    """No sense can be made of a part."""


def fitted(schema: Any) -> dict[str, Any]:
    """See this module.

    Args:
        schema: of an object, as a tool's parameters are.
    """
    if not isinstance(schema, Mapping):
        return open_object()
    try:
        made = _Fitter(schema).fit({"type": "object", **schema}, ())
    except _Unfit:
        return open_object()
    return made if _all_objects(made) else open_object()


def open_object(depth: int = 2) -> dict[str, Any]:
    """The schema of any object of bounded size."""
    return {
        "type": "object",
        "maxProperties": MOST_OPEN_KEYS,
        "additionalProperties": any_value(depth),
    }


def any_value(depth: int = 1) -> dict[str, Any]:
    """The schema of any value that holds others at most so deep."""
    options: list[dict[str, Any]] = [{"type": ["string", "number", "boolean", "null"]}]
    if depth > 0:
        inner = any_value(depth - 1)
        options.append({"type": "array", "items": inner})
        options.append({"type": "object", "additionalProperties": inner})
    return {"anyOf": options}


def _all_objects(schema: Mapping[str, Any]) -> bool:
    branches = schema.get("anyOf", [])
    return schema.get("type") == "object" or bool(branches and all(map(_all_objects, branches)))


@dataclass(slots=True)
class _Fitter:
    """Walks through one schema.

    Attributes:
        left: parts that may still be made; references can multiply them.
    """

    root: Mapping[str, Any]
    left: int = MOST_PARTS

    def part(self, schema: Any, path: tuple[str, ...]) -> dict[str, Any]:
        """As `fit`, or any value."""
        try:
            return self.fit(schema, path)
        except _Unfit:
            return any_value()

    def fit(self, schema: Any, path: tuple[str, ...]) -> dict[str, Any]:
        """A part of the schema, its references resolved; `path` are those passed on the way."""
        self.left -= 1
        if not isinstance(schema, Mapping) or len(path) > MOST_DEPTH or self.left < 0:
            raise _Unfit
        if "$ref" in schema:
            reference = schema["$ref"]
            if not isinstance(reference, str) or reference in path:
                raise _Unfit  # What contains itself has no bound.
            return self.fit(self._target(reference), (*path, reference))
        if "const" in schema:
            return {"const": schema["const"]}
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return {"enum": schema["enum"][:MOST_ENUM]}
        path = (*path, "")
        for keyword in ("anyOf", "oneOf", "allOf"):
            branches = schema.get(keyword)
            if isinstance(branches, list) and branches:
                if keyword == "allOf" and len(branches) > 1:
                    raise _Unfit
                beside = {key: each for key, each in schema.items() if key != keyword}
                return {"anyOf": [self.part(_joined(beside, each), path) for each in branches]}
        kind = schema.get("type") or _guessed(schema)
        if isinstance(kind, list):
            return {"anyOf": [self.part({**schema, "type": each}, path) for each in kind]}
        match kind:
            case "object":
                return self._object(schema, path)
            case "array":
                return self._array(schema, path)
            case "string":
                return _string(schema)
            case "integer" | "number":
                return {"type": kind, **_range(schema)}
            case "boolean" | "null":
                return {"type": kind}
        raise _Unfit

    def _target(self, reference: str) -> Any:
        if not reference.startswith("#/"):
            raise _Unfit
        found: Any = self.root
        for step in reference[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or name not in found:
                raise _Unfit
            found = found[name]
        return found

    def _object(self, schema: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        if not isinstance(properties, Mapping) or not isinstance(required, list):
            raise _Unfit
        others = schema.get("additionalProperties", True)
        if not properties and others is not False:
            if not isinstance(others, Mapping):
                return open_object()
            return {**open_object(), "additionalProperties": self.part(others, path)}
        if not all(key in properties for key in required):
            raise _Unfit
        # Keys that nobody declared help no model; leaving them out keeps the object bounded.
        return {
            "type": "object",
            "properties": {str(key): self.part(each, path) for key, each in properties.items()},
            "required": [key for key in properties if key in required],
            "additionalProperties": False,
        }

    def _array(self, schema: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        if "prefixItems" in schema or isinstance(schema.get("items"), list):
            raise _Unfit
        made = {"type": "array", "items": self.part(schema.get("items", {}), path)}
        return made | _counts("Items", least, most, MOST_COUNTED_ITEMS)


def _joined(beside: Mapping[str, Any], branch: Any) -> Any:
    """A branch, with what stands beside it where the branch says nothing of it."""
    if not isinstance(branch, Mapping) or "$ref" in branch:
        return branch
    return {**beside, **branch}


def _guessed(schema: Mapping[str, Any]) -> str:
    for keyword, kind in (("properties", "object"), ("items", "array"), ("pattern", "string")):
        if keyword in schema:
            return kind
    raise _Unfit


def _string(schema: Mapping[str, Any]) -> dict[str, Any]:
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and _regular(pattern):
        return {"type": "string", "pattern": pattern}
    written = schema.get("format")
    if isinstance(written, str) and written in _FORMATS:
        return {"type": "string", "format": written}
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    return {"type": "string", **_counts("Length", least, most, MOST_COUNTED)}


def _counts(what: str, least: Any, most: Any, counted: int) -> dict[str, Any]:
    """The bounds of a length as far as they are worth counting."""
    made: dict[str, Any] = {}
    if _natural(least) and 0 < least <= counted:
        made[f"min{what}"] = least
    if _natural(most) and most <= counted:
        if most < made.get(f"min{what}", 0):
            raise _Unfit
        made[f"max{what}"] = most
    return made


def _range(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The bounds of a number, none if they make no sense or leave nothing."""
    kept = {key: schema[key] for key in _BOUNDS if key in schema}
    if not all(
        isinstance(each, int | float) and not isinstance(each, bool) and math.isfinite(each)
        for each in kept.values()
    ):
        return {}
    low = max(kept.get("minimum", -math.inf), kept.get("exclusiveMinimum", -math.inf))
    high = min(kept.get("maximum", math.inf), kept.get("exclusiveMaximum", math.inf))
    room = 2 if len(kept) > 2 or any(key.startswith("exclusive") for key in kept) else 0
    return kept if high - low >= room else {}


def _regular(pattern: str) -> bool:
    if len(pattern) > MOST_PATTERN or _IRREGULAR.search(_PLAIN_ESCAPE.sub("_", pattern)):
        return False
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _natural(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
