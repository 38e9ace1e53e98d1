"""Structural tags that hold tool calls to their tools' schemas, in the models' own formats.

What always holds: a call names one of the tools, and its arguments are an instance of that tool's
schema as far as a grammar can hold it (in full where the tool says `strict`); the text is laid out
as the tool-call parsers of the same format read it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from rostra.core import StructuralTag
from rostra.serving.errors import InvalidGrammar

ToolFormat = Literal["llama3", "hermes", "mistral"]
Format = dict[str, Any]

_THINK_BEGIN, _THINK_END = "<think>", "</think>"
_LLAMA_MARK = "<|python_tag|>"
_MISTRAL_MARK = "[TOOL_CALLS]"
_HERMES_BEGIN, _HERMES_END = "<tool_call>", "</tool_call>"


def tool_call_tag(
    format: ToolFormat,
    tools: Sequence[Mapping[str, Any]],
    *,
    required: bool,
    parallel: bool,
    reasoning: bool,
    opened: bool = False,
) -> StructuralTag:
    """The constraint of a text that may, or must, call tools.

    Args:
        format: how the model writes calls.
        tools: OpenAI's, `{"type": "function", "function": {"name", "parameters", "strict"}}`.
        required: the text must be calls; otherwise it may be free text, with or without calls.
        parallel: more than one call is allowed.
        reasoning: the text may begin with thinking, from `<think>` to `</think>`.
        opened: the prompt has begun the thinking, so the text goes on with it.

    Raises:
        InvalidGrammar: if there is no tool, or one has no name.
    """
    if not tools:
        raise InvalidGrammar("There is no tool to call.")
    functions = [_function(tool) for tool in tools]
    match format:
        case "hermes":
            body = _hermes(functions, required, parallel)
        case "llama3":
            body = _llama(functions, required, parallel)
        case "mistral":
            body = _mistral(functions, required, parallel)
    if reasoning:
        thinking = _sequence(
            {
                "type": "tag",
                "begin": "" if opened else _THINK_BEGIN,
                "content": {"type": "any_text"},
                "end": _THINK_END,
            },
            {"type": "regex", "pattern": "\\n{0,2}"},
        )
        body = _sequence(thinking if opened else {"type": "optional", "content": thinking}, body)
    return StructuralTag(json.dumps({"type": "structural_tag", "format": body}))


def _function(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    function = tool.get("function", tool)
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise InvalidGrammar("A tool has no function with a name.")
    return function


def _arguments(function: Mapping[str, Any]) -> Format:
    parameters = function.get("parameters")
    return {
        "type": "json_schema",
        "json_schema": {"type": "object"} if parameters is None else parameters,
        "strict": function.get("strict") is True,
        "tool": function["name"],
    }


def _call(function: Mapping[str, Any], key: str, before: str = "", after: str = "") -> Format:
    name = json.dumps(function["name"], ensure_ascii=False)
    return {
        "type": "tag",
        "begin": f'{before}{{"name": {name}, "{key}": ',
        "content": _arguments(function),
        "end": "}" + after,
    }


def _hermes(functions: list[Mapping[str, Any]], required: bool, parallel: bool) -> Format:
    calls = [
        _call(each, "arguments", f"{_HERMES_BEGIN}\n", f"\n{_HERMES_END}") for each in functions
    ]
    if required:
        return _joined(calls, "\n", parallel)
    return {
        "type": "triggered_tags",
        "triggers": [_HERMES_BEGIN],
        "tags": calls,
        "stop_after_first": not parallel,
    }


def _llama(functions: list[Mapping[str, Any]], required: bool, parallel: bool) -> Format:
    calls = _joined([_call(each, "parameters") for each in functions], "; ", parallel)
    mark = {"type": "optional", "content": {"type": "token", "token": _LLAMA_MARK}}
    called = _sequence(mark, calls)
    if required:
        return called
    # Text that begins like a call is one; other text has no calls in it.
    text = {"type": "regex", "pattern": r"(?:[^{<\s][\s\S]*)?"}
    return {"type": "or", "elements": [called, text]}


def _mistral(functions: list[Mapping[str, Any]], required: bool, parallel: bool) -> Format:
    calls = _joined([_call(each, "arguments") for each in functions], ", ", parallel)
    called = _sequence({"type": "token", "token": _MISTRAL_MARK}, _const("["), calls, _const("]"))
    if required:
        return called
    text = {"type": "any_text", "excludes": [_MISTRAL_MARK]}
    return _sequence(text, {"type": "optional", "content": called})


def _joined(calls: list[Format], separator: str, parallel: bool) -> Format:
    return {
        "type": "tags_with_separator",
        "tags": calls,
        "separator": separator,
        "at_least_one": True,
        "stop_after_first": not parallel,
    }


def _const(text: str) -> Format:
    return {"type": "const_string", "value": text}


def _sequence(*elements: Format) -> Format:
    return {"type": "sequence", "elements": list(elements)}
