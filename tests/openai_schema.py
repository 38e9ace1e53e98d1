"""Checks bodies against OpenAI's own description of its API.

What always holds: `nullable`, which OpenAPI 3.1 dropped and the document still uses, means that
null is allowed.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DOCUMENT = Path(__file__).parents[2] / "shared" / "data" / "protocols" / "openai.openapi.json"
_URI = "urn:openai"


def check_body(schema: str, body: Any) -> None:
    """Asserts that a body is what the document calls `schema`; skips where that is missing."""
    found = sorted(validator(schema).iter_errors(body), key=lambda error: len(error.path))
    assert not found, "\n".join(
        f"{'.'.join(map(str, error.absolute_path))}: {error.message[:500]}" for error in found[:5]
    )


@cache
def validator(schema: str) -> Draft202012Validator:
    """A validator of one of the document's schemas."""
    if not DOCUMENT.is_file():
        pytest.skip(f"OpenAI's document is not at {DOCUMENT}")
    resource = Resource(
        contents=_nullable(json.loads(DOCUMENT.read_text())), specification=DRAFT202012
    )
    return Draft202012Validator(
        {"$ref": f"{_URI}#/components/schemas/{schema}"},
        registry=Registry().with_resource(_URI, resource),
    )


def _nullable(node: Any) -> Any:
    if isinstance(node, list):
        return [_nullable(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {name: _nullable(value) for name, value in node.items() if name != "nullable"}
    if node.get("nullable") is True:
        return {"anyOf": [plain, {"type": "null"}]}
    return plain
