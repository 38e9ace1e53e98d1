"""Results of MCP servers as text for models."""

import json
from typing import Any

import pytest
from mcp.types import CallToolResult, TextContent

from rostra.agents.mcp.content import result_of


def told(structured: Any, text: str | None = None) -> str:
    said = json.dumps(structured, indent=2) if text is None else text
    answer = CallToolResult(
        content=[TextContent(type="text", text=said)], structured_content=structured
    )
    return result_of(answer, cites=False).text


@pytest.mark.parametrize(
    ("structured", "text"),
    [
        ({"value": "128", "exact": True, "more": None}, "value: 128; exact: true; more: null"),
        ({"rows": [[1, 2]], "more": False}, '{"rows": [[1, 2]], "more": false}'),
    ],
)
def test_structured_content_is_said_in_few_words(structured: Any, text: str) -> None:
    assert told(structured) == text
    # Whatever else a server says of it is its own words.
    assert told(structured, "Twelve thousand.") == "Twelve thousand."
