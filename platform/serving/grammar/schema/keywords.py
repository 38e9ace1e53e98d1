"""Which keywords of JSON Schema a grammar holds, and which it cannot hold.

What always holds: a keyword that says something about instances is in `ENFORCED` or in `REFUSED`.
"""

from collections.abc import Mapping

TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")

ENFORCED: Mapping[str, str] = {
    "$ref": "within the schema: pointers, anchors and embedded ids",
    "$defs": "",
    "definitions": "",
    "type": "",
    "enum": "values that the rest of the schema refuses are left out",
    "const": "",
    "allOf": "",
    "anyOf": "",
    "oneOf": "where no value satisfies two of its schemas, as far as types, constants and required "
    "keys tell",
    "not": "where it excludes types, or nothing but constants from an enumeration",
    "properties": "in the order given",
    "required": "",
    "additionalProperties": "",
    "patternProperties": "up to four patterns an object",
    "propertyNames": "",
    "minProperties": "keys that are not declared count once",
    "maxProperties": "",
    "dependentRequired": "where the keys it asks for are required anyway",
    "items": "",
    "prefixItems": "",
    "additionalItems": "with `items` as a list",
    "minItems": "",
    "maxItems": "",
    "uniqueItems": "where an array has at most one item",
    "minLength": "",
    "maxLength": "",
    "pattern": "regular ones; no word boundaries, back references or looking around",
    "format": "the formats of `formats`; names that JSON Schema does not define are annotations",
    "minimum": "",
    "maximum": "",
    "exclusiveMinimum": "",
    "exclusiveMaximum": "",
    "multipleOf": "powers of ten, and integers in a bounded range",
}
"""Keywords that the grammar holds, and how far."""

REFUSED: Mapping[str, str] = {
    "contains": "a grammar cannot count items of one kind among others",
    "minContains": "see contains",
    "maxContains": "see contains",
    "dependentSchemas": "what is required would depend on keys that come later",
    "dependencies": "see dependentRequired and dependentSchemas",
    "if": "needs the complement of a schema",
    "unevaluatedProperties": "depends on which branches hold",
    "unevaluatedItems": "depends on which branches hold",
    "$dynamicRef": "depends on the way a schema was reached",
    "$recursiveRef": "depends on the way a schema was reached",
}
"""Keywords that only `strict=False` takes, and why."""

ANNOTATIONS = frozenset(
    {
        "$schema",
        "$id",
        "id",
        "$anchor",
        "$comment",
        "$vocabulary",
        "$dynamicAnchor",
        "$recursiveAnchor",
        "title",
        "description",
        "default",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
        "then",
        "else",
        "$defs",
        "definitions",
    }
)
"""Keywords that say nothing about instances by themselves. Unknown ones say nothing either, as the
standard has it."""

_APPLIES_TO = {
    "object": (
        "properties required additionalProperties patternProperties propertyNames minProperties "
        "maxProperties dependentRequired dependentSchemas dependencies unevaluatedProperties"
    ),
    "array": (
        "items prefixItems additionalItems minItems maxItems uniqueItems contains minContains "
        "maxContains unevaluatedItems"
    ),
    "string": "minLength maxLength pattern format",
    "number": "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf",
}
TYPE_OF: Mapping[str, str] = {
    word: kind for kind, words in _APPLIES_TO.items() for word in words.split()
}
"""The type that a keyword is about; one that is not here is about all."""
