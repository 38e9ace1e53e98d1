"""Parsers: what of a model's text is reasoning, what calls a tool, and what is the answer."""

from rostra.serving.parsers.deltas import (
    ContentDelta,
    ParsedDelta,
    ReasoningDelta,
    ToolCallDelta,
)
from rostra.serving.parsers.output import (
    OutputParser,
    opens_reasoning,
    reasons,
    tool_format_of,
)
from rostra.serving.parsers.reasoning import REASONING_MARKERS
from rostra.serving.parsers.tool_calls import ToolFormat

__all__ = [
    "REASONING_MARKERS",
    "ContentDelta",
    "OutputParser",
    "ParsedDelta",
    "ReasoningDelta",
    "ToolCallDelta",
    "ToolFormat",
    "opens_reasoning",
    "reasons",
    "tool_format_of",
]
