"""What is wrong with the arguments of a call, in words for the model that made it.

What always holds: one short sentence for each wrong argument, in the order of the tool's schema, at
most `MAX_SENTENCES`; nothing of the classes and pages of the library that found it out.
"""

import difflib
import re
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

MAX_SENTENCES = 10
_LONGEST_VALUE = 60
_SHOULD = re.compile(r"^\w+ should (?=be |have |match )")
# What the library adds of how it looked: "..., unable to parse string as an integer".
_ASIDE = re.compile(r", (?:unable to|got a number with|got ).*$")
_WORDS = {
    "a valid string": "a string",
    "a valid integer": "an integer",
    "a valid number": "a number",
    "a valid boolean": "true or false",
    "a valid list": "a list",
    "a valid dictionary": "an object",
}


def wrong_arguments(
    error: ValidationError | None, given: Mapping[str, Any], known: Collection[str]
) -> str:
    """The sentences, one a line.

    Args:
        error: of checking the arguments; None where those that are known are right.
        given: the arguments.
        known: names of the tool's arguments.
    """
    found: dict[str, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False) if error is not None else ():
        found.setdefault(_name(detail, given), []).append(detail)
    sentences = [_sentence(name, details) for name, details in found.items()]
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name[:_LONGEST_VALUE], known, 1)
            hint = f" Did you mean {close[0]}?" if close else ""
            sentences.append(f"There is no argument {_shown(name)}.{hint}")
    if len(sentences) > MAX_SENTENCES:
        more = len(sentences) - MAX_SENTENCES
        sentences[MAX_SENTENCES:] = [f"And {more} more are wrong."]
    return "\n".join(sentences)


def _name(detail: ErrorDetails, given: Mapping[str, Any]) -> str:
    """Where the value stands: `limit`, `filters.year`, `ids[2]`."""
    steps = detail["loc"]
    if not steps:
        return "arguments"
    name, value = str(steps[0]), given.get(str(steps[0]))
    for step in steps[1:]:
        # Behind an argument of several types the library names the one it tried, which is no place.
        if isinstance(value, dict) and step in value:
            name, value = f"{name}.{step}", value[step]
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            name, value = f"{name}[{step}]", value[step]
        elif detail["type"] == "missing" and isinstance(value, dict):
            return f"{name}.{step}"
        else:
            break
    return name


def _sentence(name: str, details: list[ErrorDetails]) -> str:
    if any(detail["type"] == "missing" for detail in details):
        return f"{name} is missing."
    wanted = list(dict.fromkeys(_wanted(detail) for detail in details))
    if len(wanted) > 1 and all(each.startswith("be ") for each in wanted):
        *first, last = (each.removeprefix("be ") for each in wanted)
        wanted = [f"be {', '.join(first)} or {last}"]
    value = details[0]["input"]
    told = "" if isinstance(value, dict | list) else f", not {_shown(value)}"
    if details[0]["type"] in ("string_too_long", "string_too_short"):
        told = f", not {len(value):,}"
    return f"{name} must {' or '.join(wanted)}{told}."


def _wanted(detail: ErrorDetails) -> str:
    """`be an integer`, `be at most 20`, `have at most 5 characters`."""
    said = detail["msg"].removeprefix("Value error, ")
    if not _SHOULD.match(said):
        return f"be right: {said}"
    said = _ASIDE.sub("", _SHOULD.sub("", said))
    for theirs, ours in _WORDS.items():
        said = said.replace(theirs, ours)
    said = said.replace("greater than or equal to", "at least")
    return said.replace("less than or equal to", "at most")


def _shown(value: Any) -> str:
    """A scalar as JSON has it, cut short."""
    match value:
        case None:
            text = "null"
        case bool():
            text = "true" if value else "false"
        case _:
            text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
